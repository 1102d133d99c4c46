//! How far a long operation is, as a value: a line per agent, a total with rate and time left.
//!
//! Takes events and the time that passed as arguments and gives text or JSON; it neither draws nor looks at a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::text;
use crate::progress::Event;

/// How far all agents are.
#[derive(Clone, Debug, Default)]
pub struct Board {
    agents: BTreeMap<String, Agent>,
    /// Things that failed.
    pub failures: u64,
    /// Things that the user was warned of.
    pub warnings: u64,
    /// Goes up with each change that a drawing would show.
    pub revision: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Agent {
    items: u64,
    items_total: u64,
    bytes: u64,
    bytes_total: u64,
    listed: bool,
    finished: bool,
}

impl Board {
    /// Takes an event in.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Started { agent } => {
                self.agents.insert(agent.clone(), Agent::default());
            }
            Event::Advanced { agent, items, items_total, bytes, bytes_total, listed } => {
                // Looked up first, so that the many events of a known agent allocate nothing.
                if !self.agents.contains_key(agent) {
                    self.agents.insert(agent.clone(), Agent::default());
                }
                if let Some(known) = self.agents.get_mut(agent) {
                    let (items, items_total, bytes, bytes_total) = (*items, *items_total, *bytes, *bytes_total);
                    *known = Agent { items, items_total, bytes, bytes_total, listed: *listed, finished: false };
                }
            }
            Event::Item { .. } => return,
            Event::Warning { .. } => self.warnings += 1,
            Event::Failed { .. } | Event::Missing { .. } => self.failures += 1,
            Event::Finished { agent } => {
                if let Some(known) = self.agents.get_mut(agent) {
                    known.finished = true;
                    known.listed = true;
                }
            }
        }
        self.revision += 1;
    }

    /// The lines of a terminal's block: the agents at work, then the total.
    pub fn lines(&self, elapsed: Duration) -> Vec<String> {
        let width = self.agents.keys().map(|name| name.chars().count()).max().unwrap_or_default();
        let at_work = self.agents.iter().filter(|(_, agent)| !agent.finished);
        let mut lines: Vec<String> = at_work
            .map(|(name, agent)| format!("{:width$}  {}", text::printable(name.as_bytes()), agent.summary()))
            .collect();
        lines.push(self.total_line(elapsed));
        lines
    }

    /// One line: all agents together, errors, rate and time left.
    pub fn total_line(&self, elapsed: Duration) -> String {
        let total = self.total();
        let mut line = format!("total  {}", total.summary());
        if self.failures > 0 {
            let word = if self.failures == 1 { "error" } else { "errors" };
            line.push_str(&format!("  {} {word}", text::count(self.failures)));
        }
        if let Some(rate) = total.rate(elapsed) {
            line.push_str(&format!("  {}/s", text::bytes(rate)));
        }
        line.push_str(&format!("  {}", text::seconds(elapsed.as_secs())));
        if let Some(left) = total.seconds_left(elapsed) {
            line.push_str(&format!(", about {} left", text::seconds(left)));
        }
        line
    }

    /// The `progress` line of `--json`.
    pub fn json(&self, elapsed: Duration) -> Value {
        let total = self.total();
        let agents: Vec<Value> = self
            .agents
            .iter()
            .map(|(name, agent)| {
                let mut value = agent.json();
                value["agent"] = name.as_str().into();
                value["finished"] = agent.finished.into();
                value
            })
            .collect();
        let mut value = total.json();
        value["type"] = "progress".into();
        value["agents"] = agents.into();
        value["errors"] = self.failures.into();
        value["seconds"] = elapsed.as_secs().into();
        value["bytes_per_second"] = total.rate(elapsed).into();
        value["seconds_left"] = total.seconds_left(elapsed).into();
        value
    }

    fn total(&self) -> Agent {
        let empty = Agent { listed: true, finished: true, ..Agent::default() };
        self.agents.values().fold(empty, |sum, agent| Agent {
            items: sum.items + agent.items,
            items_total: sum.items_total + agent.items_total,
            bytes: sum.bytes + agent.bytes,
            bytes_total: sum.bytes_total + agent.bytes_total,
            listed: sum.listed && agent.listed,
            finished: sum.finished && agent.finished,
        })
    }
}

impl Agent {
    /// `31/46 items  68.0 MiB/1.20 GiB`, with `≥` before totals that still grow.
    fn summary(&self) -> String {
        let least = if self.listed { "" } else { "≥" };
        let mut summary = format!("{}/{least}{} items", text::count(self.items), text::count(self.items_total));
        if self.bytes_total > 0 {
            summary.push_str(&format!("  {}/{least}{}", text::bytes(self.bytes), text::bytes(self.bytes_total)));
        }
        summary
    }

    fn rate(&self, elapsed: Duration) -> Option<u64> {
        let milliseconds = u64::try_from(elapsed.as_millis()).ok().filter(|passed| *passed >= 1000)?;
        u64::try_from(u128::from(self.bytes) * 1000 / u128::from(milliseconds)).ok().filter(|rate| *rate > 0)
    }

    /// Only where the totals are final: a guess on growing totals misleads.
    fn seconds_left(&self, elapsed: Duration) -> Option<u64> {
        let rate = self.rate(elapsed).filter(|_| self.listed && !self.finished)?;
        Some(self.bytes_total.saturating_sub(self.bytes).div_ceil(rate))
    }

    fn json(&self) -> Value {
        json!({
            "items": self.items, "items_total": self.items_total,
            "bytes": self.bytes, "bytes_total": self.bytes_total, "listed": self.listed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Board;
    use crate::progress::Event;
    use std::time::Duration;

    fn advanced(agent: &str, items: u64, listed: bool) -> Event {
        let bytes = items << 20;
        Event::Advanced { agent: agent.into(), items, items_total: 40, bytes, bytes_total: 40 << 20, listed }
    }

    #[test]
    fn totals_that_grow_are_marked_and_have_no_time_left() {
        let mut board = Board::default();
        board.take(&Event::Started { agent: "local/a".into() });
        board.take(&advanced("local/a", 10, false));
        let lines = board.lines(Duration::from_secs(10));
        assert_eq!(lines[0], "local/a  10/≥40 items  10.0 MiB/≥40.0 MiB");
        assert_eq!(lines[1], "total  10/≥40 items  10.0 MiB/≥40.0 MiB  1.00 MiB/s  10 s");
    }

    #[test]
    fn rate_time_left_and_errors_stand_in_the_total() {
        let mut board = Board::default();
        board.take(&advanced("a", 10, true));
        board.take(&advanced("b", 40, true));
        board.take(&Event::Finished { agent: "b".into() });
        board.take(&Event::Failed { path: b"x".to_vec(), message: "denied".into() });
        let lines = board.lines(Duration::from_secs(10));
        assert_eq!(lines.len(), 2, "an agent that has finished needs no line");
        assert_eq!(lines[1], "total  50/80 items  50.0 MiB/80.0 MiB  1 error  5.00 MiB/s  10 s, about 6 s left");
        let json = board.json(Duration::from_secs(10));
        assert_eq!((json["errors"].as_u64(), json["agents"][1]["finished"].as_bool()), (Some(1), Some(true)));
    }
}
