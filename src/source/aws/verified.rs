//! A download whose bytes must have the hash that the service states.

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::entry::Metadata;
use crate::source::aws::download::Download;
use crate::source::estate::{Problem, Remote};

/// A download that ends with an error where its SHA-256 is another than stated.
pub(super) struct Verified {
    inner: Download,
    hash: Context,
    /// In base64; nothing is checked where the service states none.
    stated: String,
}

impl Verified {
    pub(super) fn new(inner: Download, stated: &str) -> Self {
        Self { inner, hash: Context::new(&SHA256), stated: stated.to_owned() }
    }
}

#[async_trait]
impl Remote for Verified {
    fn size(&self) -> Option<u64> {
        self.inner.size()
    }

    async fn open(&mut self) -> Result<Option<Metadata>, Problem> {
        self.hash = Context::new(&SHA256);
        self.inner.open().await
    }

    fn begin_anew(&mut self) -> bool {
        self.inner.begin_anew()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        match self.inner.next().await? {
            Some(bytes) => {
                self.hash.update(&bytes);
                Ok(Some(bytes))
            }
            None => {
                let found = aws_smithy_types::base64::encode(self.hash.clone().finish());
                if self.stated.is_empty() || self.stated == found {
                    return Ok(None);
                }
                let reason = format!("the service states the SHA-256 {}, and what came has {found}", self.stated);
                Err(self.inner.problem("WrongHash", reason))
            }
        }
    }
}
