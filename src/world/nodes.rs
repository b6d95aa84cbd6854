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

    fn range(range: Range<u32>) -> NodeSet {
        NodeSet { ranges: Some(range).filter(|range| range.start < range.end).into_iter().collect() }
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
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().cloned().flatten()
    }

    /// How many of the nodes lie in `range`, over how many there are; 0 for no nodes.
    #[must_use]
    pub fn part_in(&self, range: Range<u32>) -> f64 {
        let inside = |mine: &Range<u32>| mine.end.min(range.end).saturating_sub(mine.start.max(range.start));
        let count: u32 = self.ranges.iter().map(inside).sum();
        if count == 0 { 0.0 } else { f64::from(count) / f64::from(self.len()) }
    }

    /// Takes the `count` lowest nodes out of the set; `None`, with nothing taken, where it holds fewer.
    pub fn take(&mut self, count: u32) -> Option<NodeSet> {
        if self.len() < count {
            return None;
        }
        let mut taken = Vec::new();
        let mut left = count;
        while left > 0 {
            let range = &mut self.ranges[0];
            let cut = range.end.min(range.start + left);
            taken.push(range.start..cut);
            left -= cut - range.start;
            range.start = cut;
            if range.start == range.end {
                self.ranges.remove(0);
            }
        }
        Some(NodeSet { ranges: taken })
    }

    /// Puts `other`, which must be disjoint from `self`, back.
    pub fn add(&mut self, other: NodeSet) {
        self.ranges.extend(other.ranges);
        self.ranges.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u32>> = Vec::with_capacity(self.ranges.len());
        for range in self.ranges.drain(..) {
            match merged.last_mut() {
                Some(last) if last.end >= range.start => {
                    assert!(last.end == range.start, "a node is held once");
                    last.end = range.end;
                }
                _ => merged.push(range),
            }
        }
        self.ranges = merged;
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
    fn taken_nodes_come_back_whole() {
        let mut free = NodeSet::first(10);
        let first = free.take(3).expect("10 hold 3");
        let second = free.take(4).expect("7 hold 4");
        assert_eq!((first.to_string(), second.to_string()), ("0-2".into(), "3-6".into()));
        assert_eq!(free.take(4), None);
        free.add(first);
        assert_eq!(free.to_string(), "0-2 7-9");
        assert_eq!(free.take(4).expect("6 hold 4").to_string(), "0-2 7");
        free.add(second);
        assert_eq!(free.len(), 6);
    }
}
