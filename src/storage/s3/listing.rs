//! A listing page by page: sorted, complete, and bounded even where the store goes in circles.

use std::borrow::Cow;
use std::time::SystemTime;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object};

use crate::storage::s3::address::S3Address;
use crate::storage::s3::error::Trouble;
use crate::storage::{StorageErrorKind, StoredObject};

/// A page may be empty where much was deleted, but not without end.
const EMPTY_PAGES_MAX: u32 = 1000;

/// Part of a listing, by keys: all that come after one and not after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// What comes before the first; none at the beginning.
    pub(super) after: Option<String>,
    /// The last that may be in it; none at the end.
    pub(super) until: Option<String>,
}

impl Span {
    /// What comes after `key` below `start`, in parts that are alike where names are hex digits drawn at random.
    pub(super) fn parts_after(key: &str, start: &str) -> Vec<Self> {
        let ends = "123456789abcdef".chars().map(|digit| format!("{start}{digit}")).filter(|end| end.as_str() > key);
        let mut parts = Vec::with_capacity(16);
        let mut after = key.to_owned();
        for end in ends {
            parts.push(Self { after: Some(std::mem::replace(&mut after, end.clone())), until: Some(end) });
        }
        parts.push(Self { after: Some(after), until: None });
        parts
    }
}

/// The pages so far.
#[derive(Debug, Default)]
pub(super) struct Listing {
    objects: Vec<StoredObject>,
    last_key: Option<String>,
    until: Option<String>,
    empty_pages: u32,
}

impl Listing {
    /// Nothing of a span.
    pub(super) fn of(span: &Span) -> Self {
        Self { last_key: span.after.clone(), until: span.until.clone(), ..Self::default() }
    }

    /// The last key that was listed.
    pub(super) fn last_key(&self) -> Option<&str> {
        self.last_key.as_deref()
    }

    /// Whether what follows lies beyond the span.
    fn is_full(&self) -> bool {
        self.until.as_ref().is_some_and(|until| self.last_key.as_ref() >= Some(until))
    }

    /// Takes the page that was asked for by a token; the token of the next, if there is one.
    pub(super) fn take(
        &mut self,
        address: &S3Address,
        asked: Option<&str>,
        page: &ListObjectsV2Output,
    ) -> Result<Option<String>, Trouble> {
        // A connection on which an answer came twice gives each request the one of another.
        let is_answer = page.continuation_token() == asked;
        let keys = page.contents();
        if page.key_count().is_some_and(|count| usize::try_from(count).ok() != Some(keys.len())) {
            return Err(Trouble::no_answer("a page of the listing has not as many keys as it says"));
        }
        let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        for object in keys {
            let key = object.key().ok_or_else(|| Trouble::no_answer("a line of the listing has no key"))?;
            let key = if is_encoded { decode(key) } else { Cow::Borrowed(key) };
            self.take_object(address, &key, object).map_err(|trouble| match trouble.kind {
                StorageErrorKind::Unsupported if !is_answer => Trouble::no_answer("a page answers another request"),
                _ => trouble,
            })?;
        }
        self.empty_pages = if keys.is_empty() { self.empty_pages + 1 } else { 0 };
        match (page.is_truncated(), page.next_continuation_token()) {
            (Some(false), _) => Ok(None),
            (Some(true), _) if self.is_full() => Ok(None),
            (Some(true), Some(_)) if self.empty_pages > EMPTY_PAGES_MAX => {
                Err(Trouble::new(StorageErrorKind::Unsupported, "its listing does not end"))
            }
            (Some(true), Some(token)) => Ok(Some(token.to_owned())),
            _ => Err(Trouble::no_answer("a page of the listing does not say whether more follow")),
        }
    }

    fn take_object(&mut self, address: &S3Address, key: &str, object: &Object) -> Result<(), Trouble> {
        // A page that comes again would be taken again, and again; and what is sorted cannot hide what is missing.
        if self.last_key.as_deref().is_some_and(|last| last >= key) {
            let reason = format!("its listing goes in circles or is not sorted: {key:?} comes late");
            return Err(Trouble::new(StorageErrorKind::Unsupported, reason));
        }
        self.last_key = Some(key.to_owned());
        if self.until.as_deref().is_some_and(|until| key > until) {
            return Ok(());
        }
        // Whatever else lies in the bucket is passed over.
        let Some(name) = address.name_of(key).and_then(|name| name.parse().ok()) else { return Ok(()) };
        let odd = || Trouble::no_answer(format!("the listing does not say size and time of {key:?}"));
        let size = object.size().and_then(|size| u64::try_from(size).ok()).ok_or_else(odd)?;
        let modified = object.last_modified().and_then(|time| SystemTime::try_from(*time).ok()).ok_or_else(odd)?;
        self.objects.push(StoredObject { name, size, modified });
        Ok(())
    }

    /// All objects, sorted by name.
    pub(super) fn finish(self) -> Vec<StoredObject> {
        self.objects
    }
}

/// A key as `encoding-type=url` writes it, which keeps what XML cannot hold from breaking the whole listing.
fn decode(key: &str) -> Cow<'_, str> {
    if !key.contains(['%', '+']) {
        return Cow::Borrowed(key);
    }
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    // What is not UTF-8 is no object of ours, and only has to keep its place.
    Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Listing, decode};
    use crate::storage::StorageErrorKind;
    use crate::storage::s3::address::S3Address;
    use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
    use aws_sdk_s3::primitives::DateTime;
    use aws_sdk_s3::types::Object;

    fn address() -> S3Address {
        "s3://bucket/p".parse().expect("an address")
    }

    fn page(keys: &[&str], token: Option<&str>) -> ListObjectsV2Output {
        let object = |key: &&str| Object::builder().key(*key).size(1).last_modified(DateTime::from_secs(1)).build();
        ListObjectsV2Output::builder()
            .set_contents(Some(keys.iter().map(object).collect()))
            .is_truncated(token.is_some())
            .set_next_continuation_token(token.map(str::to_owned))
            .build()
    }

    #[test]
    fn a_listing_in_circles_is_an_error_and_not_a_loop() {
        let mut listing = Listing::default();
        listing.take(&address(), None, &page(&["p/a", "p/b"], Some("1"))).expect("a first page");
        let mut same = page(&["p/a", "p/b"], Some("1"));
        let stray = listing.take(&address(), Some("1"), &same).expect_err("the first page again");
        assert_eq!(stray.kind, StorageErrorKind::Unreachable);
        same.continuation_token = Some("1".to_owned());
        let again = listing.take(&address(), Some("1"), &same).expect_err("the same keys behind the token");
        assert_eq!(again.kind, StorageErrorKind::Unsupported);
        let mut listing = Listing::default();
        let empty = (0..2000).map(|_| listing.take(&address(), Some("1"), &page(&[], Some("1")))).find(Result::is_err);
        assert_eq!(empty.expect("it ends").expect_err("by an error").kind, StorageErrorKind::Unsupported);
    }

    #[test]
    fn only_objects_below_the_prefix_are_taken() {
        let mut listing = Listing::default();
        let keys = ["o/a", "p/", "p/.hidden", "p/a", "p/a b", "p/b/c/d/e", "px/a"];
        assert_eq!(listing.take(&address(), None, &page(&keys, None)).expect("one page"), None);
        let names: Vec<String> = listing.finish().into_iter().map(|object| object.name.to_string()).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn a_page_that_does_not_say_how_it_goes_on_is_no_answer() {
        let truncated = ListObjectsV2Output::builder().is_truncated(true).build();
        for page in [truncated, ListObjectsV2Output::builder().build()] {
            let error = Listing::default().take(&address(), None, &page).expect_err("incomplete");
            assert_eq!(error.kind, StorageErrorKind::Unreachable);
        }
    }

    #[test]
    fn escaped_keys_are_read() {
        assert_eq!(decode("packs/a"), "packs/a");
        assert_eq!(decode("a%2Fb+c%2B%01%zz%"), "a/b c+\u{1}%zz%");
        assert_eq!(decode("%ff"), "\u{fffd}");
    }
}
