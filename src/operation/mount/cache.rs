//! A bounded cache: the oldest leaves first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Keeps values up to a weight in all.
pub(super) struct Cache<K, V> {
    values: HashMap<K, (V, usize)>,
    order: VecDeque<K>,
    weight: usize,
    weight_max: usize,
}

impl<K: Hash + Eq + Copy, V: Clone> Cache<K, V> {
    /// An empty one.
    pub(super) fn new(weight_max: usize) -> Self {
        Self { values: HashMap::new(), order: VecDeque::new(), weight: 0, weight_max }
    }

    /// The value kept for `key`.
    pub(super) fn find(&self, key: &K) -> Option<V> {
        self.values.get(key).map(|(value, _)| value.clone())
    }

    /// Keeps a value that weighs so much, and lets the oldest go for it; one that is there already stays.
    pub(super) fn keep(&mut self, key: K, value: V, weight: usize) {
        if self.values.contains_key(&key) {
            return;
        }
        self.values.insert(key, (value, weight));
        self.order.push_back(key);
        self.weight += weight;
        while self.weight > self.weight_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.weight -= self.values.remove(&oldest).map_or(0, |(_, weight)| weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn the_oldest_leave_when_the_weight_is_too_much() {
        let mut cache = Cache::new(10);
        for key in 0..4 {
            cache.keep(key, key * 2, 4);
        }
        assert_eq!([0, 1, 2, 3].map(|key| cache.find(&key)), [None, None, Some(4), Some(6)]);
        cache.keep(3, 99, 1);
        assert_eq!(cache.find(&3), Some(6), "what is there stays");
        cache.keep(9, 1, 11);
        assert_eq!([2, 3, 9].map(|key| cache.find(&key)), [None, None, None], "what is too heavy is not kept");
    }
}
