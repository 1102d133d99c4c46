//! The answer as it came over the wire: the SDK signs, sends and finds endpoints, and the bytes are the record.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// An answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw {
    /// The operation, as the service's model calls it.
    pub(super) operation: String,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Keeps the last answer of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(Arc<Mutex<Option<Raw>>>);

impl Recorder {
    /// What was answered, if anything was.
    pub(super) fn take(&self) -> Option<Raw> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    // Hooks before this one see a stream that was not read yet.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let Some(body) = answer.body().bytes() else { return Ok(()) };
        let raw = Raw {
            operation: settings.load::<Metadata>().map(|of| of.name().to_owned()).unwrap_or_default(),
            status: answer.status().as_u16(),
            headers: answer.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.to_vec(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(raw);
        Ok(())
    }
}

/// Refuses an answer in XML that ends before its first element does: the SDK reads what there is and misses nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct WholeXml;

#[dyn_dispatch_hint]
impl Intercept for WholeXml {
    fn name(&self) -> &'static str {
        "whole-xml"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let is_cut = answer.status().is_success() && !answer.body().bytes().is_none_or(is_whole_xml);
        if is_cut { Err("the answer ends in the middle".into()) } else { Ok(()) }
    }
}

/// Whether what begins with an element ends with it; nothing at all is whole too.
fn is_whole_xml(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return true;
    }
    let begin = match text.strip_prefix("<?") {
        Some(declaration) => declaration.split_once("?>").map_or("", |(_, rest)| rest.trim_start()),
        None => text,
    };
    let Some((tag, rest)) = begin.strip_prefix('<').and_then(|root| root.split_once('>')) else { return false };
    let name = tag.split(|character: char| character.is_whitespace() || character == '/').next().unwrap_or_default();
    if tag.ends_with('/') { rest.is_empty() } else { rest.ends_with(&format!("</{name}>")) }
}

/// Keeps the headers of the last answer of one call, refused or not; for answers whose bodies are streams.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Arc<Mutex<Vec<(String, String)>>>);

impl Headers {
    /// The headers, where anything was answered; their names in small letters.
    pub(super) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[dyn_dispatch_hint]
impl Intercept for Headers {
    fn name(&self) -> &'static str {
        "headers"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers().iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = headers;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_whole_xml;

    #[test]
    fn xml_is_whole_where_its_first_element_ends() {
        for whole in
            ["", "\n", "<?xml version=\"1.0\"?>\n<A xmlns=\"a\"><B>1</B></A>\n", "<A/>", "<A b=\"/\" />", "<A></A>"]
        {
            assert!(is_whole_xml(whole.as_bytes()), "{whole}");
        }
        for cut in
            ["<A", "<?xml", "<?xml version=\"1.0\"?>", "<A>", "<A><B>1</B>", "<A><B>1</B></", "<A><B/>", "<A/><B"]
        {
            assert!(!is_whole_xml(cut.as_bytes()), "{cut}");
        }
    }
}
