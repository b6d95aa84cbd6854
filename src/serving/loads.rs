//! How many requests each replica of a cell has, and who has the fewest: for up to 64 replicas a word for each number of requests, a
//! bit of which stands for a replica. What a request changes are two bits, and the fewest are found without a look at all others.

/// Load of a replica that takes no requests.
pub(super) const CLOSED: u32 = u32::MAX;

/// The loads of a cell's replicas.
#[derive(Debug, Clone, Default)]
pub(super) struct Loads {
    each: Vec<u32>,
    /// Who has so many requests, by their number; kept where `ranked`.
    levels: Vec<u64>,
    /// The lowest level that is not empty; their number where all are.
    least: usize,
    /// Somebody asks for the fewest, and a word holds all replicas.
    ranked: bool,
}

impl Loads {
    /// No replicas; `ranked` where somebody will ask who has the fewest.
    pub(super) fn new(ranked: bool) -> Loads {
        Loads { ranked, ..Loads::default() }
    }

    /// Of each replica.
    #[inline]
    pub(super) fn each(&self) -> &[u32] {
        &self.each
    }

    /// How many replicas there are.
    pub(super) fn len(&self) -> usize {
        self.each.len()
    }

    /// True where the replica at `index` takes requests.
    #[inline]
    pub(super) fn is_open(&self, index: usize) -> bool {
        self.each[index] != CLOSED
    }

    /// Another replica, which takes no requests yet.
    pub(super) fn push(&mut self) {
        self.each.push(CLOSED);
        self.ranked &= self.each.len() <= 64;
    }

    /// The replica at `index` takes requests from now on, and has none.
    pub(super) fn open(&mut self, index: usize) {
        self.close(index);
        self.each[index] = 0;
        if self.ranked {
            if self.levels.is_empty() {
                self.levels.push(0);
            }
            self.levels[0] |= 1 << index;
            self.least = 0;
        }
    }

    /// The replica at `index` takes no requests any more.
    pub(super) fn close(&mut self, index: usize) {
        let load = std::mem::replace(&mut self.each[index], CLOSED);
        if self.ranked && load != CLOSED {
            self.levels[load as usize] &= !(1 << index);
            let filled = self.levels.iter().position(|&level| level != 0);
            self.least = filled.unwrap_or(self.levels.len());
        }
    }

    /// The open replica at `index` has one more.
    #[inline]
    pub(super) fn add(&mut self, index: usize) {
        let load = self.each[index] as usize;
        self.each[index] += 1;
        if self.ranked {
            if load + 1 == self.levels.len() {
                self.levels.push(0);
            }
            let moved = 1 << index;
            self.levels[load] &= !moved;
            self.levels[load + 1] |= moved;
            self.least += usize::from(self.levels[self.least] == 0);
        }
    }

    /// The open replica at `index` has `fewer` less.
    #[inline]
    pub(super) fn take(&mut self, index: usize, fewer: u32) {
        let load = self.each[index] as usize;
        let left = self.each[index] - fewer;
        self.each[index] = left;
        if self.ranked {
            let moved = 1 << index;
            self.levels[load] &= !moved;
            self.levels[left as usize] |= moved;
            self.least = self.least.min(left as usize);
        }
    }

    /// The first of those with the fewest requests, from `turn` on and then from the start; none where all are closed.
    #[inline]
    pub(super) fn fewest(&self, turn: usize) -> Option<usize> {
        if !self.ranked {
            return self.fewest_of_all(turn);
        }
        let level = self.levels.get(self.least).copied().filter(|&level| level != 0)?;
        let later = if turn < 64 { level >> turn << turn } else { 0 };
        let first = if later != 0 { later } else { level };
        Some(first.trailing_zeros() as usize)
    }

    #[cold]
    fn fewest_of_all(&self, turn: usize) -> Option<usize> {
        fewest(&self.each, turn)
    }
}

/// The first of those with the least load, from `turn` on and then from the start; none where all are closed.
pub(super) fn fewest(loads: &[u32], turn: usize) -> Option<usize> {
    let least = loads.iter().copied().fold(CLOSED, u32::min);
    if least == CLOSED { None } else { next_where(loads, turn, |load| load == least) }
}

/// The first replica from `turn` on, and then from the start, whose load is `wanted`.
#[inline]
pub(super) fn next_where(loads: &[u32], turn: usize, wanted: impl Fn(u32) -> bool) -> Option<usize> {
    let turn = turn.min(loads.len());
    let (before, after) = loads.split_at(turn);
    let later = after.iter().position(|&load| wanted(load)).map(|index| turn + index);
    later.or_else(|| before.iter().position(|&load| wanted(load)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fewest_are_those_that_a_look_at_all_finds(
            replicas in 1_usize..70,
            changes in prop::collection::vec((0_usize..70, 0_u32..8, 0_usize..70), 1..300),
        ) {
            let mut loads = Loads::new(true);
            (0..replicas).for_each(|_| loads.push());
            for (index, change, turn) in changes {
                let index = index % replicas;
                match (change, loads.each()[index]) {
                    (0, _) => loads.close(index),
                    (1, _) | (_, CLOSED) => loads.open(index),
                    (2 | 3, load) => loads.take(index, load.min(change - 1)),
                    _ => loads.add(index),
                }
                prop_assert_eq!(loads.fewest(turn), fewest(loads.each(), turn));
            }
        }
    }
}
