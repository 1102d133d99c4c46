//! The options by which commands take some snapshots of many.

use crate::operation::selection::Selection;

/// Which snapshots a command is for.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "selection", multiple = true)]
pub struct SelectionArgs {
    /// Only snapshots of this series
    #[arg(long, value_name = "NAME")]
    pub series: Option<String>,
    /// Only snapshots of this host
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Only snapshots with this tag; with all of them where it is given more than once
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
}

impl SelectionArgs {
    /// What they select.
    pub fn selection(&self) -> Selection {
        Selection { series: self.series.clone(), host: self.host.clone(), tags: self.tag.clone() }
    }
}
