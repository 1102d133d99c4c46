//! Where a repository in an object store is: `s3://BUCKET/PREFIX`, and how a store that is not AWS's is reached.
//!
//! All of it stands in the address, so that one text (a flag, a variable, a line of configuration) names one
//! repository, and two in different stores can be named side by side. Credentials are no part of it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Text that is no address of an object store. It is not repeated: someone may have put a password into it.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("the s3:// address cannot be used: {reason}")]
pub struct AddressError {
    /// Which rule it breaks.
    pub reason: String,
}

/// How a bucket is named in requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketStyle {
    /// `https://endpoint/bucket/key`: every store knows it.
    Path,
    /// `https://bucket.endpoint/key`: AWS's own.
    Host,
}

/// The place of a repository: `s3://BUCKET[/PREFIX][?endpoint=URL&path-style=yes|no&region=NAME&profile=NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Address {
    /// The bucket; it exists already.
    pub bucket: String,
    /// What the keys of all objects begin with, without a `/` at either end; may be empty.
    pub prefix: String,
    /// Where a store other than AWS's answers.
    pub endpoint: Option<String>,
    /// How the bucket is named in requests; where nothing is said, by path at an endpoint of one's own.
    pub style: Option<BucketStyle>,
    /// Region of the bucket, instead of the one that variables and profile name.
    pub region: Option<String>,
    /// Profile of the AWS configuration, instead of the one that variables name.
    pub profile: Option<String>,
}

impl S3Address {
    /// What an address begins with.
    pub const SCHEME: &'static str = "s3://";
    /// Bytes in the longest prefix: a key has at most 1024, and an object's name up to 200 of them.
    const PREFIX_LENGTH_MAX: usize = 800;

    /// The key of what lies at `name` below the prefix; `name` may be empty.
    pub fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// What stands at `key` below the prefix, if it lies there.
    pub fn name_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.prefix.is_empty() { Some(key) } else { key.strip_prefix(&self.prefix)?.strip_prefix('/') }
    }

    fn take_parameter(&mut self, parameter: &str) -> Result<(), AddressError> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let text = || match value {
            "" => Err(error(format!("{name} has no value"))),
            value => Ok(Some(value.to_owned())),
        };
        match name {
            "endpoint" if value.starts_with("http://") || value.starts_with("https://") => self.endpoint = text()?,
            "endpoint" => return Err(error("endpoint should begin with https:// or http://")),
            "region" => self.region = text()?,
            "profile" => self.profile = text()?,
            "path-style" => {
                self.style = Some(match value {
                    "yes" => BucketStyle::Path,
                    "no" => BucketStyle::Host,
                    _ => return Err(error("path-style should be yes or no")),
                });
            }
            _ => return Err(error("after ? it may have endpoint, path-style, region and profile")),
        }
        Ok(())
    }
}

fn error(reason: impl Into<String>) -> AddressError {
    AddressError { reason: reason.into() }
}

fn check_bucket(bucket: &str) -> Result<(), AddressError> {
    let is_clean = bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match bucket.len() {
        3..=63 if is_clean => Ok(()),
        3..=63 => Err(error("a bucket has letters, digits, '.', '_' and '-' only; credentials have no place in it")),
        _ => Err(error("a bucket has 3 to 63 characters")),
    }
}

fn check_prefix(prefix: &str) -> Result<(), AddressError> {
    if prefix.len() > S3Address::PREFIX_LENGTH_MAX {
        return Err(error("its prefix is longer than 800 bytes"));
    }
    // What some store, proxy or shell reads in its own way is refused.
    if !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/=+@,".contains(&b)) {
        return Err(error("its prefix has a character other than letters, digits and ._-/=+@,"));
    }
    let is_odd = |part: &str| matches!(part, "" | "." | "..");
    if !prefix.is_empty() && prefix.split('/').any(is_odd) {
        return Err(error("a part of its prefix is empty, '.' or '..'"));
    }
    Ok(())
}

impl FromStr for S3Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix(Self::SCHEME).ok_or_else(|| error("it should begin with s3://"))?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        check_bucket(bucket)?;
        check_prefix(prefix)?;
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        let mut address = Self { bucket, prefix, endpoint: None, style: None, region: None, profile: None };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            address.take_parameter(parameter)?;
        }
        Ok(address)
    }
}

impl fmt::Display for S3Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::SCHEME, self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        let style = self.style.map(|style| if style == BucketStyle::Path { "yes" } else { "no" });
        let parameters = [
            ("endpoint", self.endpoint.as_deref()),
            ("path-style", style),
            ("region", self.region.as_deref()),
            ("profile", self.profile.as_deref()),
        ];
        let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        for (at, (name, value)) in given.enumerate() {
            write!(f, "{}{name}={value}", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BucketStyle, S3Address};

    fn parse(text: &str) -> S3Address {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_says_all_that_is_needed_and_is_shown_as_it_was_given() {
        let address = parse("s3://my.bucket-1/a/b=c/?endpoint=http://127.0.0.1:9000&path-style=no&region=r&profile=p");
        assert_eq!((address.bucket.as_str(), address.prefix.as_str()), ("my.bucket-1", "a/b=c"));
        assert_eq!(address.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(address.style, Some(BucketStyle::Host));
        assert_eq!(parse(&address.to_string()), address);
        assert_eq!(parse("s3://bucket/").to_string(), "s3://bucket");
    }

    #[test]
    fn names_and_keys_are_each_others_way_back() {
        for text in ["s3://bucket", "s3://bucket/x", "s3://bucket/x/y"] {
            let address = parse(text);
            assert_eq!(address.name_of(&address.key("packs/a")), Some("packs/a"));
        }
        assert_eq!(parse("s3://bucket/x").name_of("xy/packs/a"), None);
        assert_eq!(parse("s3://bucket/x").name_of("x"), None);
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for text in [
            "s3://",
            "s3://ab",
            "s3:///x",
            "s3://key:secret@bucket/x",
            "s3://bucket//x",
            "s3://bucket/../x",
            "s3://bucket/a b",
            "s3://bucket/x?endpoint=ftp://secret",
            "s3://bucket/x?password=secret",
            "s3://bucket/x?path-style=1",
            "s3://bucket/x?region=",
            "http://bucket/x",
        ] {
            let error = text.parse::<S3Address>().expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
