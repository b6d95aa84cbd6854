//! The calendar of a logical process: a 4-ary heap on the event key, whose top is replaced in place by the event that
//! follows from it. For sets below about 50,000 events; larger ones go into a [`super::RadixHeap`].

use super::EventKey;

/// Pending events with a payload each, least key first. Keys are unique, so the order of insertion cannot show.
#[derive(Debug, Clone)]
pub struct Calendar<T = ()> {
    /// Children of `i` are `4i + 1` to `4i + 4`; none is less than its parent.
    heap: Vec<(EventKey, T)>,
}

const WAYS: usize = 4;

impl<T> Default for Calendar<T> {
    fn default() -> Calendar<T> {
        Calendar { heap: Vec::new() }
    }
}

impl<T: Copy> Calendar<T> {
    /// Makes room for `more` entries, so that planning them allocates once.
    pub fn reserve(&mut self, more: usize) {
        self.heap.reserve(more);
    }

    /// Plans an event.
    pub fn push(&mut self, key: EventKey, payload: T) {
        self.heap.push((key, payload));
        let mut hole = self.heap.len() - 1;
        while hole > 0 {
            let parent = (hole - 1) / WAYS;
            if self.heap[parent].0 < key {
                break;
            }
            self.heap[hole] = self.heap[parent];
            hole = parent;
        }
        self.heap[hole] = (key, payload);
    }

    /// The next event, left in place.
    #[must_use]
    pub fn peek(&self) -> Option<(EventKey, T)> {
        self.heap.first().copied()
    }

    /// Takes the next event out.
    pub fn pop(&mut self) -> Option<(EventKey, T)> {
        let last = self.heap.pop()?;
        if self.heap.is_empty() { Some(last) } else { Some(self.replace_top(last.0, last.1)) }
    }

    /// Takes the next event out if it comes before `limit`.
    pub fn pop_below(&mut self, limit: EventKey) -> Option<(EventKey, T)> {
        self.peek().filter(|(key, _)| *key < limit)?;
        self.pop()
    }

    /// Takes the next event out and plans another in one step, at half the price of the two. There must be a next event.
    pub fn replace_top(&mut self, key: EventKey, payload: T) -> (EventKey, T) {
        assert!(!self.heap.is_empty(), "only a planned event can be replaced");
        let top = self.heap[0];
        let heap = self.heap.as_mut_slice();
        let mut hole = 0;
        loop {
            let first = WAYS * hole + 1;
            let least = match heap.get(first..first + WAYS) {
                Some(four) => first + least_of_four(four),
                None if first < heap.len() => first + least_of(&heap[first..]),
                None => break,
            };
            if key < heap[least].0 {
                break;
            }
            heap[hole] = heap[least];
            hole = least;
        }
        heap[hole] = (key, payload);
        top
    }

    /// How many events are planned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no event is planned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

fn least_of_four<T>(entries: &[(EventKey, T)]) -> usize {
    let left = usize::from(entries[1].0 < entries[0].0);
    let right = 2 + usize::from(entries[3].0 < entries[2].0);
    if entries[right].0 < entries[left].0 { right } else { left }
}

fn least_of<T>(entries: &[(EventKey, T)]) -> usize {
    (1..entries.len()).fold(0, |least, other| if entries[other].0 < entries[least].0 { other } else { least })
}
