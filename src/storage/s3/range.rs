//! Ranges as HTTP writes them, and which bytes of an answer were asked for.
//!
//! HTTP knows no empty range, no end beyond 63 bits in every store, and says 416 for the last bytes of an empty object;
//! what it cannot say is answered from the object's size.

use std::ops::Range;

use crate::storage::ByteRange;
use crate::storage::StorageErrorKind;
use crate::storage::s3::error::Trouble;

/// Longer than any object of any store; some read a longer number wrongly.
const SIZE_MAX: u64 = 1 << 50;

/// How a range is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Without a range.
    Whole,
    /// With this `Range` header.
    Part(String),
    /// Only the size is needed: the range is empty, or longer than any object.
    Size,
}

impl Wanted {
    pub(super) fn of(range: ByteRange) -> Self {
        match range {
            ByteRange::All => Self::Whole,
            ByteRange::From { length: 0, .. } | ByteRange::Suffix(0) => Self::Size,
            ByteRange::From { offset, length } => match offset.checked_add(length) {
                Some(end) if end <= SIZE_MAX => Self::Part(format!("bytes={offset}-{}", end - 1)),
                _ => Self::Size,
            },
            ByteRange::Suffix(length) => Self::Part(format!("bytes=-{}", length.min(SIZE_MAX))),
        }
    }
}

/// Which bytes of an object an answer brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Brought {
    /// The bytes.
    pub(super) range: Range<u64>,
    /// Size of the object.
    pub(super) total: u64,
}

impl Brought {
    /// Reads `Content-Range` and `Content-Length`, which must agree; without the first the whole object comes.
    pub(super) fn of(content_range: Option<&str>, content_length: Option<i64>) -> Result<Self, Trouble> {
        let odd = |what: &str| Trouble::no_answer(format!("the answer has no plausible {what}"));
        let length = content_length.and_then(|length| u64::try_from(length).ok()).ok_or_else(|| odd("length"))?;
        let brought = match content_range {
            None => Self { range: 0..length, total: length },
            Some(text) => parse(text).ok_or_else(|| odd("range"))?,
        };
        if brought.range.end - brought.range.start != length {
            return Err(odd("range"));
        }
        Ok(brought)
    }

    /// Where in the answer's bytes the wanted ones are. A store may cut a range at the object's end, or not know ranges
    /// and bring all of it.
    pub(super) fn find(&self, wanted: ByteRange) -> Result<Range<u64>, Trouble> {
        let wanted = wanted
            .within(self.total)
            .ok_or_else(|| Trouble::new(StorageErrorKind::OutOfRange, format!("it has {} bytes", self.total)))?;
        if wanted.start < self.range.start || wanted.end > self.range.end {
            return Err(Trouble::no_answer(format!("bytes {:?} came for {wanted:?}", self.range)));
        }
        Ok(wanted.start - self.range.start..wanted.end - self.range.start)
    }
}

/// `bytes 0-9/20`
fn parse(text: &str) -> Option<Brought> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some(Brought { range: first..last + 1, total })
}

#[cfg(test)]
mod tests {
    use super::{Brought, Wanted};
    use crate::storage::{ByteRange, StorageErrorKind};

    #[test]
    fn what_http_cannot_say_is_answered_from_the_size() {
        let from = |offset, length| Wanted::of(ByteRange::From { offset, length });
        assert_eq!(from(4, 6), Wanted::Part("bytes=4-9".to_owned()));
        for wanted in [from(4, 0), from(u64::MAX, 1), from(0, u64::MAX), Wanted::of(ByteRange::Suffix(0))] {
            assert_eq!(wanted, Wanted::Size);
        }
        assert_eq!(Wanted::of(ByteRange::Suffix(u64::MAX)), Wanted::Part("bytes=-1125899906842624".to_owned()));
    }

    #[test]
    fn an_answer_must_bring_what_was_asked_for() {
        let brought = Brought::of(Some("bytes 4-9/20"), Some(6)).expect("it is plausible");
        assert_eq!(brought.find(ByteRange::From { offset: 4, length: 6 }).expect("all of it"), 0..6);
        assert_eq!(brought.find(ByteRange::From { offset: 5, length: 2 }).expect("a part"), 1..3);
        for wrong in [ByteRange::From { offset: 3, length: 7 }, ByteRange::Suffix(6), ByteRange::All] {
            assert_eq!(brought.find(wrong).expect_err("not that").kind, StorageErrorKind::Unreachable);
        }
        let short = brought.find(ByteRange::From { offset: 4, length: 17 }).expect_err("it is shorter");
        assert_eq!(short.kind, StorageErrorKind::OutOfRange);
        let whole = Brought::of(None, Some(20)).expect("it is plausible");
        assert_eq!(whole.find(ByteRange::Suffix(5)).expect("it is in there"), 15..20);
    }

    #[test]
    fn an_implausible_answer_is_none() {
        for (range, length) in [
            (Some("bytes 4-9/20"), Some(7)),
            (Some("bytes 9-4/20"), Some(6)),
            (Some("bytes 4-20/20"), Some(17)),
            (Some("bytes */20"), Some(0)),
            (Some("4-9/20"), Some(6)),
            (None, None),
            (None, Some(-1)),
        ] {
            let error = Brought::of(range, length).expect_err("implausible");
            assert_eq!(error.kind, StorageErrorKind::Unreachable);
        }
    }
}
