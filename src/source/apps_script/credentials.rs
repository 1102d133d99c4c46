//! Who asks: the files that Google's tools leave on a machine, told apart by what is in them.
//!
//! `gcloud` writes `application_default_credentials.json` and the keys of service accounts, `clasp` writes `.clasprc.json` in
//! three layouts. Nothing of them is ever shown: no type here that holds a secret can be printed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::source::estate::Problem;

/// A file that is longer is the wrong file.
const SIZE_MAX: u64 = 1 << 20;
/// Under which `clasp` keeps whoever logged in without giving a name.
const USER_DEFAULT: &str = "default";

/// Says a token that is good now, and another one when asked again. An error is told to the user, so it holds no secret.
pub type TokenCommand = Arc<dyn Fn() -> Result<Zeroizing<String>, String> + Send + Sync>;

/// Who asks.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody is named.
    #[default]
    Missing,
    /// A file of one of Google's tools.
    File {
        /// Where it is.
        path: PathBuf,
        /// Of several users in a file of `clasp` this one; of a service account, whom it acts for.
        user: Option<String>,
    },
    /// Whatever a program says.
    Command(TokenCommand),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing"),
            Self::File { path, user } => f.debug_struct("File").field("path", path).field("user", user).finish(),
            Self::Command(_) => f.write_str("Command(…)"),
        }
    }
}

/// What a file holds.
pub(super) enum Identity {
    ServiceAccount(ServiceAccount),
    /// A user who once allowed it.
    User(User),
    /// A token without the means for another.
    Token(Zeroizing<String>),
}

pub(super) struct ServiceAccount {
    pub(super) email: String,
    pub(super) key_id: String,
    /// PKCS #8.
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) token_address: Option<String>,
    pub(super) subject: Option<String>,
}

pub(super) struct User {
    pub(super) client_id: String,
    pub(super) client_secret: Zeroizing<String>,
    pub(super) refresh_token: Zeroizing<String>,
}

/// Something that is wrong with credentials.
pub(super) fn problem(code: &str, reason: String, hint: &str) -> Problem {
    Problem { action: "oauth:token".to_owned(), code: code.to_owned(), reason, hint: hint.to_owned() }
}

/// Reads a file of credentials.
pub(super) fn read(path: &Path, user: Option<&str>) -> Result<Identity, Problem> {
    let missing = |reason: String| {
        problem(
            "NoCredentials",
            format!("{}: {reason}", path.display()),
            "log in with clasp or gcloud, or name the file",
        )
    };
    let size = std::fs::metadata(path).map_err(|error| missing(error.to_string()))?.len();
    if size > SIZE_MAX {
        return Err(missing("it is too long for a file of credentials".to_owned()));
    }
    let text = Zeroizing::new(std::fs::read(path).map_err(|error| missing(error.to_string()))?);
    // An error of the parser tells only where, not what.
    let value: Value = serde_json::from_slice(&text).map_err(|error| missing(format!("it is no JSON: {error}")))?;
    identity(&value, user).map_err(|reason| missing(reason.to_owned()))
}

fn identity(file: &Value, user: Option<&str>) -> Result<Identity, &'static str> {
    if let Some(tokens) = file.get("tokens") {
        let tokens = tokens.get(user.unwrap_or(USER_DEFAULT)).filter(|tokens| tokens.is_object());
        return identity(tokens.ok_or("clasp knows no such user")?, None);
    }
    if let (Some(token), Some(client)) = (file.get("token"), file.get("oauth2ClientSettings")) {
        return user_of(token, text(client, "clientId"), text(client, "clientSecret"));
    }
    match file.get("type").and_then(Value::as_str) {
        Some("service_account") => service_account(file, user).map(Identity::ServiceAccount),
        Some("authorized_user") => user_of(file, text(file, "client_id"), text(file, "client_secret")),
        Some(_) => Err("credentials of this type are not known; a token command can use them"),
        None => user_of(file.get("token").unwrap_or(file), None, None),
    }
}

fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn user_of(tokens: &Value, client_id: Option<String>, secret: Option<String>) -> Result<Identity, &'static str> {
    match (client_id, secret, text(tokens, "refresh_token")) {
        (Some(client_id), Some(secret), Some(refresh_token)) => Ok(Identity::User(User {
            client_id,
            client_secret: Zeroizing::new(secret),
            refresh_token: Zeroizing::new(refresh_token),
        })),
        _ => text(tokens, "access_token")
            .map(|token| Identity::Token(Zeroizing::new(token)))
            .ok_or("there is neither a refresh token with its client nor an access token in it"),
    }
}

fn service_account(file: &Value, subject: Option<&str>) -> Result<ServiceAccount, &'static str> {
    let key = Zeroizing::new(text(file, "private_key").ok_or("there is no private key in it")?);
    Ok(ServiceAccount {
        email: text(file, "client_email").ok_or("there is no address of the account in it")?,
        key_id: text(file, "private_key_id").unwrap_or_default(),
        key: decode(&key).ok_or("its private key is no PEM of PKCS #8")?,
        token_address: text(file, "token_uri"),
        subject: subject.map(str::to_owned),
    })
}

/// What is in the PEM of a private key.
fn decode(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (inside, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let bare: Zeroizing<String> = Zeroizing::new(inside.split_whitespace().collect());
    STANDARD.decode(bare.as_bytes()).ok().map(Zeroizing::new)
}
