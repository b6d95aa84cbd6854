//! Sets of nodes as sorted intervals: two words for a block of thousands.

use std::ops::Range;

/// A set of node indices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSet {
    /// Disjoint, sorted, never touching.
    ranges: Vec<Range<u32>>,
}

impl NodeSet {
    /// The first `count` nodes.
    #[must_use]
    pub fn first(count: u32) -> NodeSet {
        NodeSet::range(0..count)
    }

    /// One node.
    #[must_use]
    pub fn single(node: u32) -> NodeSet {
        NodeSet::range(node..node + 1)
    }

    /// `nodes`, ascending and each once.
    #[must_use]
    pub fn of(nodes: &[u32]) -> NodeSet {
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for &node in nodes {
            match ranges.last_mut() {
                Some(last) if last.end == node => last.end += 1,
                last => {
                    assert!(last.is_none_or(|last| last.end < node), "nodes are ascending and each there once");
                    ranges.push(node..node + 1);
                }
            }
        }
        NodeSet { ranges }
    }

    fn range(range: Range<u32>) -> NodeSet {
        NodeSet { ranges: Some(range).filter(|range| range.start < range.end).into_iter().collect() }
    }

    /// The nodes of disjoint intervals in ascending order.
    #[must_use]
    pub fn of_sorted(ranges: impl IntoIterator<Item = Range<u32>>) -> NodeSet {
        let mut merged: Vec<Range<u32>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.end >= range.start => {
                    assert!(last.end == range.start, "a node is held once");
                    last.end = range.end;
                }
                _ => merged.push(range),
            }
        }
        NodeSet { ranges: merged }
    }

    /// Its disjoint intervals in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u32>> {
        self.ranges.iter().cloned()
    }

    /// How many nodes.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// True for no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The nodes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + Clone {
        self.ranges.iter().cloned().flatten()
    }

    /// How many of the nodes lie in `range`, over how many there are; 0 for no nodes.
    #[must_use]
    pub fn part_in(&self, range: Range<u32>) -> f64 {
        let inside = |mine: &Range<u32>| mine.end.min(range.end).saturating_sub(mine.start.max(range.start));
        let count: u32 = self.ranges.iter().map(inside).sum();
        if count == 0 { 0.0 } else { f64::from(count) / f64::from(self.len()) }
    }

    /// Puts `other`, which must be disjoint from `self`, into the set.
    pub fn add(&mut self, other: NodeSet) {
        let mut ranges = std::mem::take(&mut self.ranges);
        ranges.extend(other.ranges);
        ranges.sort_by_key(|range| range.start);
        *self = NodeSet::of_sorted(ranges);
    }

    /// Takes `node`, which must be in it, out.
    pub fn remove(&mut self, node: u32) {
        let found = self.ranges.iter().position(|range| range.contains(&node)).expect("the node is in the set");
        let range = self.ranges.remove(found);
        let parts = [range.start..node, node + 1..range.end].into_iter().filter(|part| !part.is_empty());
        self.ranges.splice(found..found, parts.collect::<Vec<_>>());
    }
}

impl std::fmt::Display for NodeSet {
    /// Intervals with inclusive ends, such as `0-15 32`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            match range.end - range.start {
                1 => write!(f, "{gap}{}", range.start)?,
                _ => write!(f, "{gap}{}-{}", range.start, range.end - 1)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_nodes_become_intervals() {
        assert_eq!(NodeSet::of(&[0, 1, 2, 5, 8, 9]).to_string(), "0-2 5 8-9");
        assert!(NodeSet::of(&[]).is_empty());
    }

    #[test]
    fn nodes_leave_and_join() {
        let mut set = NodeSet::first(6);
        set.remove(2);
        set.remove(0);
        set.remove(5);
        assert_eq!((set.to_string().as_str(), set.len()), ("1 3-4", 3));
        set.add(NodeSet::single(2));
        assert_eq!(set.to_string(), "1-4");
        set.add(NodeSet::single(9));
        assert_eq!(set.to_string(), "1-4 9");
    }
}
