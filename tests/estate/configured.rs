//! What a configuration says of an estate: accounts, what is left out, what a rehearsal tells; and that what was not asked for
//! is not taken for gone.

use std::fs;
use std::process::Output;

use serde_json::Value;

use super::Estate;

/// An account of its own, as ministack takes the number from the key.
const OTHER: &str = "123456789012";

impl Estate {
    fn configure(&self, text: &str) {
        let folder = self.home.path().join(".config/snap");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("snap.toml"), text).expect("written");
    }

    /// The table of an account, with more lines.
    fn account(&self, name: &str, more: &str) -> String {
        format!("[account.{name}]\nendpoint = '{}'\nregions = ['us-east-1']\n{more}\n", self.endpoint())
    }

    fn lines(&self, words: &[&str]) -> Vec<Value> {
        let output = self.snap(&[words, &["--json"]].concat());
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn listed(&self) -> Vec<String> {
        text(&self.snap(&["ls", "latest"])).lines().map(str::to_owned).collect()
    }

    /// Calls AWS as somebody else would.
    fn boto(&self, code: &str, key: &str) {
        let script = self.home.path().join("call.py");
        let client = format!(
            "import os, boto3\nos.environ.update(AWS_ACCESS_KEY_ID='{key}', AWS_SECRET_ACCESS_KEY='x')\nENDPOINT = '{}'\ndef client(service):\n    \
             return boto3.client(service, endpoint_url=ENDPOINT, region_name='us-east-1')\n{code}\n",
            self.endpoint()
        );
        fs::write(&script, client).expect("written");
        let output = self.python(script.to_str().expect("UTF-8"), &[]);
        assert!(output.status.success(), "{output:?}");
    }
}

fn text(output: &Output) -> String {
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[test]
fn accounts_are_captured_as_configured_and_only_what_was_looked_for_can_be_gone() {
    let estate = Estate::of_ministack();
    let profile = format!("[other]\naws_access_key_id = {OTHER}\naws_secret_access_key = x\n");
    fs::create_dir_all(estate.home.path().join(".aws")).expect("a folder");
    fs::write(estate.home.path().join(".aws/credentials"), profile).expect("written");
    estate.boto("client('dynamodb').create_table(TableName='abroad', BillingMode='PAY_PER_REQUEST',\n  AttributeDefinitions=[{'AttributeName': 'k', 'AttributeType': 'S'}], KeySchema=[{'AttributeName': 'k', 'KeyType': 'HASH'}])", OTHER);
    let two = |more: &str| {
        let home = estate.account("main", &format!("home = true\nonly = ['dynamodb', 's3', 'lambda']\n{more}"));
        format!("{home}{}", estate.account("second", "profile = 'other'\nonly = ['dynamodb', 'iam']"))
    };

    // Two accounts and none at home: the way out is told.
    estate.configure(&two("").replace("home = true", ""));
    let refused = estate.snap(&["backup"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("home = true"), "{refused:?}");

    // What would be called is told, and nothing is stored.
    estate.configure(&two(""));
    let told = estate.lines(&["backup", "--dry-run"]);
    let plan = told.iter().find(|line| line["type"] == "plan").expect("a plan");
    let lambda =
        plan["sources"].as_array().expect("a list").iter().find(|of| of["source"] == "lambda").expect("lambda");
    assert!(lambda["calls"].as_u64() > Some(20) && lambda["resources"].as_array().map(Vec::len) > Some(4), "{lambda}");
    assert_eq!(estate.snap(&["snapshots"]).status.code(), Some(10), "there is not even a repository");

    // Everything of both, names of the second with its number.
    estate.lines(&["backup"]);
    let all = estate.listed();
    let abroad = format!("dynamodb-tables/abroad@{OTHER}:us-east-1/items.jsonl");
    let has = |all: &[String], path: &str| all.iter().any(|line| line.starts_with(path));
    assert!(has(&all, &abroad) && has(&all, &format!("iam-config@{OTHER}/roles.json")), "{all:#?}");
    assert!(
        has(&all, "lambda-functions/") && has(&all, "s3-buckets/jada-cdn/") && !has(&all, "iam-config/"),
        "{all:#?}"
    );

    // What is left out, and a service that is not asked, is not captured, which is not gone; a bucket that is gone is.
    estate.boto(
        "bucket = boto3.resource('s3', endpoint_url=ENDPOINT, region_name='us-east-1').Bucket('salejada-cdn')
bucket.object_versions.delete()
bucket.objects.all().delete()
bucket.delete()",
        "testing",
    );
    estate.configure(&two("exclude = ['s3-buckets/jada-cdn', '*.html']").replace(", 'lambda'", ""));
    estate.lines(&["backup"]);
    let fewer = estate.listed();
    assert!(!has(&fewer, "s3-buckets/jada-cdn/") && !fewer.iter().any(|path| path.ends_with(".html")), "{fewer:#?}");
    let differences = text(&estate.snap(&["diff", "latest~1", "latest"]));
    let of = |sign: &str, path: &str| differences.lines().any(|line| line.starts_with(sign) && line.contains(path));
    assert!(of("- ", "s3-buckets/salejada-cdn"), "{differences}");
    assert!(of("? ", "s3-buckets/jada-cdn") && of("? ", ".html") && of("? ", "lambda-functions/"), "{differences}");
    assert!(!of("- ", "jada-cdn/index.html") && !of("- ", "lambda-functions"), "{differences}");
}
