//! What a prefix cache could save over a trace with block hashes: replayed through caches of several sizes.
//!
//! A request finds the longest run of its leading blocks that are in the cache; then all its blocks are touched in order, and the
//! least recently used go until the capacity holds. Hashes are chained, so a block is worth something only behind those before
//! it. Known answer: Mooncake's conversation trace, `tests/inspect.rs`.

use std::collections::{BTreeMap, HashMap};

/// A least-recently-used cache of prefix blocks.
#[derive(Debug, Clone)]
pub struct PrefixCache {
    /// Blocks that it holds at most; none for ever more.
    capacity: Option<u64>,
    /// When each block was touched last, and the block of each such time.
    touched: HashMap<u64, u64>,
    oldest: BTreeMap<u64, u64>,
    now: u64,
    hits: u64,
}

impl PrefixCache {
    /// An empty cache for that many blocks; without a capacity, for all.
    #[must_use]
    pub fn new(capacity: Option<u64>) -> PrefixCache {
        PrefixCache { capacity, touched: HashMap::new(), oldest: BTreeMap::new(), now: 0, hits: 0 }
    }

    /// Serves a request with these chained blocks; how many of the first were there.
    pub fn serve(&mut self, blocks: &[u64]) -> u64 {
        let hits = blocks.iter().take_while(|block| self.touched.contains_key(block)).count() as u64;
        for &block in blocks {
            self.now += 1;
            if let Some(before) = self.touched.insert(block, self.now) {
                self.oldest.remove(&before);
            }
            self.oldest.insert(self.now, block);
        }
        while self.capacity.is_some_and(|capacity| self.touched.len() as u64 > capacity) {
            let (_, block) = self.oldest.pop_first().expect("a block that is held was touched");
            self.touched.remove(&block);
        }
        self.hits += hits;
        hits
    }

    /// Blocks found so far.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Blocks held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.touched.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leading_blocks_count_and_the_least_recent_go() {
        let mut cache = PrefixCache::new(Some(3));
        assert_eq!(cache.serve(&[1, 2, 3]), 0);
        assert_eq!(cache.serve(&[1, 2, 4]), 2, "3 goes");
        assert_eq!(cache.serve(&[9, 2]), 0, "2 is there, but not behind 9; 1 goes");
        assert_eq!(cache.serve(&[1, 2]), 0);
        assert_eq!((cache.hits(), cache.held()), (2, 3));
    }
}
