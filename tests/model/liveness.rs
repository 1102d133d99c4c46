//! I5: from every state, if all processes run again, some way leads to a state in which all have finished.

use std::collections::HashMap;

use super::scene::Model;
use super::search::Steps;
use super::state::State;

/// How many states there are, and from how many of them no way leads to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) states: usize,
    pub(crate) without_end: usize,
}

impl Model {
    /// Goes forward to all states, then back from those in which all have finished.
    pub(crate) fn ends(&self) -> Ends {
        let mut states = vec![self.beginning()];
        let mut numbers = HashMap::from([(self.beginning(), 0)]);
        let mut followers: Vec<Vec<usize>> = Vec::new();
        while followers.len() < states.len() {
            let state = states[followers.len()];
            let mut steps = Steps::default();
            self.process_steps(&state, &mut steps);
            let own_steps = steps.list.len();
            self.user_steps(&state, &mut steps);
            let reached = steps.list.iter().map(|(_, next)| number(&mut states, &mut numbers, next.without_names()));
            let reached: Vec<usize> = reached.collect();
            // That the user forgets something is no way out.
            followers.push(reached[..own_steps].to_vec());
        }
        let mut ends: Vec<bool> = states.iter().map(|state| state.is_finished()).collect();
        loop {
            let mut grew = false;
            for number in (0..states.len()).rev() {
                if !ends[number] && followers[number].iter().any(|follower| ends[*follower]) {
                    ends[number] = true;
                    grew = true;
                }
            }
            if !grew {
                return Ends { states: states.len(), without_end: ends.iter().filter(|end| !**end).count() };
            }
        }
    }
}

fn number(states: &mut Vec<State>, numbers: &mut HashMap<State, usize>, state: State) -> usize {
    *numbers.entry(state).or_insert_with(|| {
        states.push(state);
        states.len() - 1
    })
}
