//! Keys in listings: how they are written, and that they come in order and to an end.

use crate::source::aws::call::{Calls, Refusal};

/// Pages without a key, one after another, that are borne.
const EMPTY_PAGES_MAX: u32 = 100;

/// Watches over a listing: what comes twice or backwards would be lost or have no end.
pub(super) struct Order<'c> {
    calls: &'c Calls<'c>,
    action: &'static str,
    last: Option<Vec<u8>>,
    empty_pages: u32,
}

impl<'c> Order<'c> {
    pub(super) fn new(calls: &'c Calls<'c>, action: &'static str) -> Self {
        Self { calls, action, last: None, empty_pages: 0 }
    }

    /// A page came.
    pub(super) fn begin_page(&mut self, is_empty: bool) -> Result<(), Refusal> {
        self.empty_pages = if is_empty { self.empty_pages + 1 } else { 0 };
        let is_borne = self.empty_pages <= EMPTY_PAGES_MAX;
        is_borne.then_some(()).ok_or_else(|| self.refusal("EndlessPages", "page after page is empty".to_owned()))
    }

    /// A path came, which must be after all before.
    pub(super) fn take(&mut self, path: &[u8]) -> Result<(), Refusal> {
        if let Some(last) = self.last.as_ref().filter(|last| last.as_slice() >= path) {
            let (path, last) = (String::from_utf8_lossy(path), String::from_utf8_lossy(last));
            return Err(self.refusal("Unordered", format!("{path} is listed after {last}")));
        }
        self.last = Some(path.to_vec());
        Ok(())
    }

    /// Where the list goes on; nowhere at its end.
    pub(super) fn next<T>(&self, is_truncated: Option<bool>, next: Option<T>) -> Result<Option<T>, Refusal> {
        match (is_truncated, next) {
            (Some(false), _) => Ok(None),
            (_, Some(next)) => Ok(Some(next)),
            // Half a page says nothing of how it goes on either.
            (Some(true) | None, None) => {
                Err(self.refusal("CutPage", "the list does not say how it goes on".to_owned()))
            }
        }
    }

    /// What was listed is listed again.
    pub(super) fn endless(&self) -> Refusal {
        self.refusal("EndlessPages", "the list goes in circles".to_owned())
    }

    fn refusal(&self, code: &str, message: String) -> Refusal {
        // Not to be tried again: the service answered.
        self.calls.refusal(self.action, code, message, Some(200))
    }
}

/// A key as it is.
pub(super) fn key(written: Option<String>, is_encoded: bool) -> String {
    let written = written.unwrap_or_default();
    if is_encoded { decode(&written) } else { written }
}

/// A key that was written so that XML takes it.
fn decode(written: &str) -> String {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'%', [high, low, beyond @ ..]) => match digit(high).zip(digit(low)) {
                Some((high, low)) => {
                    rest = beyond;
                    high << 4 | low
                }
                None => b'%',
            },
            (b'+', _) => b' ',
            (byte, _) => *byte,
        });
    }
    // Keys are UTF-8; what is not would be answered for as an object that is not there.
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn keys_are_decoded_byte_by_byte() {
        for (written, key) in [
            ("plain/key.txt", "plain/key.txt"),
            ("photo+1%C3%A9%2B%25.jpg", "photo 1é+%.jpg"),
            ("%01%0A", "\u{1}\n"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
        ] {
            assert_eq!(decode(written), key, "{written}");
        }
    }
}
