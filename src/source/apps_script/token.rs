//! Access for a while: a token is asked for when one is needed, and anew when it ends or is refused.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::source::apps_script::call::{Wire, checked};
use crate::source::apps_script::credentials::{Credentials, Identity, ServiceAccount, User, problem, read};
use crate::source::estate::Problem;

/// Where Google gives tokens.
const ADDRESS: &str = "https://oauth2.googleapis.com/token";
/// What is asked for: to read, nothing else.
const SCOPES: &str = "https://www.googleapis.com/auth/script.projects.readonly \
                      https://www.googleapis.com/auth/script.deployments.readonly \
                      https://www.googleapis.com/auth/drive.metadata.readonly";
/// How long a service account wants to have access.
const LIFETIME: Duration = Duration::from_secs(3600);
/// So much before its end a token counts no more.
const MARGIN: Duration = Duration::from_secs(60);

/// The tokens of whoever asks.
pub(super) struct Tokens {
    credentials: Credentials,
    /// Where they are given, where that is told.
    address: Option<String>,
    current: Mutex<Option<Token>>,
}

struct Token {
    secret: Zeroizing<String>,
    ends: Option<Instant>,
}

impl Tokens {
    pub(super) fn new(credentials: Credentials, address: Option<String>) -> Self {
        Self { credentials, address, current: Mutex::default() }
    }

    /// A token that is good, as far as anybody here knows; `refused` is one that is not.
    pub(super) async fn token(&self, wire: &Wire, refused: Option<&str>) -> Result<Zeroizing<String>, Problem> {
        let mut current = self.current.lock().await;
        let is_good = |token: &&Token| {
            token.ends.is_none_or(|ends| ends > Instant::now()) && refused != Some(token.secret.as_str())
        };
        if let Some(token) = current.as_ref().filter(is_good) {
            return Ok(token.secret.clone());
        }
        let token = self.ask(wire).await?;
        let secret = token.secret.clone();
        *current = Some(token);
        Ok(secret)
    }

    async fn ask(&self, wire: &Wire) -> Result<Token, Problem> {
        let identity = match &self.credentials {
            Credentials::Missing => {
                let hint = "name a file of credentials of clasp or gcloud, or a token command";
                return Err(problem("NoCredentials", "no credentials of Google are given".to_owned(), hint));
            }
            Credentials::Command(command) => {
                let command = command.clone();
                let said = tokio::task::spawn_blocking(move || command()).await;
                let said = said.unwrap_or_else(|_| Err("it stopped".to_owned()));
                let failed = |reason| problem("NoCredentials", format!("the token command: {reason}"), "");
                let said = said.map_err(failed)?;
                let secret = Zeroizing::new(said.trim().to_owned());
                return if secret.is_empty() {
                    Err(failed("it said nothing".to_owned()))
                } else {
                    Ok(Token { secret, ends: None })
                };
            }
            Credentials::File { path, user } => {
                let (path, user) = (path.clone(), user.clone());
                let reading = tokio::task::spawn_blocking(move || read(&path, user.as_deref()));
                reading.await.map_err(|_| problem("NoCredentials", "reading them stopped".to_owned(), ""))??
            }
        };
        match identity {
            Identity::Token(secret) => Ok(Token { secret, ends: None }),
            Identity::User(user) => self.refresh(&user, wire).await,
            Identity::ServiceAccount(account) => self.assert(&account, wire).await,
        }
    }

    async fn refresh(&self, user: &User, wire: &Wire) -> Result<Token, Problem> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &user.client_id),
            ("client_secret", &user.client_secret),
            ("refresh_token", &user.refresh_token),
        ];
        let address = checked(self.address.as_deref().unwrap_or(ADDRESS))?;
        taken(&wire.post(address, &form).await?)
    }

    async fn assert(&self, account: &ServiceAccount, wire: &Wire) -> Result<Token, Problem> {
        let address = self.address.as_deref().or(account.token_address.as_deref()).unwrap_or(ADDRESS);
        let assertion = assertion(account, address)?;
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
        taken(&wire.post(checked(address)?, &form).await?)
    }
}

/// What a service account says of itself, signed (RFC 7523).
fn assertion(account: &ServiceAccount, address: &str) -> Result<Zeroizing<String>, Problem> {
    let now = jiff::Timestamp::now().as_second();
    let mut claims = json!({
        "iss": account.email,
        "scope": SCOPES,
        "aud": address,
        "iat": now,
        "exp": now + LIFETIME.as_secs().cast_signed(),
    });
    if let Some(subject) = &account.subject {
        claims["sub"] = subject.as_str().into();
    }
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": account.key_id });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut text = Zeroizing::new(format!("{}.{}", part(&header), part(&claims)));
    let bad = || problem("BadKey", "the service account's key is no RSA key".to_owned(), "make another key for it");
    let pair = RsaKeyPair::from_pkcs8(&account.key).map_err(|_| bad())?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).map_err(|_| bad())?;
    text.push('.');
    text.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(text)
}

/// The token of an answer.
fn taken(answer: &Value) -> Result<Token, Problem> {
    let Some(secret) = answer["access_token"].as_str().filter(|secret| !secret.is_empty()) else {
        return Err(problem("UnreadableAnswer", "the answer has no token in it".to_owned(), ""));
    };
    let lasts = answer["expires_in"].as_u64().map(Duration::from_secs);
    let ends = lasts.and_then(|lasts| Instant::now().checked_add(lasts.saturating_sub(MARGIN)));
    Ok(Token { secret: Zeroizing::new(secret.to_owned()), ends })
}

/// As a form is sent.
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    let mut url = Url::parse("http://form/").expect("because it is one");
    url.query_pairs_mut().extend_pairs(fields);
    Zeroizing::new(url.query().unwrap_or_default().to_owned())
}
