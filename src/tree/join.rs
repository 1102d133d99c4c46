//! Joining trees whose paths follow one another, at the cost of their edges.
//!
//! Shards captured by different workers become the very tree that one worker would have built.

use crate::tree::boundary::TreeParameters;
use crate::tree::builder::{Root, TreeBuilder};
use crate::tree::error::TreeError;
use crate::tree::store::{PageSink, PageSource};

/// The tree of all entries of `parts`, whose paths must follow one another from part to part. Reads and writes
/// a few pages a level for each; the rest is taken over as it stands.
pub fn join(
    parameters: TreeParameters,
    source: &impl PageSource,
    sink: impl PageSink,
    parts: &[Root],
) -> Result<Root, TreeError> {
    let mut builder = TreeBuilder::new(parameters, sink);
    for part in parts {
        builder.append(source, part)?;
    }
    builder.finish()
}
