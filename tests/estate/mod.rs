//! The estate, captured from emulators not written here, against what boto3 reads of the same account.

#[cfg(feature = "google")]
mod apps_script;
mod canaries;
mod configured;
mod engine;
mod environment;
mod faults;
#[expect(dead_code, reason = "the benches want more of it")]
pub(crate) mod front;
#[cfg(feature = "google")]
mod google;
mod keys;
mod launch_agents;
mod lister;
mod many;
mod shelf;
mod stage;
mod trouble;
mod views;
mod zips;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value;
use snap::source::aws::SERVICES;

use crate::servers::{Server, installed};
use stage::{REGION, Stage};

/// An emulator with a small estate in it.
struct Estate {
    server: Server,
    home: tempfile::TempDir,
}

impl Estate {
    fn of_ministack() -> Self {
        let server = Server::start(
            &installed("ministack"),
            |_, _| Vec::new(),
            |command, (port, folder)| {
                command.env("BIND_HOST", "127.0.0.1").env("MINISTACK_HOST", "127.0.0.1");
                command.env("GATEWAY_PORT", port.to_string()).env("STATE_DIR", folder);
                command.env("MINISTACK_AUTOCREATE_AWS_MANAGED", "1").env("LOG_LEVEL", "WARNING");
            },
        );
        Self::built(server)
    }

    fn of_moto() -> Self {
        let arguments = |port: u16, _: &Path| ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).to_vec();
        let server = Server::start(&installed("moto_server"), arguments, |command, _| {
            // Certificates are valid at once, and not so many seconds later.
            command.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true").env("MOTO_ACM_VALIDATION_WAIT", "0");
        });
        Self::built(server)
    }

    fn built(server: Server) -> Self {
        let estate = Self { server, home: tempfile::tempdir().expect("a folder") };
        let output = estate.python("fixtures/estate.py", &["--endpoint", &estate.endpoint(), "--scale", "mini"]);
        assert!(output.status.success(), "{output:?}");
        estate
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    fn python(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(installed("python"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).args(arguments);
        command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("it starts")
    }

    /// Runs the program with the credentials that emulators take.
    fn snap(&self, arguments: &[&str]) -> Output {
        self.snap_at(&self.endpoint(), arguments)
    }

    /// The same, with the emulator behind something.
    fn snap_at(&self, endpoint: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
        command.args(arguments).env_clear().env("HOME", self.home.path()).env("AWS_ENDPOINT_URL", endpoint);
        command.env("AWS_ACCESS_KEY_ID", "testing").env("AWS_SECRET_ACCESS_KEY", "testing").env("AWS_REGION", REGION);
        command.output().expect("it starts")
    }

    /// Captures these services; what the summary says, and all that was said on the way.
    fn back_up(&self, services: &str) -> (Value, String) {
        let output = self.snap(&["backup", "--aws", "--only", services, "--json"]);
        let status = output.status.code();
        assert!(matches!(status, Some(0 | 3)), "{output:?}");
        let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        let summary = serde_json::from_str(&last).expect("a summary");
        (summary, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What the latest snapshot of these services holds, but for what boto3 reads the same.
    fn differences(&self, services: &str) -> Vec<String> {
        let target = self.home.path().join("restored");
        let restored = self.snap(&["restore", "latest", "--target", target.to_str().expect("UTF-8")]);
        assert!(restored.status.success(), "{restored:?}");
        let endpoint = self.endpoint();
        let mut arguments = vec![endpoint.as_str(), REGION, target.to_str().expect("UTF-8")];
        arguments.extend(services.split(','));
        let output = self.python("tests/estate/compare.py", &arguments);
        let found = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(output.status.success(), found.is_empty(), "{output:?}");
        std::fs::remove_dir_all(&target).expect("the copy goes");
        found
    }
}

/// A stage before an emulator that nobody changes, shared by whoever has one at the same time.
fn untouched() -> Stage {
    static SHARED: Mutex<Weak<Estate>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let estate = shared.upgrade().unwrap_or_else(|| Arc::new(Estate::of_ministack()));
    *shared = Arc::downgrade(&estate);
    Stage::before(SocketAddr::from((Ipv4Addr::LOCALHOST, estate.server.port)), Some(estate))
}

/// What each emulator does not say as AWS does is not compared, and what it says anew each time may change.
fn captured_is_what_boto3_reads(estate: &Estate, services: &str, moving: &[&str]) {
    let (first, said) = estate.back_up(services);
    assert!(first["summary"]["new"].as_u64().is_some_and(|new| new > 0), "{first}: {said}");
    assert_eq!(estate.differences(services), Vec::<String>::new(), "{said}");
    let constant: Vec<&str> = services.split(',').filter(|service| !moving.contains(service)).collect();
    let (second, said) = estate.back_up(&constant.join(","));
    let counts = ["new", "changed", "removed"].map(|count| second["summary"][count].as_u64());
    assert_eq!(counts, [Some(0); 3], "{second}: {said}");
}

/// All but what the emulator does not know at all.
fn all_but(unknown: &[&str]) -> String {
    let known: Vec<&str> = SERVICES.iter().copied().filter(|service| !unknown.contains(service)).collect();
    known.join(",")
}

#[test]
fn what_is_captured_of_ministack_is_what_boto3_reads() {
    captured_is_what_boto3_reads(&Estate::of_ministack(), &all_but(&["application-autoscaling"]), &[]);
}

#[test]
fn what_is_captured_of_moto_is_what_boto3_reads() {
    // It draws the account of a user pool's domain anew for every answer.
    captured_is_what_boto3_reads(&Estate::of_moto(), &all_but(&[]), &["cognito-idp"]);
}

/// Views as the program shows them, of functions and buckets that were truly captured.
#[test]
fn the_program_lists_reads_compares_and_restores_views() {
    let estate = Estate::of_ministack();
    let (_, said) = estate.back_up("lambda,s3");
    let ran = |arguments: &[&str]| {
        let output = estate.snap(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?} after {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listed = ran(&["ls", "latest"]);
    let member = listed.lines().find(|line| line.contains("/source/")).expect("a function has members").to_owned();
    let (function, name) = member.split_once("/source/").expect("it was looked for");
    assert!(listed.lines().any(|line| line == format!("{function}/function.zip")), "{listed}");
    assert_eq!(ran(&["ls", &format!("latest:{member}")]).trim_end(), member);
    let content = ran(&["cat", &format!("latest:{member}")]);
    let target = estate.home.path().join("members");
    let target_text = target.to_str().expect("UTF-8");
    ran(&["restore", "latest", "--target", target_text, "--include", &format!("{function}/source")]);
    let restored = std::fs::read(target.join(&member)).expect("the member");
    assert_eq!(String::from_utf8_lossy(&restored), content);
    assert!(!target.join(function).join("function.zip").exists());
    let found: Value = serde_json::from_str(&ran(&["find", name, "--json"])).expect("JSON");
    assert!(found.to_string().contains(&member), "{found}");
    let document: Value = serde_json::from_str(&ran(&["cat", "latest:SNAPSHOT-METADATA.json"])).expect("JSON");
    assert!(document["sources"]["lambda"]["resources"].as_u64().is_some_and(|count| count > 0), "{document}");
    let top = ran(&["ls", "latest", "--no-recursive"]);
    assert!(top.lines().any(|line| line == "SNAPSHOT-METADATA.json"), "{top}");
    let list = listed.lines().find(|line| line.ends_with("@objects.jsonl")).expect("a bucket has a list");
    for line in ran(&["cat", &format!("latest:{list}")]).lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert!(line["key"].is_string() && line["path"].is_string(), "{line}");
    }
    estate.back_up("lambda,s3");
    assert_eq!(ran(&["diff", "latest~1", "latest", "--name-status"]), "");
}
