//! A limit to silence: a request is given up when nothing moves, however long it takes while something does.
//!
//! So an object is sent in small frames. As one frame, a whole pack would be handed to the connection at once, and nobody
//! could tell a slow line from a dead one.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::storage::s3::error::Trouble;

const FRAME_SIZE: usize = 64 << 10;

/// Counts the frames that a connection took. Shared between a request and whoever waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Movement(Arc<AtomicU64>);

impl Movement {
    /// Frames so far.
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

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

struct Frames {
    rest: Bytes,
    movement: Movement,
}

/// The body of a put; `movement` grows as it is sent.
pub(super) fn body_of(content: Bytes, movement: &Movement) -> ByteStream {
    ByteStream::new(SdkBody::from_body_1_x(Frames { rest: content, movement: movement.clone() }))
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.movement.0.fetch_add(1, Ordering::Relaxed);
        let size = self.rest.len().min(FRAME_SIZE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
