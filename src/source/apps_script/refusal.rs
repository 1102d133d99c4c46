//! Why there is no answer: Google's own word and message, told apart by what helps.

use std::time::Duration;

use serde_json::Value;

use crate::source::estate::Problem;

/// Words for "not so fast".
const BUSY: &[&str] = &["RESOURCE_EXHAUSTED", "rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"];
/// Words for "this service is switched off".
const DISABLED: &[&str] = &["SERVICE_DISABLED", "accessNotConfigured"];
/// Longest message that is told.
const MESSAGE_MAX: usize = 500;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    action: String,
    /// The service's words, the most telling one last.
    words: Vec<String>,
    message: String,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    /// Something that goes wrong here.
    pub(super) fn new(action: &str, code: &str, message: String, status: Option<u16>) -> Self {
        Self { action: action.to_owned(), words: vec![code.to_owned()], message, status, retry_after: None }
    }

    /// What a service says with an answer of this status.
    pub(super) fn of(action: &str, status: u16, answer: &Value, retry_after: Option<Duration>) -> Self {
        let error = &answer["error"];
        let owned = |value: &Value| value.as_str().map(str::to_owned);
        let reasons = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(|item| owned(&item["reason"])).collect()
        };
        let mut words = vec![format!("HTTP{status}")];
        // The service of tokens says only a word.
        words.extend(owned(error));
        words.extend(reasons(&error["errors"]));
        words.extend(owned(&error["status"]));
        words.extend(reasons(&error["details"]));
        let message = owned(&error["message"]).or_else(|| owned(&answer["error_description"]));
        let message = message.unwrap_or_else(|| "the answer gives no reason".to_owned());
        Self { action: action.to_owned(), words, message, status: Some(status), retry_after }
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.status == Some(429) || (self.status == Some(403) && self.is_one_of(BUSY))
    }

    /// Whether trying again may help.
    pub(super) fn may_pass(&self) -> bool {
        self.is_busy() || self.status.is_none_or(|status| status >= 500 && status != 501)
    }

    /// As what a snapshot says of it, without these secrets.
    pub(super) fn into_problem(mut self, secrets: &[&str]) -> Problem {
        let hint = self.hint();
        let mut reason = self.message;
        // A short one is no secret, but a word of the form.
        for secret in secrets.iter().filter(|secret| secret.len() >= 8) {
            reason = reason.replace(secret, "…");
        }
        let reason = reason.chars().take(MESSAGE_MAX).collect();
        let code = self.words.pop().unwrap_or_default();
        Problem { action: self.action, code, reason, hint }
    }

    /// The way out.
    fn hint(&self) -> String {
        let says = |text: &str| self.message.contains(text);
        let is_drive = self.action.starts_with("drive:");
        if says("script.google.com/home/usersettings") {
            return "switch the Apps Script API on at https://script.google.com/home/usersettings".to_owned();
        }
        if self.is_one_of(DISABLED) || says("has not been used in project") || says("has not been enabled") {
            let (name, service) = if is_drive { ("Drive", "drive") } else { ("Apps Script", "script") };
            let place = format!("https://console.cloud.google.com/apis/library/{service}.googleapis.com");
            return format!("switch the {name} API on at {place}");
        }
        let hint = match self.status {
            _ if self.is_one_of(&["ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"]) => {
                "log in anew and allow script.projects.readonly, script.deployments.readonly and drive.metadata.readonly"
            }
            _ if self.is_one_of(&["invalid_grant", "invalid_client", "invalid_rapt"]) => "log in anew",
            Some(401) => "log in anew, or have the token command give another token",
            Some(403) => "share the project with whose credentials these are",
            Some(404) => "look whether its script id is right, and share it with whose credentials these are",
            _ => "",
        };
        hint.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Refusal;

    fn problem(action: &str, status: u16, answer: &serde_json::Value) -> (String, String, String) {
        let problem = Refusal::of(action, status, answer, None).into_problem(&["a-secret-token"]);
        (problem.code, problem.reason, problem.hint)
    }

    #[test]
    fn each_way_of_being_refused_has_its_way_out() {
        let user = "User has not enabled the Apps Script API. Enable it by visiting \
                    https://script.google.com/home/usersettings then retry.";
        let answer = json!({"error": {"code": 403, "message": user, "status": "PERMISSION_DENIED",
            "errors": [{"reason": "forbidden"}]}});
        let (code, reason, hint) = problem("script:projects.get", 403, &answer);
        assert_eq!((code.as_str(), reason.as_str()), ("PERMISSION_DENIED", user));
        assert!(hint.ends_with("https://script.google.com/home/usersettings"), "{hint}");
        let answer = json!({"error": {"code": 403, "message": "Google Drive API has not been used in project 1 before",
            "errors": [{"reason": "accessNotConfigured"}], "status": "PERMISSION_DENIED",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]}});
        let (code, _, hint) = problem("drive:files.list", 403, &answer);
        assert_eq!(code, "SERVICE_DISABLED");
        assert!(hint.ends_with("/drive.googleapis.com"), "{hint}");
        let answer = json!({"error": "invalid_grant", "error_description": "no a-secret-token, no entry"});
        assert_eq!(
            problem("oauth:token", 400, &answer),
            ("invalid_grant".to_owned(), "no …, no entry".to_owned(), "log in anew".to_owned())
        );
        assert_eq!(problem("oauth:token", 500, &json!(null)).1, "the answer gives no reason");
    }

    #[test]
    fn busy_is_told_from_denied() {
        let of = |status, reason: &str| {
            Refusal::of("drive:files.list", status, &json!({"error": {"errors": [{"reason": reason}]}}), None)
        };
        assert!(of(403, "userRateLimitExceeded").may_pass() && of(429, "x").may_pass() && of(503, "x").may_pass());
        assert!(!of(403, "forbidden").may_pass() && !of(404, "notFound").may_pass() && !of(501, "x").may_pass());
    }
}
