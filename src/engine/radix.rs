//! The calendar for large sets: a radix heap on the whole event key. It streams through memory instead of chasing through
//! it, which makes it several times faster than a heap at a million events, and it keeps the total order.

use super::EventKey;

/// Pending events with a payload each, least key first; no event may be planned before the last one taken out.
///
/// Bucket `b` holds the events whose key differs from the last one taken in bit `b - 1` and in none above (R. Ahuja, K.
/// Mehlhorn, J. Orlin and R. Tarjan, Faster algorithms for the shortest path problem, JACM 37(2), 1990). An event moves only
/// to lower buckets, so at most 128 times, and in practice a few.
#[derive(Debug, Clone)]
pub struct RadixHeap<T = ()> {
    buckets: Box<[Bucket<T>]>,
    /// Bit `b` is set where bucket `b` holds an event.
    occupied: [u64; 3],
    last: EventKey,
    len: usize,
}

#[derive(Debug, Clone)]
struct Bucket<T> {
    entries: Vec<(EventKey, T)>,
    least: EventKey,
}

/// One for each bit of the key, and one for the last key itself.
const BUCKETS: usize = 129;

impl<T> Default for RadixHeap<T> {
    fn default() -> RadixHeap<T> {
        let empty = || Bucket { entries: Vec::new(), least: EventKey::NEVER };
        let buckets = (0..BUCKETS).map(|_| empty()).collect();
        RadixHeap { buckets, occupied: [0; 3], last: EventKey::ZERO, len: 0 }
    }
}

impl<T: Copy> RadixHeap<T> {
    /// Plans an event, not before the last one taken out.
    pub fn push(&mut self, key: EventKey, payload: T) {
        assert!(key >= self.last, "events are planned in the future: {key:?} < {:?}", self.last);
        self.file(key, payload);
        self.len += 1;
    }

    /// The next event's key; looking does not move the heap forward.
    #[must_use]
    pub fn peek(&self) -> Option<EventKey> {
        self.lowest().map(|bucket| self.buckets[bucket].least)
    }

    /// Takes the next event out.
    pub fn pop(&mut self) -> Option<(EventKey, T)> {
        let lowest = self.lowest()?;
        Some(self.take_from(lowest))
    }

    /// Takes the next event out if it comes before `limit`; otherwise nothing changes, and events before it may still be
    /// planned.
    pub fn pop_below(&mut self, limit: EventKey) -> Option<(EventKey, T)> {
        let lowest = self.lowest()?;
        (self.buckets[lowest].least < limit).then(|| self.take_from(lowest))
    }

    /// How many events are planned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no event is planned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lowest occupied bucket, which holds the least key.
    fn lowest(&self) -> Option<usize> {
        let word = self.occupied.iter().position(|word| *word != 0)?;
        Some(word * 64 + self.occupied[word].trailing_zeros() as usize)
    }

    fn file(&mut self, key: EventKey, payload: T) {
        let index = 128 - (key.bits() ^ self.last.bits()).leading_zeros() as usize;
        let bucket = &mut self.buckets[index];
        bucket.entries.push((key, payload));
        bucket.least = bucket.least.min(key);
        self.occupied[index / 64] |= 1 << (index % 64);
    }

    /// Takes the least event out of the lowest bucket and files the others of that bucket relative to it.
    fn take_from(&mut self, lowest: usize) -> (EventKey, T) {
        let bucket = &mut self.buckets[lowest];
        let mut entries = std::mem::take(&mut bucket.entries);
        self.last = std::mem::replace(&mut bucket.least, EventKey::NEVER);
        self.occupied[lowest / 64] &= !(1 << (lowest % 64));
        self.len -= 1;
        let mut taken = None;
        for (key, payload) in entries.drain(..) {
            if key == self.last && taken.is_none() {
                taken = Some((key, payload));
            } else {
                self.file(key, payload);
            }
        }
        let bucket = &mut self.buckets[lowest];
        if bucket.entries.is_empty() {
            bucket.entries = entries;
        }
        taken.expect("a bucket's least key is in the bucket")
    }
}
