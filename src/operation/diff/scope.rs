//! Why a snapshot may lack a whole resource that another has: it was not asked about it, or could not tell.

use crate::operation::part::folder_of;
use crate::resource::{Asked, Coverage, ResourceRecord, SnapshotRecord};
use crate::source::filter::Filter;

/// Why `snapshot` lacks a resource; `None` where it was asked and there was none.
pub(super) fn why_absent(snapshot: &SnapshotRecord, lacked: &ResourceRecord) -> Option<String> {
    let Some(asked) = asked_about(snapshot, lacked) else {
        return Some("it was not among what that snapshot was asked to capture".to_owned());
    };
    if filter_of(asked).is_some_and(|filter| filter.leaves_out(&folder_of(lacked))) {
        return Some("it was excluded".to_owned());
    }
    let (account, region) = (attribute(lacked, "account"), attribute(lacked, "region"));
    snapshot.resources.iter().find_map(|record| {
        let Coverage::Failed { reason } = &record.coverage else { return None };
        let is_same_place =
            [("account", account), ("region", region)].iter().all(|(name, of)| match record.attributes.get(*name) {
                Some(known) => known == of || of.is_empty(),
                None => true,
            });
        // `lambda-functions`, or `lambda-functions@eu-west-1`: a folder of which nothing is known.
        let is_kind = record.source == lacked.source && !record.path.contains('/') && kind(record) == kind(lacked);
        (is_same_place && is_kind).then(|| reason.clone())
    })
}

/// What was left out of a resource while its source was asked.
pub(super) fn left_out(snapshot: &SnapshotRecord, resource: &ResourceRecord) -> Option<Filter> {
    asked_about(snapshot, resource).and_then(filter_of)
}

/// What a source was asked that covers this resource.
fn asked_about<'s>(snapshot: &'s SnapshotRecord, resource: &ResourceRecord) -> Option<&'s Asked> {
    let (account, region) = (attribute(resource, "account"), attribute(resource, "region"));
    snapshot.asked.iter().find(|asked| {
        // Buckets are listed wherever they are; what has no region stands for all of them.
        let is_anywhere = region.is_empty() || asked.regions.is_empty() || resource.source == "s3";
        let is_looked_at = is_anywhere || asked.regions.iter().any(|looked_at| looked_at == region);
        asked.source == resource.source && asked.account == account && is_looked_at
    })
}

fn filter_of(asked: &Asked) -> Option<Filter> {
    Filter::new(asked.filters.clone()).ok().filter(|filter| !filter.patterns().is_empty())
}

fn attribute<'r>(record: &'r ResourceRecord, name: &str) -> &'r str {
    record.attributes.get(name).map_or("", String::as_str)
}

/// The first folder of its path, without what says whose it is.
fn kind(record: &ResourceRecord) -> &str {
    record.path.split(['/', '@']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::why_absent;
    use crate::id::PageId;
    use crate::resource::{Asked, Coverage, ResourceRecord, SnapshotRecord, Summary, Totals};

    fn resource(path: &str, attributes: &[(&str, &str)], coverage: Coverage) -> ResourceRecord {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ResourceRecord {
            source: "lambda".to_owned(),
            path: path.to_owned(),
            root: PageId([0; 32]),
            totals: Totals::default(),
            coverage,
            scope: Vec::new(),
            attributes: attributes.collect::<BTreeMap<_, _>>(),
        }
    }

    fn snapshot(asked: Vec<Asked>, resources: Vec<ResourceRecord>) -> SnapshotRecord {
        SnapshotRecord {
            time: jiff::Timestamp::UNIX_EPOCH,
            host: String::new(),
            user: String::new(),
            series: String::new(),
            tags: Vec::new(),
            description: String::new(),
            parent: None,
            amends: None,
            original: None,
            tool: String::new(),
            resources,
            asked,
            summary: Summary::default(),
        }
    }

    #[test]
    fn only_what_was_asked_and_could_be_told_is_absent() {
        let lambda = |regions: &[&str], filters: &[&str]| Asked {
            source: "lambda".to_owned(),
            account: "1".to_owned(),
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        };
        let lacked = resource("lambda-functions/f", &[("account", "1"), ("region", "a")], Coverage::Complete);
        let failed = |path: &str, region: &str| {
            let coverage = Coverage::Failed { reason: "denied".to_owned() };
            resource(path, &[("account", "1"), ("region", region)], coverage)
        };
        let why = |asked: Vec<Asked>, resources| why_absent(&snapshot(asked, resources), &lacked);
        assert_eq!(why(vec![lambda(&["a"], &[])], vec![]), None);
        assert!(why(vec![], vec![]).is_some() && why(vec![lambda(&["b"], &[])], vec![]).is_some());
        assert_eq!(why(vec![lambda(&["a"], &["lambda-functions/f"])], vec![]).as_deref(), Some("it was excluded"));
        assert_eq!(why(vec![lambda(&["a"], &[])], vec![failed("lambda-functions", "a")]).as_deref(), Some("denied"));
        assert_eq!(why(vec![lambda(&["a"], &[])], vec![failed("lambda-functions@b", "b")]), None);
        assert_eq!(why(vec![lambda(&["a"], &[])], vec![failed("lambda-functions@a", "a")]).as_deref(), Some("denied"));
    }
}
