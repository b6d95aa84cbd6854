//! One planned event per entity, re-planned in place: no tombstones, no cancelled events to skip.

use super::EventKey;

/// The planned event of each of a fixed number of entities, and a tree of minima above them: planning and cancelling are
/// a store and a walk up that ends where the minimum stays, the next event is at the root.
#[derive(Debug, Clone)]
pub struct Slots {
    /// `levels[0]` holds a key for each entity ([`EventKey::NEVER`] where it has no plan), each level above the least key of
    /// each eight below; the last has one.
    levels: Vec<Vec<EventKey>>,
}

/// Children of a node: eight keys fill two cache lines.
const WAYS: usize = 8;

impl Slots {
    /// Slots for entities `0..entities`, none with a plan.
    #[must_use]
    pub fn new(entities: u32) -> Slots {
        let mut levels = vec![vec![EventKey::NEVER; (entities as usize).max(1)]];
        let mut width = levels[0].len();
        while width > 1 {
            width = width.div_ceil(WAYS);
            levels.push(vec![EventKey::NEVER; width]);
        }
        Slots { levels }
    }

    /// Plans `key` as the only event of its entity, in place of the one planned before.
    pub fn plan(&mut self, key: EventKey) {
        assert!(key != EventKey::NEVER, "a planned event happens");
        self.store(key.entity(), key);
    }

    /// Takes back the plan of `entity`, if it has one.
    pub fn cancel(&mut self, entity: u32) {
        self.store(entity, EventKey::NEVER);
    }

    /// The plan of `entity`.
    #[must_use]
    pub fn planned(&self, entity: u32) -> Option<EventKey> {
        Some(self.levels[0][entity as usize]).filter(|key| *key != EventKey::NEVER)
    }

    /// The next event of all, left in place until its entity plans another or cancels.
    #[must_use]
    pub fn next(&self) -> Option<EventKey> {
        self.levels.last().map(|top| top[0]).filter(|key| *key != EventKey::NEVER)
    }

    fn store(&mut self, entity: u32, key: EventKey) {
        let mut node = entity as usize;
        self.levels[0][node] = key;
        for level in 1..self.levels.len() {
            node /= WAYS;
            let below = &self.levels[level - 1];
            let children = &below[node * WAYS..below.len().min((node + 1) * WAYS)];
            let least = children.iter().copied().fold(EventKey::NEVER, EventKey::min);
            if self.levels[level][node] == least {
                break;
            }
            self.levels[level][node] = least;
        }
    }
}
