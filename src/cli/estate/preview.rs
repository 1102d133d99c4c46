//! What a backup of the estate would ask for, how long that takes at least and about what it costs.

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::table::{Lean, lines};
use crate::cli::text;
use crate::operation::survey::Surveyed;

/// What AWS takes for what this costs most of, in us-east-1; elsewhere a little more.
const PRICES: &[(&str, &str)] = &[
    (
        "s3",
        "objects: $0.005 for a million listed, $0.40 for a million fetched, $0.09 for a GB that leaves AWS; only what changed is fetched again",
    ),
    ("dynamodb", "items: $0.016 for a GB read on demand, each time; provisioned tables a quarter of their capacity"),
    ("secretsmanager", "$0.05 for 10,000 calls"),
];

/// What is told after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// What folders and files come to.
    Follows,
    /// That was all.
    Nothing,
}

/// Tells it; `Done`, or `Incomplete` where something would be missing.
pub fn show(context: &Context, surveyed: &[Surveyed], more: More) -> Result<ExitStatus, Failure> {
    let gaps = surveyed.iter().map(|source| source.unknown.len()).sum::<usize>();
    let status = if gaps > 0 { ExitStatus::Incomplete } else { ExitStatus::Done };
    if context.output.form() == Form::Json {
        let sources: Vec<Value> = joined(surveyed).iter().map(document).collect();
        context.output.json_line(&json!({ "type": "plan", "command": "backup", "sources": sources }))?;
        if more == More::Nothing {
            let (word, code) = (status.word(), status.code());
            let end = json!({ "type": "summary", "command": "backup", "status": word, "code": code, "snapshot": null, "gaps": gaps });
            context.output.json_line(&end)?;
        }
        return Ok(status);
    }
    let surveyed = &joined(surveyed);
    let row = |source: &Surveyed| {
        let estimate = estimate(source);
        let things = text::count(source.resources.len() as u64);
        let calls = estimate.map(|(calls, _)| format!("about {} calls", text::count(calls))).unwrap_or_default();
        let time = estimate.map(|(_, seconds)| format!("at least {}", text::seconds(seconds))).unwrap_or_default();
        [source.source.to_owned(), format!("{things} resources"), calls, time]
    };
    let rows: Vec<[String; 4]> = surveyed.iter().map(row).collect();
    for line in lines([Lean::Left, Lean::Right, Lean::Right, Lean::Right], &rows) {
        context.output.line(&line)?;
    }
    for (path, problem) in surveyed.iter().flat_map(|source| &source.unknown) {
        let hint = if problem.hint.is_empty() { String::new() } else { format!("; {}", problem.hint) };
        context.output.line(&text::harmless(&format!("! {path}: {}: {}{hint}", problem.code, problem.reason)))?;
    }
    let is_asked =
        |service: &str| surveyed.iter().any(|source| source.source == service && !source.resources.is_empty());
    for (service, price) in PRICES.iter().filter(|(service, _)| is_asked(service)) {
        context.output.line(&format!("$ {service} {price}"))?;
    }
    context.output.line("dry run: only lists were asked for, nothing was stored")?;
    Ok(status)
}

/// What bears one name is told once, as it is asked once: the folders and the settings of buckets.
fn joined(surveyed: &[Surveyed]) -> Vec<Surveyed> {
    let mut joined: Vec<Surveyed> = Vec::new();
    for source in surveyed {
        match joined.iter_mut().find(|known| known.source == source.source && known.asked == source.asked) {
            None => joined.push(source.clone()),
            Some(known) => {
                known.unknown.extend(source.unknown.clone());
                if source.resources.len() > known.resources.len() {
                    known.resources.clone_from(&source.resources);
                }
            }
        }
    }
    joined
}

/// Calls beside those for single objects and pages of items, and the seconds they take at least.
fn estimate(source: &Surveyed) -> Option<(u64, u64)> {
    #[cfg(feature = "aws")]
    {
        use crate::source::aws::catalogue::{Per, calls_of, time_of};

        let regions = source.asked.as_ref().filter(|asked| !asked.account.is_empty())?.regions.len().max(1) as u64;
        let things = source.resources.len() as u64;
        let count = |per: &Per| match per {
            Per::Region => regions,
            Per::Thing => things,
            Per::Item => 0,
        };
        let calls = calls_of(source.source).iter().map(|call| count(&call.per)).sum();
        let time = time_of(source.source, things, regions);
        Some((calls, time.as_secs() + u64::from(time.subsec_nanos() > 0)))
    }
    #[cfg(not(feature = "aws"))]
    {
        let _nobody_is_called = source;
        None
    }
}

fn document(source: &Surveyed) -> Value {
    let unknown = |(path, problem): &(String, crate::source::estate::Problem)| json!({ "path": path, "action": problem.action, "code": problem.code, "reason": problem.reason, "hint": problem.hint });
    let paths: Vec<String> = source.resources.iter().map(|of| crate::resource::escape_path(&of.path)).collect();
    let (calls, seconds) = estimate(source).unzip();
    json!({
        "source": source.source,
        "account": source.asked.as_ref().map(|asked| &asked.account),
        "regions": source.asked.as_ref().map(|asked| &asked.regions),
        "resources": paths,
        "calls": calls,
        "seconds": seconds,
        "unknown": source.unknown.iter().map(unknown).collect::<Vec<_>>(),
    })
}
