//! Functions: `functions/<name>.json` says what is known of both stages, `functions/<name>.js` is the code that runs and
//! `functions/<name>.development.js` the code that does not yet.

use std::collections::BTreeSet;

use aws_sdk_cloudfront::types::FunctionStage;
use bytes::Bytes;
use serde_json::Value;

use crate::source::aws::call::{Refusal, answer, ask, list, or_absent, token};
use crate::source::aws::cloudfront::Asked;
use crate::source::aws::document::Document;
use crate::source::aws::listing::at;
use crate::source::estate::Stopped;

/// What is said of a stage that a function never reached.
const ABSENT: &[&str] = &["NoSuchFunctionExists"];

impl Asked<'_> {
    pub(super) async fn capture_functions(&self) -> Result<(), Stopped> {
        let next = token("/FunctionList/NextMarker");
        // Every function has this stage, also where it has the other.
        let stage = FunctionStage::Development;
        let functions = list!(&self.calls, "ListFunctions", next, "/FunctionList/Items", |marker| {
            self.client.list_functions().stage(stage.clone()).set_marker(marker)
        });
        let functions = match functions.await {
            Ok(functions) => functions,
            Err(refusal) => return self.sink.gap("functions", refusal.into_problem()).await,
        };
        let named = |function: &Value| {
            (at(function, "/Name").to_owned(), at(function, "/FunctionMetadata/FunctionARN").to_owned())
        };
        let names: BTreeSet<(String, String)> = functions.iter().map(named).collect();
        for (name, arn) in names {
            self.capture_function(&name, &arn).await?;
        }
        Ok(())
    }

    async fn capture_function(&self, name: &str, arn: &str) -> Result<(), Stopped> {
        let path = format!("functions/{name}.json");
        let mut function = Document::new(self.sink, &path);
        for stage in [FunctionStage::Development, FunctionStage::Live] {
            let request = self.client.describe_function().name(name).stage(stage.clone());
            let known = or_absent(ask!(self.calls, "DescribeFunction", request).await, ABSENT);
            function.part(stage.as_str(), known).await?;
        }
        function.part("Tags", self.tags(arn).await).await?;
        function.send().await?;
        let live = self.code(name, FunctionStage::Live).await;
        let development = self.code(name, FunctionStage::Development).await;
        let differs = live.as_ref().ok() != development.as_ref().ok();
        self.send_code(&format!("functions/{name}.js"), live).await?;
        if differs || development.is_err() {
            self.send_code(&format!("functions/{name}.development.js"), development).await?;
        }
        Ok(())
    }

    /// The code of a stage, where the function reached it.
    async fn code(&self, name: &str, stage: FunctionStage) -> Result<Option<Bytes>, Refusal> {
        let request = self.client.get_function().name(name).stage(stage);
        match answer!(self.calls, "GetFunction", request).await {
            Ok(raw) => Ok(Some(raw.body.into())),
            Err(refusal) if ABSENT.contains(&refusal.code.as_str()) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn send_code(&self, path: &str, code: Result<Option<Bytes>, Refusal>) -> Result<(), Stopped> {
        match code {
            Ok(Some(code)) => self.sink.bytes(path, code).await,
            Ok(None) => Ok(()),
            Err(refusal) => self.sink.gap(path, refusal.into_problem()).await,
        }
    }
}
