//! Who is told over the network how a backup ended: a ping in the manner of Healthchecks, and a webhook.
//!
//! What fails here is a warning and nothing else. Addresses may hold a token, so no error names one.

use std::time::Duration;

use reqwest::Client;
use serde_json::json;

use crate::cli::config::Settings;
use crate::cli::hook::Ended;

/// How long somebody may take to hear it.
const PATIENCE: Duration = Duration::from_secs(15);
/// Characters of what went wrong that are told.
const TOLD_MAX: usize = 10_000;

/// Says that a backup begins, to whom it may concern. Gives what could not be told.
pub fn begun(settings: &Settings) -> Vec<String> {
    let Some(ping) = settings.text("notify.ping") else { return Vec::new() };
    let address = format!("{}/start", ping.trim_end_matches('/'));
    tell(vec![("notify.ping", address, Body::Text(String::new()))])
}

/// Says how it ended. Gives what could not be told.
pub fn ended(settings: &Settings, ended: &Ended) -> Vec<String> {
    let mut told = Vec::new();
    let mut wrong: String = ended.wrong.join("\n");
    wrong.truncate(wrong.floor_char_boundary(TOLD_MAX));
    if let Some(ping) = settings.text("notify.ping") {
        // `…/0` is success, any other number is not.
        let address = format!("{}/{}", ping.trim_end_matches('/'), ended.status.code());
        let of =
            format!("{} after {} s: {} files, {} bytes", ended.status.word(), ended.seconds, ended.files, ended.bytes);
        told.push(("notify.ping", address, Body::Text(format!("{of}\n{wrong}"))));
    }
    if let Some(webhook) = settings.text("notify.webhook") {
        let document = json!({
            "command": "backup",
            "status": ended.status.word(),
            "code": ended.status.code(),
            "time": ended.time,
            "seconds": ended.seconds,
            "files": ended.files,
            "bytes": ended.bytes,
            "wrong": ended.wrong,
        });
        told.push(("notify.webhook", webhook.to_owned(), Body::Json(document.to_string())));
    }
    tell(told)
}

enum Body {
    Text(String),
    Json(String),
}

fn tell(told: Vec<(&'static str, String, Body)>) -> Vec<String> {
    if told.is_empty() {
        return Vec::new();
    }
    let sent = || -> Result<Vec<String>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let client = Client::builder().timeout(PATIENCE).build().map_err(|error| error.without_url().to_string())?;
        Ok(runtime.block_on(async {
            let mut failed = Vec::new();
            for (key, address, body) in told {
                if let Err(reason) = post(&client, &address, body).await {
                    failed.push(format!("{key} was not told: {reason}"));
                }
            }
            failed
        }))
    };
    sent().unwrap_or_else(|reason| vec![format!("nobody was told: {reason}")])
}

async fn post(client: &Client, address: &str, body: Body) -> Result<(), String> {
    let request = match body {
        Body::Text(text) => client.post(address).header("content-type", "text/plain; charset=utf-8").body(text),
        Body::Json(text) => client.post(address).header("content-type", "application/json").body(text),
    };
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("the answer was {}", answer.status())) }
}
