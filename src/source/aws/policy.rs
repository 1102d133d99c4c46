//! The least that a policy must allow for a capture: the calls of the catalogue, where they are made, and nothing else.

use serde_json::{Value, json};

use crate::source::aws::account::AccountSettings;
use crate::source::aws::catalogue::permissions;
use crate::source::aws::tail::services::TABLES;

/// Characters, blanks aside, that one managed policy may have.
pub const SIZE_MAX: usize = 6144;

/// Services that belong to no region.
const GLOBAL: &[&str] = &["cloudfront", "iam", "route53"];

/// The policies of an account, each small enough to be one managed policy; most accounts need one or two.
///
/// Not in them, as nobody knows the keys: `kms:Decrypt` of keys of one's own, under which objects or variables of functions are.
pub fn policies(account: &AccountSettings, services: &[&str]) -> Vec<Value> {
    let mut policies: Vec<Vec<Value>> = vec![Vec::new()];
    for statement in services.iter().flat_map(|service| statements(account, service)) {
        let last = policies.last_mut().expect("because there is one from the beginning");
        last.push(statement);
        if size(last) > SIZE_MAX && last.len() > 1 {
            let statement = last.pop().expect("because it was pushed just now");
            policies.push(vec![statement]);
        }
    }
    policies.into_iter().map(|statements| policy(&statements)).collect()
}

fn policy(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn size(statements: &[Value]) -> usize {
    policy(statements).to_string().chars().filter(|character| !character.is_whitespace()).count()
}

fn statements(account: &AccountSettings, service: &str) -> Vec<Value> {
    let actions = permissions(service, account.s3);
    let name = |suffix: &str| format!("{}{suffix}", service.replace('-', ""));
    let allow = |suffix: &str, actions: &[&String], resource: &str| json!({ "Sid": name(suffix), "Effect": "Allow", "Action": actions, "Resource": resource });
    if service == "s3" {
        let is_of_object = |action: &&String| action.starts_with("s3:GetObject");
        let is_of_account = |action: &&String| action.contains("ListAllMyBuckets") || action.contains("Account");
        let of = |wanted: &dyn Fn(&&String) -> bool| actions.iter().filter(wanted).collect::<Vec<_>>();
        let partition = partition(account);
        let (buckets, objects) = (format!("arn:{partition}:s3:::*"), format!("arn:{partition}:s3:::*/*"));
        return vec![
            allow("account", &of(&is_of_account), "*"),
            allow("buckets", &of(&|action| !is_of_object(action) && !is_of_account(action)), &buckets),
            allow("objects", &of(&is_of_object), &objects),
        ];
    }
    let mut statement = allow("", &actions.iter().collect::<Vec<_>>(), "*");
    let has_own_region = TABLES.iter().any(|table| table.name == service && table.region.is_some());
    if !GLOBAL.contains(&service) && !has_own_region && !account.regions.is_empty() {
        statement["Condition"] = json!({ "StringEquals": { "aws:RequestedRegion": account.regions } });
    }
    vec![statement]
}

fn partition(account: &AccountSettings) -> &'static str {
    match account.regions.first().map(String::as_str) {
        Some(region) if region.starts_with("cn-") => "aws-cn",
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::{SIZE_MAX, policies, size};
    use crate::source::aws::SERVICES;
    use crate::source::aws::account::AccountSettings;

    #[test]
    fn policies_only_read_and_each_fits() {
        let account = AccountSettings { regions: vec!["eu-west-1".to_owned()], ..AccountSettings::default() };
        let all = policies(&account, SERVICES);
        let mut actions = 0;
        for statement in all.iter().flat_map(|policy| policy["Statement"].as_array().expect("a list")) {
            assert!(size(std::slice::from_ref(statement)) <= SIZE_MAX);
            for action in statement["Action"].as_array().expect("a list") {
                let action = action.as_str().expect("text");
                let verb = action.split(':').nth(1).expect("it has one");
                let reads = ["Get", "GET", "List", "Describe", "Scan", "Export"];
                assert!(reads.iter().any(|read| verb.starts_with(read)), "{action}");
                assert!(!action.ends_with("GetSecretValue") && !action.starts_with("ssm:GetParameter"), "{action}");
                actions += 1;
            }
        }
        assert!(actions > 100 && all.len() < 6, "{actions} in {}", all.len());
    }
}
