//! What is left out of an estate: globs as in `.gitignore`, on paths of the layout.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Globs, the later ones over those before.
#[derive(Clone, Debug)]
pub struct Filter {
    patterns: Vec<String>,
    globs: Gitignore,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Filter {
    /// Of these globs; the first that is none is the error, with what is wrong with it.
    pub fn new(patterns: Vec<String>) -> Result<Self, (String, ignore::Error)> {
        let mut builder = GitignoreBuilder::new("");
        for pattern in &patterns {
            builder.add_line(None, pattern).map_err(|error| (pattern.clone(), error))?;
        }
        let globs = builder.build().map_err(|error| (patterns.join(" "), error))?;
        Ok(Self { patterns, globs })
    }

    /// As they were given.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether a path of the layout, or a folder above it, is left out.
    pub fn leaves_out(&self, path: &[u8]) -> bool {
        let is_folder = path.ends_with(b"/");
        let path = Path::new(OsStr::from_bytes(path.strip_suffix(b"/").unwrap_or(path)));
        // Such a path would be one outside; no key that begins with `/` is.
        !path.has_root() && self.globs.matched_path_or_any_parents(path, is_folder).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn globs_are_of_the_layout_and_later_ones_win() {
        let patterns = ["s3-buckets/logs-*", "!s3-buckets/logs-kept", "*.tmp", "/iam-config"];
        let filter = Filter::new(patterns.map(str::to_owned).to_vec()).expect("they are globs");
        let is_out = |path: &str| filter.leaves_out(path.as_bytes());
        assert!(
            is_out("s3-buckets/logs-a") && is_out("s3-buckets/logs-a/b/c") && is_out("s3-buckets/logs-a@settings.json")
        );
        assert!(!is_out("s3-buckets/logs-kept/b") && !is_out("s3-buckets/a"));
        assert!(is_out("s3-buckets/a/b.tmp") && is_out("iam-config/roles.json") && !is_out("x/iam-config"));
        assert!(Filter::new(vec!["a[z-a]".to_owned()]).is_err());
    }

    #[test]
    fn keys_that_are_no_paths_are_judged_too() {
        let filter = Filter::new(vec!["b".to_owned()]).expect("a glob");
        for path in ["s3-buckets/x//b", "s3-buckets/x/../b", "s3-buckets/x/b/", "s3-buckets/x/./b"] {
            assert!(filter.leaves_out(path.as_bytes()), "{path}");
        }
        assert!(!filter.leaves_out(b"/a") && !filter.leaves_out(b"s3-buckets/x/"));
    }
}
