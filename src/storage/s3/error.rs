//! What a store's refusals and silences mean.
//!
//! What is said *of an object* (it is not there, it is there already, it is shorter) is believed only with the store's own
//! error code: a proxy, a portal or a wrong endpoint says 404 too, and a pack must not be taken for lost because of it.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::storage::StorageErrorKind;

/// Why a request failed.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What callers decide by.
    pub(super) kind: StorageErrorKind,
    /// What was said.
    pub(super) reason: String,
    /// What the credentials have to do with it.
    pub(super) credentials: Credentials,
    /// Whether the store asks for fewer requests.
    pub(super) pressure: Pressure,
}

/// Whether fresh credentials may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// They may.
    Expired,
    /// It is not about them.
    Fine,
}

/// How busy the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressure {
    /// It asked for fewer requests.
    TooMuch,
    /// It did not.
    Unknown,
}

impl Trouble {
    pub(super) fn new(kind: StorageErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), credentials: Credentials::Fine, pressure: Pressure::Unknown }
    }

    /// An answer that did not come, or not whole, or that is none: asking again may bring a better one.
    pub(super) fn no_answer(reason: impl Into<String>) -> Self {
        Self::new(StorageErrorKind::Unreachable, reason)
    }

    /// What the SDK says of a request.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let region = answer.raw().headers().get("x-amz-bucket-region");
                Self::of_answer(answer.raw().status().as_u16(), answer.err().code(), answer.err().message(), region)
            }
            SdkError::ResponseError(answer) if answer.raw().status().as_u16() >= 300 => {
                Self::of_answer(answer.raw().status().as_u16(), None, None, None)
            }
            _ => Self::of_silence(error),
        }
    }

    /// What a status and the store's own code mean.
    pub(super) fn of_answer(status: u16, code: Option<&str>, message: Option<&str>, region: Option<&str>) -> Self {
        let code = code.unwrap_or_default();
        let kind = kind_of_code(code).unwrap_or_else(|| kind_of_status(status));
        let mut reason = message.unwrap_or("the store says no more").trim_end_matches('.').to_owned();
        if let Some(region) = region.filter(|_| matches!(status, 300..=400)) {
            reason = format!("{reason}; the bucket is in {region}");
        }
        let reason = format!("{reason} ({})", format!("{status} {code}").trim_end());
        let is_expired = matches!(code, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired");
        let is_busy = status == 429 || matches!(code, "SlowDown" | "Throttling" | "ThrottlingException");
        Self {
            kind,
            reason,
            credentials: if is_expired { Credentials::Expired } else { Credentials::Fine },
            pressure: if is_busy || status == 503 { Pressure::TooMuch } else { Pressure::Unknown },
        }
    }

    /// No answer at all, or one that cannot be read.
    fn of_silence<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Self {
        let mut reasons: Vec<String> = Vec::new();
        let mut kind = StorageErrorKind::Unreachable;
        let mut next: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = next {
            let reason = error.to_string();
            if !reasons.last().is_some_and(|said| said.contains(&reason)) {
                reasons.push(reason);
            }
            let lasting = error.downcast_ref::<CredentialsError>().is_some_and(|error| {
                matches!(error, CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_))
            });
            if lasting {
                kind = StorageErrorKind::Denied;
            }
            next = error.source();
        }
        if reasons.is_empty() {
            reasons.push(error.to_string());
        }
        Self::new(kind, reasons.join(": "))
    }
}

/// What S3's own codes mean, where the status alone does not say it or must not be believed.
fn kind_of_code(code: &str) -> Option<StorageErrorKind> {
    use StorageErrorKind as Kind;
    Some(match code {
        "NoSuchKey" | "NoSuchBucket" => Kind::NotFound,
        "InvalidRange" => Kind::OutOfRange,
        // A request that arrived damaged or too slowly was not performed; the same one may well arrive whole.
        "RequestTimeout"
        | "BadDigest"
        | "IncompleteBody"
        | "XAmzContentSHA256Mismatch"
        | "XAmzContentChecksumMismatch"
        | "SlowDown"
        | "Throttling"
        | "ThrottlingException" => Kind::Unreachable,
        "ConditionalRequestConflict" | "OperationAborted" => Kind::Conflict,
        "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" => Kind::NoSpace,
        "NotImplemented" | "InvalidStorageClass" => Kind::Unsupported,
        _ => return None,
    })
}

fn kind_of_status(status: u16) -> StorageErrorKind {
    use StorageErrorKind as Kind;
    match status {
        // Success that cannot be read is no answer, and without the store's own code these are someone else's word.
        ..=299 | 404 | 408 | 412 | 416 | 429 => Kind::Unreachable,
        409 => Kind::Conflict,
        501 => Kind::Unsupported,
        507 => Kind::NoSpace,
        500.. => Kind::Unreachable,
        // Another region, wrong credentials, a policy, a clock that is off: the store answers, and refuses.
        _ => Kind::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Pressure, Trouble};
    use crate::storage::StorageErrorKind as Kind;

    fn kind(status: u16, code: &str) -> Kind {
        Trouble::of_answer(status, Some(code), None, None).kind
    }

    #[test]
    fn what_is_said_of_an_object_is_believed_only_with_the_stores_own_code() {
        assert_eq!(kind(404, "NoSuchKey"), Kind::NotFound);
        assert_eq!(kind(404, ""), Kind::Unreachable);
        assert_eq!(kind(416, "InvalidRange"), Kind::OutOfRange);
        assert_eq!(kind(416, ""), Kind::Unreachable);
        assert_eq!(kind(412, ""), Kind::Unreachable);
        assert_eq!(kind(200, ""), Kind::Unreachable);
    }

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        for (status, code) in [(500, "InternalError"), (503, "SlowDown"), (400, "RequestTimeout"), (400, "BadDigest")] {
            assert_eq!(kind(status, code), Kind::Unreachable, "{code}");
        }
        for (status, code) in [(403, "AccessDenied"), (403, "RequestTimeTooSkewed"), (301, "PermanentRedirect")] {
            assert_eq!(kind(status, code), Kind::Denied, "{code}");
        }
        assert_eq!(kind(409, "ConditionalRequestConflict"), Kind::Conflict);
        assert_eq!(kind(501, "NotImplemented"), Kind::Unsupported);
        assert_eq!(kind(507, ""), Kind::NoSpace);
    }

    #[test]
    fn expiry_pressure_and_the_buckets_region_are_noticed() {
        let expired = Trouble::of_answer(400, Some("ExpiredToken"), Some("The token has expired."), None);
        assert_eq!((expired.kind, expired.credentials), (Kind::Denied, Credentials::Expired));
        assert_eq!(expired.reason, "The token has expired (400 ExpiredToken)");
        assert_eq!(Trouble::of_answer(503, Some("SlowDown"), None, None).pressure, Pressure::TooMuch);
        let moved = Trouble::of_answer(301, Some("PermanentRedirect"), Some("Use the other."), Some("eu-west-3"));
        assert_eq!(moved.reason, "Use the other; the bucket is in eu-west-3 (301 PermanentRedirect)");
    }
}
