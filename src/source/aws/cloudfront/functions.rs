//! Functions: `functions/<name>.json` says what is known of both stages, `functions/<name>.js` is the code that runs and
//! `functions/<name>.development.js` the code that does not yet. The same of those that answer connections, in
//! `connection-functions`.

use aws_sdk_cloudfront::types::FunctionStage;
use bytes::Bytes;
use serde_json::Value;

use crate::source::aws::call::{Refusal, answer, ask, list, or_absent, token};
use crate::source::aws::cloudfront::Asked;
use crate::source::aws::document::Document;
use crate::source::aws::listing::at;
use crate::source::aws::wire::Raw;
use crate::source::estate::Stopped;

/// What is said of a stage that a function never reached.
const ABSENT: &[&str] = &["NoSuchFunctionExists", "EntityNotFound"];
const STAGES: [FunctionStage; 2] = [FunctionStage::Development, FunctionStage::Live];

/// The code of a stage, where the function reached it.
type Code = Result<Option<Bytes>, Refusal>;

impl Asked<'_> {
    pub(super) async fn capture_functions(&self) -> Result<(), Stopped> {
        // Every function has this stage, also where it has the other.
        let stage = FunctionStage::Development;
        let next = token("/FunctionList/NextMarker");
        let functions = list!(&self.calls, "ListFunctions", next, "/FunctionList/Items", |marker| {
            self.client.list_functions().stage(stage.clone()).set_marker(marker)
        });
        match functions.await {
            Ok(functions) => {
                for function in functions {
                    self.capture_function(&function).await?;
                }
                Ok(())
            }
            Err(refusal) => self.sink.gap("functions", refusal.into_problem()).await,
        }
    }

    async fn capture_function(&self, function: &Value) -> Result<(), Stopped> {
        let name = at(function, "/Name");
        let path = format!("functions/{name}.json");
        let mut document = Document::new(self.sink, &path);
        let mut codes = Vec::new();
        for stage in STAGES {
            let request = self.client.describe_function().name(name).stage(stage.clone());
            let known = or_absent(ask!(self.calls, "DescribeFunction", request).await, ABSENT);
            document.part(stage.as_str(), known).await?;
            let request = self.client.get_function().name(name).stage(stage);
            codes.push(code(answer!(self.calls, "GetFunction", request).await));
        }
        document.part("Tags", self.tags(at(function, "/FunctionMetadata/FunctionARN")).await).await?;
        document.send().await?;
        self.send_codes(&format!("functions/{name}"), codes).await
    }

    pub(super) async fn capture_connection_functions(&self) -> Result<(), Stopped> {
        let stage = FunctionStage::Development;
        let next = token("/NextMarker");
        let functions = list!(&self.calls, "ListConnectionFunctions", next, "/ConnectionFunctions", |marker| {
            self.client.list_connection_functions().stage(stage.clone()).set_marker(marker)
        });
        match functions.await {
            Ok(functions) => {
                for function in functions {
                    self.capture_connection_function(&function).await?;
                }
                Ok(())
            }
            Err(refusal) => self.sink.gap("connection-functions", refusal.into_problem()).await,
        }
    }

    async fn capture_connection_function(&self, function: &Value) -> Result<(), Stopped> {
        let (id, name) = (at(function, "/Id"), at(function, "/Name"));
        let path = format!("connection-functions/{name}.json");
        let mut document = Document::new(self.sink, &path);
        let mut codes = Vec::new();
        for stage in STAGES {
            let request = self.client.describe_connection_function().identifier(id).stage(stage.clone());
            let known = or_absent(ask!(self.calls, "DescribeConnectionFunction", request).await, ABSENT);
            document.part(stage.as_str(), known).await?;
            let request = self.client.get_connection_function().identifier(id).stage(stage);
            codes.push(code(answer!(self.calls, "GetConnectionFunction", request).await));
        }
        document.part("Tags", self.tags(at(function, "/ConnectionFunctionArn")).await).await?;
        document.send().await?;
        self.send_codes(&format!("connection-functions/{name}"), codes).await
    }

    /// The code of both stages, in their order; where they are the same, it is there once.
    async fn send_codes(&self, path: &str, codes: Vec<Code>) -> Result<(), Stopped> {
        let is_same = codes.first() == codes.last();
        for (code, ending) in codes.into_iter().zip([".development.js", ".js"]) {
            match code {
                Ok(Some(_)) if is_same && ending == ".development.js" => {}
                Ok(Some(code)) => self.sink.bytes(&format!("{path}{ending}"), code).await?,
                Ok(None) => {}
                Err(refusal) => self.sink.gap(&format!("{path}{ending}"), refusal.into_problem()).await?,
            }
        }
        Ok(())
    }
}

fn code(answer: Result<Raw, Refusal>) -> Code {
    match answer {
        Ok(raw) => Ok(Some(raw.body.into())),
        Err(refusal) if ABSENT.contains(&refusal.code.as_str()) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
