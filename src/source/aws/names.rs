//! The names of an account's variables and secrets, for the manifest: what functions, parameters and secrets are called.
//! Values of parameters and secrets are never asked for; those of functions come with their list and go no further.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::source::aws::account::{Account, Connection};
use crate::source::aws::call::{Calls, Refusal, text};
use crate::source::aws::lambda;
use crate::source::aws::tail::services::TABLES;
use crate::source::environment::{Name, NameSource, Names, Origin};
use crate::source::estate::Problem;

/// Services whose first list is one of names: its name, the member that says the kind, and the kind where none does.
const LISTED: &[(&str, &str, &str)] = &[("secretsmanager", "Type", "Secret"), ("ssm", "Type", "")];

/// The names of an account, in all its regions.
pub fn names(account: &Arc<Connection>) -> Arc<dyn NameSource> {
    Arc::new(AccountNames { connection: Arc::clone(account) })
}

struct AccountNames {
    connection: Arc<Connection>,
}

#[async_trait]
impl NameSource for AccountNames {
    async fn names(&self) -> Names {
        let mut all = Names::default();
        let account = match self.connection.account().await {
            Ok(account) => account,
            Err(problem) => {
                all.problems.push(problem);
                return all;
            }
        };
        for region in &account.regions {
            match lambda::functions(account, region).await {
                Ok(functions) => functions.iter().for_each(|function| of_function(function, &mut all)),
                Err(refusal) => all.problems.push(refusal.into_problem()),
            }
            for (service, member, kind) in LISTED {
                match listed(account, region, service).await {
                    Ok(things) => {
                        let origin = format!("{service}:{}:{region}", account.id);
                        let names = things.iter().map(|thing| of_thing(thing, member, kind)).collect();
                        all.origins.push(Origin { origin, names });
                    }
                    Err(refusal) => all.problems.push(refusal.into_problem()),
                }
            }
        }
        all
    }
}

/// What a service lists first.
async fn listed(account: &Account, region: &str, service: &str) -> Result<Vec<Value>, Refusal> {
    let table = TABLES.iter().find(|table| table.name == service).expect("because these are tables");
    let calls = Calls { account, service: table.name, region };
    table.listed_first(&calls).await
}

fn of_thing(thing: &Value, member: &str, kind: &str) -> Name {
    let kind = Some(text(thing, member)).filter(|said| !said.is_empty()).unwrap_or(kind);
    Name { name: text(thing, "Name").to_owned(), kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()) }
}

/// The names of a function's variables, where they can be told.
fn of_function(function: &Value, all: &mut Names) {
    let arn = text(function, "FunctionArn");
    let environment = &function["Environment"];
    if let Some(code) = environment["Error"]["ErrorCode"].as_str() {
        all.problems.push(Problem {
            action: "lambda:ListFunctions".to_owned(),
            code: code.to_owned(),
            reason: format!("the variables of {arn} cannot be decrypted"),
            hint: "allow kms:Decrypt with the function's key".to_owned(),
        });
    }
    if let Some(variables) = environment["Variables"].as_object() {
        let names = variables.keys().map(|name| Name { name: name.clone(), kind: None }).collect();
        all.origins.push(Origin { origin: format!("lambda:{arn}"), names });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Name, Names, of_function, of_thing};

    #[test]
    fn functions_tell_names_only_and_what_cannot_be_told_is_a_problem() {
        let mut all = Names::default();
        let variables = json!({"B": "CANARY", "A": "CANARY"});
        of_function(&json!({"FunctionArn": "arn:1", "Environment": {"Variables": variables}}), &mut all);
        let error = json!({"ErrorCode": "AccessDeniedException", "Message": "CANARY"});
        of_function(&json!({"FunctionArn": "arn:2", "Environment": {"Error": error}}), &mut all);
        of_function(&json!({"FunctionArn": "arn:3"}), &mut all);
        assert_eq!((all.origins.len(), all.origins[0].names.len()), (1, 2));
        assert_eq!((all.problems.len(), all.problems[0].code.as_str()), (1, "AccessDeniedException"));
        assert!(!format!("{all:?}").contains("CANARY"));
    }

    #[test]
    fn parameters_and_secrets_have_a_type() {
        let named = |name: &str, kind: &str| Name { name: name.to_owned(), kind: Some(kind.to_owned()) };
        let parameter = json!({"Name": "/a", "Type": "SecureString", "Description": "x"});
        assert_eq!(of_thing(&parameter, "Type", ""), named("/a", "SecureString"));
        assert_eq!(of_thing(&json!({"Name": "s"}), "Type", "Secret"), named("s", "Secret"));
    }
}
