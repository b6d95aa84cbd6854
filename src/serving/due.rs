//! When each replica of a cell ends what it is at, in blocks of [`WIDE`] whose earliest is kept beside them: who is due is found by
//! comparing a block at a time, without a branch for each replica (cheaper than an ordered queue up to several hundred replicas).

/// Replicas whose earliest end is kept together, and such blocks.
pub(super) const WIDE: usize = 8;

/// Times in nanoseconds; the last of all where nothing is planned.
#[derive(Debug, Clone, Default)]
pub(super) struct Due {
    each: Vec<[u64; WIDE]>,
    earliest: Vec<[u64; WIDE]>,
}

impl Due {
    /// Holds that many replicas from now on, new ones without a plan.
    pub(super) fn resize(&mut self, replicas: usize) {
        self.each.resize(replicas.div_ceil(WIDE), [u64::MAX; WIDE]);
        self.earliest.resize(self.each.len().div_ceil(WIDE), [u64::MAX; WIDE]);
    }

    /// The earliest time of all.
    #[inline]
    pub(super) fn first(&self) -> u64 {
        self.earliest.iter().map(least).fold(u64::MAX, u64::min)
    }

    /// The replica at `index` is due at `at`.
    #[inline]
    pub(super) fn set(&mut self, index: usize, at: u64) {
        let block = index / WIDE;
        self.each[block][index % WIDE] = at;
        self.renew(block);
    }

    /// The same, where [`renew`](Due::renew) follows.
    #[inline]
    pub(super) fn put(&mut self, index: usize, at: u64) {
        self.each[index / WIDE][index % WIDE] = at;
    }

    /// Finds the earliest of a block anew.
    #[inline]
    pub(super) fn renew(&mut self, block: usize) {
        self.earliest[block / WIDE][block % WIDE] = least(&self.each[block]);
    }

    /// How many blocks of blocks there are.
    #[inline]
    pub(super) fn rows(&self) -> usize {
        self.earliest.len()
    }

    /// The blocks of a row in which somebody is due before `at`.
    #[inline]
    pub(super) fn blocks_before(&self, row: usize, at: u64) -> Bits {
        before(&self.earliest[row], at)
    }

    /// Who in a block is due before `at`.
    #[inline]
    pub(super) fn places_before(&self, block: usize, at: u64) -> Bits {
        before(&self.each[block], at)
    }
}

/// Places in a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits(u32);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(place as usize)
    }
}

#[inline]
fn before(block: &[u64; WIDE], at: u64) -> Bits {
    Bits(block.iter().rev().fold(0, |bits, &time| bits + bits + u32::from(time < at)))
}

#[inline]
fn least(block: &[u64; WIDE]) -> u64 {
    block.iter().copied().fold(u64::MAX, u64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_due_is_found_in_order() {
        let mut due = Due::default();
        due.resize(70);
        assert_eq!((due.first(), due.rows()), (u64::MAX, 2));
        let times = [(3, 50), (7, 20), (8, 49), (64, 10), (69, 49)];
        times.iter().for_each(|&(index, at)| due.set(index, at));
        let found = |at: u64| -> Vec<usize> {
            let blocks =
                (0..due.rows()).flat_map(|row| due.blocks_before(row, at).map(move |block| row * WIDE + block));
            blocks.flat_map(|block| due.places_before(block, at).map(move |place| block * WIDE + place)).collect()
        };
        assert_eq!(due.first(), 10);
        assert_eq!(found(10), [0; 0]);
        assert_eq!(found(50), [7, 8, 64, 69]);
        assert_eq!(found(u64::MAX), [3, 7, 8, 64, 69]);
    }
}
