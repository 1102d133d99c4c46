//! What stands between a request and its answer: a limit to silence, and a look into answers that claim success.

use std::pin::pin;
use std::time::Duration;

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use crate::storage::s3::body::Movement;
use crate::storage::s3::error::Trouble;

/// Waits for `work` as long as something moves: it is given up when `patience` passes without a frame sent or an answer.
pub(super) async fn in_time<T>(
    patience: Duration,
    movement: &Movement,
    work: impl Future<Output = T>,
) -> Result<T, Trouble> {
    let mut work = pin!(work);
    loop {
        let before = movement.count();
        match tokio::time::timeout(patience, &mut work).await {
            Ok(answer) => return Ok(answer),
            Err(_) if movement.count() != before => {}
            Err(_) => return Err(Trouble::no_answer(format!("nothing moved for {patience:?}"))),
        }
    }
}

/// Makes an error of a success that carries one: S3 sends its `200` before it knows how a long request ends.
#[derive(Debug)]
pub(super) struct NoErrorInSuccess;

impl Intercept for NoErrorInSuccess {
    fn name(&self) -> &'static str {
        "NoErrorInSuccess"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The content of an object is still on its way here, and is none of this.
        let body = context.response().body().bytes().unwrap_or_default();
        let carries_error = body.windows(6).take(1000).any(|window| window == b"<Error");
        if context.response().status().is_success() && carries_error {
            return Err("the store says success and error at once".into());
        }
        Ok(())
    }
}
