//! The free nodes of a cluster, pod by pod: a gang gets few pods, and no question or answer walks over all nodes.

use super::NodeSet;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Nodes that nobody holds, by pod (the nodes of one leaf switch).
///
/// A gang that fits one pod goes to the fullest that still holds it; a larger one empties the emptiest pods first, so that it
/// spans as few as can be. Inside a pod the lowest nodes go first. Each costs the logarithm of the pods and the intervals taken.
#[derive(Debug, Clone)]
pub struct FreeNodes {
    /// Nodes of a pod; the last may hold fewer.
    pod: u32,
    /// Free nodes of each pod, as disjoint intervals that never touch: start to end.
    pods: Vec<BTreeMap<u32, u32>>,
    /// How many each pod has.
    counts: Vec<u32>,
    /// Pods with free nodes, by how many.
    by_count: BTreeSet<(u32, u32)>,
    total: u32,
}

impl FreeNodes {
    /// All `nodes` free, in pods of `pod`.
    #[must_use]
    pub fn new(nodes: u32, pod: u32) -> FreeNodes {
        assert!(pod > 0, "a pod has nodes");
        let pods = nodes.div_ceil(pod);
        let mut free = FreeNodes {
            pod,
            pods: vec![BTreeMap::new(); pods as usize],
            counts: vec![0; pods as usize],
            by_count: BTreeSet::new(),
            total: 0,
        };
        free.add(&NodeSet::first(nodes));
        free
    }

    /// How many nodes are free.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.total
    }

    /// True for none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Takes `count` nodes out, from as few pods as can be; `None`, with nothing taken, where fewer are free.
    pub fn take(&mut self, count: u32) -> Option<NodeSet> {
        if self.total < count {
            return None;
        }
        let (mut ranges, mut left) = (Vec::new(), count);
        while left > 0 {
            let pod = self.pod_for(left);
            left -= self.take_from(pod, left, &mut ranges);
        }
        ranges.sort_by_key(|range| range.start);
        Some(NodeSet::of_sorted(ranges))
    }

    /// Puts nodes that were taken back.
    pub fn add(&mut self, nodes: &NodeSet) {
        for range in nodes.ranges() {
            let mut start = range.start;
            while start < range.end {
                let pod = start / self.pod;
                let end = range.end.min((pod + 1).saturating_mul(self.pod));
                self.add_to(pod, start..end);
                start = end;
            }
        }
    }

    /// True where `node` is free.
    #[must_use]
    pub fn contains(&self, node: u32) -> bool {
        let intervals = &self.pods[(node / self.pod) as usize];
        intervals.range(..=node).next_back().is_some_and(|(_, &end)| node < end)
    }

    /// Takes `node`, which must be free, out.
    pub fn remove(&mut self, node: u32) {
        let pod = node / self.pod;
        let intervals = &mut self.pods[pod as usize];
        let (&start, &end) = intervals.range(..=node).next_back().expect("the node is free");
        assert!(node < end, "the node is free");
        intervals.remove(&start);
        [start..node, node + 1..end].into_iter().filter(|part| !part.is_empty()).for_each(|part| {
            intervals.insert(part.start, part.end);
        });
        self.recount(pod, self.counts[pod as usize] - 1);
        self.total -= 1;
    }

    /// The fullest pod with `count` free nodes; where none has as many, the emptiest, the first of equals.
    fn pod_for(&self, count: u32) -> u32 {
        let fits = self.by_count.range((count, 0)..).next();
        let (most, _) = *self.by_count.last().expect("a node is free somewhere");
        fits.or_else(|| self.by_count.range((most, 0)..).next()).expect("the emptiest pod is in the list").1
    }

    /// Takes at most `count` nodes from `pod` and returns how many.
    fn take_from(&mut self, pod: u32, count: u32, ranges: &mut Vec<Range<u32>>) -> u32 {
        let slot = pod as usize;
        let taken = count.min(self.counts[slot]);
        let mut left = taken;
        while left > 0 {
            let (start, end) = self.pods[slot].pop_first().expect("the pod's count is that of its intervals");
            let cut = end.min(start + left);
            ranges.push(start..cut);
            left -= cut - start;
            if cut < end {
                self.pods[slot].insert(cut, end);
            }
        }
        self.recount(pod, self.counts[slot] - taken);
        self.total -= taken;
        taken
    }

    fn add_to(&mut self, pod: u32, range: Range<u32>) {
        let slot = pod as usize;
        let (mut start, mut end) = (range.start, range.end);
        let intervals = &mut self.pods[slot];
        if let Some((&before, &until)) = intervals.range(..end).next_back() {
            assert!(until <= start, "a node is held once");
            if until == start {
                intervals.remove(&before);
                start = before;
            }
        }
        if let Some(until) = intervals.remove(&end) {
            end = until;
        }
        intervals.insert(start, end);
        let added = range.end - range.start;
        self.recount(pod, self.counts[slot] + added);
        self.total += added;
    }

    fn recount(&mut self, pod: u32, count: u32) {
        let before = std::mem::replace(&mut self.counts[pod as usize], count);
        if before > 0 {
            self.by_count.remove(&(before, pod));
        }
        if count > 0 {
            self.by_count.insert((count, pod));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gang_gets_as_few_pods_as_can_be() {
        let mut free = FreeNodes::new(20, 8);
        let mut take = |count| free.take(count).expect("enough are free").to_string();
        // The last pod has four nodes: it is the fullest that holds three; then one is left there.
        assert_eq!(take(3), "16-18");
        assert_eq!(take(6), "0-5");
        // Nine: no pod holds them, so the emptiest goes whole, and one more comes from the fullest.
        assert_eq!(take(9), "8-15 19");
        assert_eq!(take(2), "6-7");
        assert_eq!(free.take(1), None);
        free.add(&NodeSet::single(3));
        free.add(&NodeSet::single(17));
        assert_eq!(free.take(2).expect("two are free").to_string(), "3 17");
    }

    #[test]
    #[should_panic(expected = "a node is held once")]
    fn a_node_comes_back_once() {
        FreeNodes::new(4, 4).add(&NodeSet::single(2));
    }

    proptest! {
        #[test]
        fn no_node_is_given_twice(nodes in 1..200_u32, pod in 1..40_u32, steps in prop::collection::vec((0..60_u32, any::<bool>()), 0..80)) {
            let mut free = FreeNodes::new(nodes, pod);
            let mut held: Vec<NodeSet> = Vec::new();
            for (number, give_back) in steps {
                if give_back && !held.is_empty() {
                    let back = held.swap_remove(number as usize % held.len());
                    free.add(&back);
                } else if let Some(taken) = free.take(number) {
                    prop_assert_eq!(taken.len(), number);
                    held.push(taken);
                } else {
                    prop_assert!(number > free.len());
                }
                let mut all: Vec<u32> = held.iter().flat_map(NodeSet::iter).collect();
                all.sort_unstable();
                prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "given twice");
                prop_assert_eq!(all.len() as u32 + free.len(), nodes);
                prop_assert!(free.pods.iter().flatten().all(|(&start, &end)| all.iter().all(|node| *node < start || *node >= end)));
            }
        }
    }
}
