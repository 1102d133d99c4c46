//! Google Apps Script, captured from a service of our own: every byte that it has, whatever goes wrong on the way.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use snap::operation::backup::BackupReport;
use snap::repository::Repository;
use snap::resource::Coverage;
use snap::source::apps_script::credentials::Credentials;
use snap::source::apps_script::{AppsScript, AppsScriptSettings, Listing, Versions};
use snap::source::estate::{Problem, Source};
use zeroize::Zeroizing;

use super::engine::{capture_all, entries, gaps, record, repository};
use super::google::{CLIENT, EMAIL, Google, Project, REFRESH_TOKEN, refused};
use crate::s3::http::Answer;

fn file(name: &str, kind: &str, source: &str) -> Value {
    json!({"name": name, "type": kind, "source": source, "createTime": "2026-01-01T00:00:00Z", "unheardOf": [1]})
}

fn project(id: &str, title: &str, files: &[Value]) -> Project {
    let version = |number: u64| json!({"scriptId": id, "versionNumber": number, "description": format!("v{number}")});
    let deployment = |name: &str| json!({"deploymentId": name, "deploymentConfig": {"scriptId": id}});
    let old = |number: u64| json!({"scriptId": id, "files": [file("Code", "SERVER_JS", &format!("// {number}"))]});
    let numbers = [11, 10, 3, 2, 1];
    Project {
        project: json!({"scriptId": id, "title": title, "updateTime": "2026-01-02T03:04:05Z", "new": {"a": null}}),
        content: json!({"scriptId": id, "files": files}),
        versions: numbers.map(version).to_vec(),
        contents: numbers.map(|number| (number, old(number))).into_iter().collect(),
        deployments: ["a", "b", "c"].map(deployment).to_vec(),
    }
}

/// Manifest, two scripts in an order of their own, a page, a file without text.
fn files() -> Vec<Value> {
    vec![
        file("appsscript", "JSON", "{\"timeZone\": \"Europe/Zurich\"}\n"),
        file("zuerst", "SERVER_JS", "const a = 1;\r\n"),
        file("lib/Code", "SERVER_JS", "/* é */ a;\u{0}"),
        file("page", "HTML", "<b>&amp;</b>"),
        json!({"name": "empty", "type": "SERVER_JS"}),
    ]
}

/// A file of credentials that goes with the test.
struct Kept(tempfile::TempDir);

impl Kept {
    fn new(content: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("credentials.json"), content.to_string()).expect("a file");
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("credentials.json")
    }

    fn credentials(&self) -> Credentials {
        Credentials::File { path: self.path(), user: None }
    }
}

fn user() -> Kept {
    Kept::new(&json!({"type": "authorized_user", "client_id": CLIENT[0], "client_secret": CLIENT[1],
        "refresh_token": REFRESH_TOKEN}))
}

fn settings(google: &Google, kept: &Kept) -> AppsScriptSettings {
    AppsScriptSettings { credentials: kept.credentials(), endpoints: google.endpoints(), ..Default::default() }
}

fn back_up(repository: &Arc<Repository>, settings: &AppsScriptSettings) -> BackupReport {
    capture_all(repository, vec![Arc::new(AppsScript::new(settings.clone()))])
}

/// What is said of anything that could not be had, in all the ways in which it is.
fn problems(settings: &AppsScriptSettings) -> Vec<(String, Problem)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(AppsScript::new(settings.clone()).discover()).expect("folders").unknown
}

/// What a project must be, from what the service has, said another way than the source says it.
fn expected(id: &str, project: &Project, versions: bool) -> BTreeMap<String, Vec<u8>> {
    let pretty = |value: &Value| [serde_json::to_vec_pretty(value).expect("JSON"), b"\n".to_vec()].concat();
    let mut all = BTreeMap::new();
    let mut add_files = |folder: &str, content: &Value| {
        let mut listed = content.clone();
        for file in listed["files"].as_array_mut().expect("files") {
            let ending = BTreeMap::from([("SERVER_JS", "gs"), ("HTML", "html"), ("JSON", "json")]);
            let ending = ending[file["type"].as_str().expect("a type")];
            let source = file.as_object_mut().expect("a file").remove("source").unwrap_or(json!(""));
            let path = format!("{folder}{}.{ending}", file["name"].as_str().expect("a name"));
            all.insert(path, source.as_str().expect("text").as_bytes().to_vec());
        }
        all.insert(format!("{folder}files.json"), pretty(&listed));
    };
    add_files("", &project.content);
    for (number, content) in project.contents.iter().filter(|_| versions) {
        add_files(&format!("versions/{number}/"), content);
    }
    all.insert("project.json".to_owned(), pretty(&project.project));
    all.insert("versions.json".to_owned(), pretty(&json!(project.versions)));
    all.insert("deployments.json".to_owned(), pretty(&json!(project.deployments)));
    let order = ["zuerst.gs", "lib/Code.gs", "empty.gs"];
    let clasp = json!({"scriptId": id, "rootDir": "", "fileExtension": "gs", "scriptExtensions": [".gs"],
        "filePushOrder": order});
    all.insert(".clasp.json".to_owned(), pretty(&clasp));
    all
}

fn captured(repository: &Repository, report: &BackupReport, path: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = entries(repository, record(report, path));
    entries.into_iter().map(|(path, (_, content))| (path, content)).collect()
}

#[test]
fn projects_are_what_the_service_has_and_unchanged_the_second_time() {
    let (google, kept, repository) = (Google::start(), user(), repository());
    let all = [("one", "Mail"), ("two", "Twice"), ("three", "Twice"), ("four", "a/b"), ("bound", "of a sheet")];
    for (id, title) in all {
        google.add(id, project(id, title, &files()));
        if id != "bound" {
            google.list(id, title);
        }
    }
    let settings = AppsScriptSettings { projects: vec!["bound".to_owned()], ..settings(&google, &kept) };
    let report = back_up(&repository, &settings);
    assert_eq!(report.gap_count(), 0);
    let paths: Vec<&str> = report.record.resources.iter().map(|resource| resource.path.as_str()).collect();
    let wanted = ["gas-projects/Mail", "gas-projects/Twice@three", "gas-projects/Twice@two"];
    assert_eq!(paths, [&wanted[..], &["gas-projects/a%252Fb", "gas-projects/of a sheet"]].concat());
    for (path, (id, title)) in paths.iter().zip([all[0], all[2], all[1], all[3], all[4]]) {
        let wanted = expected(id, &project(id, title, &files()), false);
        assert_eq!(captured(&repository, &report, path), wanted, "{path}");
        let attributes = &record(&report, path).attributes;
        assert_eq!((attributes["id"].as_str(), attributes["title"].as_str()), (id, title));
        assert_eq!(attributes["unavailable"], "triggers, script properties");
    }
    let second = back_up(&repository, &settings).record.summary;
    assert_eq!((second.new, second.changed, second.removed), (0, 0, 0));
}

#[test]
fn versions_are_captured_by_choice_in_the_order_of_paths() {
    let (google, kept, repository) = (Google::start(), user(), repository());
    let mut files = files();
    files.push(file("zzz", "SERVER_JS", "last"));
    let mut all = project("one", "Mail", &files);
    google.add("one", all.clone());
    let settings = AppsScriptSettings {
        projects: vec!["one".to_owned()],
        listing: Listing::Named,
        versions: Versions::Content,
        ..settings(&google, &kept)
    };
    let report = back_up(&repository, &settings);
    assert_eq!(gaps(record(&report, "gas-projects/Mail")), []);
    let mut found = captured(&repository, &report, "gas-projects/Mail");
    let ignored = found.remove(".claspignore").expect("clasp passes versions over");
    assert!(String::from_utf8(ignored).expect("text").lines().any(|line| line == "versions/[0-9]*/**"));
    let order = found.remove(".clasp.json").expect("it is there");
    assert!(String::from_utf8(order).expect("text").contains("zzz.gs"));
    let mut wanted = expected("one", &all, true);
    wanted.remove(".clasp.json");
    assert_eq!(found, wanted);
    assert!(!google.asked().iter().any(|asked| asked.contains("/drive/")), "only what is named is asked for");
    // One version that is refused is a gap, and all others are there.
    google.plan("versionNumber=10", 9, refused(403, "PERMISSION_DENIED", "no"));
    all.contents.remove(&10);
    let report = back_up(&repository, &settings);
    let denied = ("versions/10".to_owned(), "PERMISSION_DENIED".to_owned());
    assert_eq!(gaps(record(&report, "gas-projects/Mail")), [denied]);
    let found = captured(&repository, &report, "gas-projects/Mail");
    assert!(expected("one", &all, true).keys().all(|path| found.contains_key(path)));
    assert!(!found.contains_key("versions/10/Code.gs"));
}

#[test]
fn names_that_lead_elsewhere_or_are_taken_are_gaps_and_their_text_is_kept() {
    let (google, kept, repository) = (Google::start(), user(), repository());
    let bad = ["../x", "a/../../x", "/x", "x/", "a//b", "", ".", "a/..", "nul\u{0}"];
    let mut files: Vec<Value> = bad.iter().map(|name| file(name, "SERVER_JS", &format!("text of {name}"))).collect();
    files.extend([file("same", "HTML", "first"), file("same", "HTML", "second")]);
    files.extend([file("project", "JSON", "mine"), file(".clasp", "JSON", "mine"), file("files", "JSON", "mine")]);
    files.extend([file("versions/1/Code", "SERVER_JS", "mine"), file("x", "TYPE_OF_TOMORROW", "new")]);
    files.extend([file("a", "SERVER_JS", "file"), file("a.gs/b", "SERVER_JS", "below")]);
    google.add("one", project("one", "Mail", &files));
    google.list("one", "Mail");
    let settings = AppsScriptSettings { versions: Versions::Content, ..settings(&google, &kept) };
    let report = back_up(&repository, &settings);
    let gaps = gaps(record(&report, "gas-projects/Mail"));
    let count = |word: &str| gaps.iter().filter(|(path, code)| path == "files.json" && code == word).count();
    assert_eq!((count("BadName"), count("DuplicateName"), count("UnknownType"), gaps.len()), (bad.len(), 5, 1, 15));
    let found = captured(&repository, &report, "gas-projects/Mail");
    assert_eq!(
        (&found["same.html"][..], &found["a.gs"][..], &found["a.gs/b.gs"][..]),
        (&b"first"[..], &b"file"[..], &b"below"[..])
    );
    assert_eq!(found["versions/1/Code.gs"], b"// 1");
    for path in found.keys() {
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path}");
    }
    let kept: Value = serde_json::from_slice(&found["files.json"]).expect("JSON");
    for (file, wanted) in kept["files"].as_array().expect("files").iter().zip(&files) {
        if file.get("source").is_some() {
            assert_eq!(file, wanted);
        }
    }
    let texts = kept["files"].as_array().expect("files").iter().filter(|file| file.get("source").is_some()).count();
    assert_eq!(texts, 15);
}

#[test]
fn a_token_is_renewed_once_where_it_is_refused_and_when_it_ends() {
    let (google, kept) = (Google::start(), user());
    google.add("one", project("one", "Mail", &files()));
    google.list("one", "Mail");
    let settings = settings(&google, &kept);
    let refuse = refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    google.plan("/content", 1, refuse.clone());
    assert_eq!(back_up(&repository(), &settings).gap_count(), 0);
    assert_eq!(google.given(), 2);
    // Each token lasts shorter than a call may take.
    google.expire(30);
    google.asked();
    assert_eq!(back_up(&repository(), &settings).gap_count(), 0);
    let asked = google.asked();
    let count = |part: &str| asked.iter().filter(|asked| asked.contains(part)).count();
    assert_eq!(count("POST /token"), asked.len() / 2, "{asked:?}");
    // A service that refuses every token is not asked for ever.
    google.expire(3600);
    google.plan("/deployments", 99, refuse);
    google.asked();
    let report = back_up(&repository(), &settings);
    let wanted = ("deployments.json".to_owned(), "UNAUTHENTICATED".to_owned());
    assert_eq!(gaps(record(&report, "gas-projects/Mail")), [wanted]);
    assert_eq!(google.asked().iter().filter(|asked| asked.contains("/deployments")).count(), 2);
}

#[test]
fn a_service_account_signs_who_it_is_and_what_it_wants() {
    let google = Google::start();
    google.add("one", project("one", "Mail", &files()));
    google.list("one", "Mail");
    let kept = Kept::new(&google.service_account());
    assert_eq!(back_up(&repository(), &settings(&google, &kept)).gap_count(), 0);
    let credentials = Credentials::File { path: kept.path(), user: Some("me@example.com".to_owned()) };
    let acting = AppsScriptSettings { credentials, ..settings(&google, &kept) };
    assert_eq!(back_up(&repository(), &acting).gap_count(), 0);
    let claims = google.claims();
    assert_eq!(claims.len(), 2, "one token is enough for a run");
    let scopes: Vec<&str> = claims[0]["scope"].as_str().expect("scopes").split(' ').collect();
    let scope = |name: &str| format!("https://www.googleapis.com/auth/{name}");
    let wanted = ["script.projects", "script.deployments", "drive.metadata"].map(|name| scope(name) + ".readonly");
    assert_eq!(scopes, wanted);
    assert_eq!((claims[0]["sub"].as_str(), claims[1]["sub"].as_str()), (None, Some("me@example.com")));
    // Another account's key is refused, and nothing of either is told.
    let mut other = Google::start().service_account();
    other["client_email"] = json!(EMAIL);
    let other = Kept::new(&other);
    let problems = problems(&settings(&google, &other));
    assert_eq!(problems[0].1.code, "invalid_grant");
    assert!(!format!("{problems:?}").contains("eyJ"), "{problems:?}");
}

#[test]
fn the_files_of_clasp_are_read_in_every_layout() {
    let google = Google::start();
    google.add("one", project("one", "Mail", &files()));
    google.list("one", "Mail");
    let old = json!({"token": {"access_token": "gone", "refresh_token": REFRESH_TOKEN, "expiry_date": 1},
        "oauth2ClientSettings": {"clientId": CLIENT[0], "clientSecret": CLIENT[1], "redirectUri": "http://localhost"},
        "isLocalCreds": false});
    let new = json!({"tokens": {"default": {"type": "authorized_user", "client_id": CLIENT[0],
        "client_secret": CLIENT[1], "refresh_token": REFRESH_TOKEN, "access_token": "gone"}}});
    for (layout, user) in [(&old, None), (&new, None), (&new, Some("default"))] {
        let kept = Kept::new(layout);
        let credentials = Credentials::File { path: kept.path(), user: user.map(str::to_owned) };
        let settings = AppsScriptSettings { credentials, ..settings(&google, &kept) };
        assert_eq!(back_up(&repository(), &settings).gap_count(), 0, "{layout}");
    }
    let kept = Kept::new(&new);
    let credentials = Credentials::File { path: kept.path(), user: Some("nobody".to_owned()) };
    let nobody = AppsScriptSettings { credentials, ..settings(&google, &kept) };
    assert!(problems(&nobody)[0].1.reason.ends_with("clasp knows no such user"));
    // The oldest has a token and nothing to get another with.
    let kept = Kept::new(&json!({"access_token": format!("SECRET-token-{}", google.given()), "refresh_token": "x"}));
    assert_eq!(back_up(&repository(), &settings(&google, &kept)).gap_count(), 0);
    google.expire(3600);
    let ended = problems(&settings(&google, &kept));
    assert_eq!((ended[0].1.code.as_str(), ended[0].1.hint.is_empty()), ("UNAUTHENTICATED", false));
}

#[test]
fn a_token_command_is_asked_again_when_its_token_is_refused() {
    let (google, kept) = (Google::start(), user());
    google.add("one", project("one", "Mail", &files()));
    google.list("one", "Mail");
    // Somebody else has the service give three tokens; the second one is good.
    assert_eq!(back_up(&repository(), &settings(&google, &kept)).gap_count(), 0);
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let command = move || match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(Zeroizing::new("SECRET-token-0\n".to_owned())),
        1 => Ok(Zeroizing::new("SECRET-token-1\n".to_owned())),
        _ => Err("it failed".to_owned()),
    };
    let by_command =
        AppsScriptSettings { credentials: Credentials::Command(Arc::new(command)), ..settings(&google, &kept) };
    assert_eq!(back_up(&repository(), &by_command).gap_count(), 0);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let failed = problems(&by_command);
    assert_eq!(failed[0].1.reason, "the token command: it failed");
}

#[test]
fn one_project_that_is_refused_stops_no_other_and_the_way_out_is_named() {
    let (google, kept, repository) = (Google::start(), user(), repository());
    for id in ["one", "two", "three"] {
        google.add(id, project(id, &id.to_uppercase(), &files()));
        google.list(id, &id.to_uppercase());
    }
    let message = "User has not enabled the Apps Script API. Enable it by visiting \
                   https://script.google.com/home/usersettings then retry.";
    google.plan("/v1/projects/two", 99, refused(403, "PERMISSION_DENIED", message));
    let named = ["gone", "../one", "two"].map(str::to_owned).to_vec();
    let settings = AppsScriptSettings { projects: named, ..settings(&google, &kept) };
    let report = back_up(&repository, &settings);
    for (path, id) in [("gas-projects/ONE", "one"), ("gas-projects/THREE", "three")] {
        let wanted = expected(id, &project(id, &id.to_uppercase(), &files()), false);
        assert_eq!(captured(&repository, &report, path), wanted);
    }
    let reason = |path: &str| match &record(&report, path).coverage {
        Coverage::Failed { reason } => reason.clone(),
        other => panic!("{path}: {other:?}"),
    };
    let told = reason("gas-projects/TWO");
    assert!(
        told.starts_with(&format!("script:projects.get: PERMISSION_DENIED {message} (switch the Apps Script API on")),
        "{told}"
    );
    assert!(reason("gas-projects/@gone").contains("NOT_FOUND"));
    assert!(reason("gas-projects/@..%252Fone").contains("BadScriptId"));
    // The same of one that only the configuration names, with the way out.
    let alone = AppsScriptSettings { listing: Listing::Named, ..settings };
    let problems = problems(&alone);
    let (path, problem) = &problems[2];
    assert_eq!(path, "gas-projects/@two");
    assert_eq!((problem.action.as_str(), problem.code.as_str()), ("script:projects.get", "PERMISSION_DENIED"));
    assert!(problem.hint.ends_with("https://script.google.com/home/usersettings"), "{problem:?}");
}

#[test]
fn a_busy_service_is_waited_for_and_asked_again() {
    let (google, kept, repository) = (Google::start(), user(), repository());
    google.add("one", project("one", "Mail", &files()));
    google.list("one", "Mail");
    let soon = |status: u16| refused(status, "RESOURCE_EXHAUSTED", "Quota exceeded").with("Retry-After", "0");
    for (part, times, status) in [("/token", 1, 503), ("/drive", 2, 429), ("/content", 5, 429), ("/versions", 3, 500)] {
        google.plan(part, times, soon(status));
    }
    let limited = json!({"error": {"code": 403, "errors": [{"reason": "userRateLimitExceeded"}]}});
    google.plan("/deployments", 1, Answer::new(403).with("Retry-After", "0").body(limited.to_string().into()));
    let report = back_up(&repository, &settings(&google, &kept));
    assert_eq!(report.gap_count(), 0);
    let wanted = expected("one", &project("one", "Mail", &files()), false);
    assert_eq!(captured(&repository, &report, "gas-projects/Mail"), wanted);
    // But not for ever: six times, or never where it wants to be left alone for hours.
    google.plan("/content", 99, soon(429));
    google.plan("/versions", 99, refused(429, "RESOURCE_EXHAUSTED", "Quota").with("Retry-After", "86400"));
    google.asked();
    let report = back_up(&repository, &settings(&google, &kept));
    let busy = |path: &str| (path.to_owned(), "RESOURCE_EXHAUSTED".to_owned());
    assert_eq!(gaps(record(&report, "gas-projects/Mail")), [busy("versions.json"), busy("")]);
    let asked = google.asked();
    let count = |part: &str| asked.iter().filter(|asked| asked.contains(part)).count();
    assert_eq!((count("/content"), count("/versions")), (6, 1));
}

#[test]
fn lists_that_go_in_circles_or_lead_elsewhere_are_errors() {
    let (google, kept, repository) = (Google::start(), user(), repository());
    google.add("one", project("one", "Mail", &files()));
    google.list("one", "Mail");
    let circle = json!({"versions": [{"versionNumber": 1}], "nextPageToken": "again"});
    google.plan("/versions", 99, Answer::new(200).body(circle.to_string().into()));
    let away = Answer::new(302).with("Location", "http://127.0.0.1:1/elsewhere");
    google.plan("/deployments", 99, away);
    google.plan("/content", 99, Answer::new(200).body("<html>not JSON</html>".into()));
    let report = back_up(&repository, &settings(&google, &kept));
    let gap = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    let wanted =
        [gap("versions.json", "EndlessPages"), gap("deployments.json", "ForeignAddress"), gap("", "UnreadableAnswer")];
    assert_eq!(gaps(record(&report, "gas-projects/Mail")), wanted);
    // What a search that is not complete did find is captured.
    let searched = json!({"files": [{"id": "one", "name": "Mail"}], "incompleteSearch": true});
    google.plan("/drive", 1, Answer::new(200).body(searched.to_string().into()));
    let report = back_up(&repository, &settings(&google, &kept));
    let coverage = &record(&report, "gas-projects").coverage;
    assert!(matches!(coverage, Coverage::Failed { reason } if reason.contains("IncompleteSearch")), "{coverage:?}");
    assert!(captured(&repository, &report, "gas-projects/Mail").contains_key("project.json"));
}

#[test]
fn no_secret_is_told_in_any_problem_or_setting() {
    let google = Google::start();
    let mut wrong = google.service_account();
    wrong["private_key"] = json!(wrong["private_key"].as_str().expect("a key").replace("-----BEGIN", "-----BEGUN"));
    let mut of_nobody = google.service_account();
    of_nobody["client_email"] = json!("SECRET-nobody");
    let files = [
        json!({"type": "authorized_user", "client_id": CLIENT[0], "client_secret": "SECRET-false",
            "refresh_token": REFRESH_TOKEN}),
        json!({"type": "external_account", "refresh_token": REFRESH_TOKEN}),
        json!({"tokens": {"default": "SECRET-text"}}),
        json!("SECRET-text"),
        wrong,
        of_nobody,
    ];
    for file in files {
        let kept = Kept::new(&file);
        let settings = settings(&google, &kept);
        let told = format!("{:?} {settings:?}", problems(&settings));
        assert!(!told.contains("SECRET") && !told.contains(&google.key_text()), "{told}");
        assert!(told.contains("NoCredentials") || told.contains("invalid_grant"), "{told}");
    }
    let kept = user();
    std::fs::write(kept.path(), "{\"refresh_token\": \"SECRET-half").expect("a file");
    let told = format!("{:?}", problems(&settings(&google, &kept)));
    assert!(told.contains("it is no JSON") && !told.contains("SECRET"), "{told}");
}
