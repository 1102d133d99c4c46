//! T15: what an account keeps secret is found nowhere but in sealed bytes, and values of parameters and secrets are not even asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Output;

use super::Estate;
use super::front::{Effect, Front};

const CANARY: &str = "canary-7d10be94c2";
/// Calls that would tell values.
const NEVER_ASKED: &[&str] = &[
    "GetParameter",
    "GetParameters",
    "GetParametersByPath",
    "GetParameterHistory",
    "GetSecretValue",
    "BatchGetSecretValue",
    "Decrypt",
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("it can be read").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn holds(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, CANARY.as_bytes()).is_some()
}

#[track_caller]
fn assert_silent(output: &Output, what: &[&str]) {
    assert!(matches!(output.status.code(), Some(0 | 3)), "{what:?}: {output:?}");
    assert!(!holds(&output.stdout) && !holds(&output.stderr), "{what:?}");
}

/// An estate in whose answers all that is secret is a canary: variables of functions, headers for origins, keys and variables of APIs,
/// secrets of clients.
fn planted(estate: &Estate) -> Front {
    let front = Front::start(SocketAddr::from((Ipv4Addr::LOCALHOST, estate.server.port)));
    front.play(|_| {
        Effect::alter(|mut answer| {
            if let Ok(text) = std::str::from_utf8(&answer.body)
                && answer.is_document()
            {
                let text = text.replace("FAKE", CANARY).replace(r#""env": "prod""#, &format!(r#""env": "{CANARY}""#));
                answer.body = text.replace(r#""env":"prod""#, &format!(r#""env":"{CANARY}""#)).into_bytes();
            }
            answer
        })
    });
    front
}

#[test]
fn secrets_of_an_account_are_told_nowhere_and_values_are_not_asked_for() {
    let estate = Estate::of_ministack();
    let front = planted(&estate);
    let services = "apigateway,cloudfront,cognito-idp,lambda,secretsmanager,ssm";
    let backup = ["backup", "--aws", "--only", services];
    for talk in [&[][..], &["--json"], &["--verbose"], &["--json", "--verbose"]] {
        let all = [&backup[..], talk].concat();
        assert_silent(&estate.snap_at(&front.endpoint(), &all), &all);
    }
    let seen = front.take();
    assert!(seen.iter().any(|seen| seen.service == "ssm") && seen.iter().any(|seen| seen.service == "secretsmanager"));
    assert!(seen.iter().all(|seen| !NEVER_ASKED.contains(&seen.action.as_str())));
    for command in [
        &["ls", "latest"][..],
        &["ls", "--long", "latest"],
        &["snapshots"],
        &["stats"],
        &["check", "--read-data"],
        &["find", "config.json"],
        &["diff", "latest~1", "latest"],
    ] {
        for talk in [&[][..], &["--json"], &["--verbose"]] {
            let all = [command, talk].concat();
            assert_silent(&estate.snap(&all), &all);
        }
    }
    let kept = files(estate.home.path());
    assert!(kept.len() > 5, "{kept:?}");
    for path in kept {
        assert!(!holds(&std::fs::read(&path).expect("it can be read")), "{}", path.display());
    }
    // They are there: a restore gives them back, to its owner alone.
    let target = estate.home.path().join("restored");
    let restored = estate.snap(&["restore", "latest", "--target", target.to_str().expect("UTF-8")]);
    assert_silent(&restored, &["restore"]);
    let holding: Vec<PathBuf> =
        files(&target).into_iter().filter(|path| holds(&std::fs::read(path).expect("it can be read"))).collect();
    let in_folder = |folder: &str| holding.iter().any(|path| path.starts_with(target.join(folder)));
    for folder in ["lambda-functions", "cloudfront-distributions", "api-gateway"] {
        assert!(in_folder(folder), "{folder}: {holding:?}");
    }
    assert!(!in_folder("parameters") && !in_folder("secrets"), "{holding:?}");
}
