//! The one order of events: time, then class, then entity, then sequence, packed into 128 bits that compare as one number.

use crate::units::SimTime;

/// When an event happens and which of the events of that instant goes first: 64 bits of time, 8 of class, 32 of entity,
/// 24 of sequence, from the most significant down. Unique within a calendar; the order never depends on insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(u128);

const SEQUENCE_BITS: u32 = 24;
const CLASS_SHIFT: u32 = 32 + SEQUENCE_BITS;
const TIME_SHIFT: u32 = 8 + CLASS_SHIFT;

impl EventKey {
    /// Not after any event.
    pub const ZERO: EventKey = EventKey(0);
    /// Later than every event.
    pub const NEVER: EventKey = EventKey(u128::MAX);

    /// The key of an event of `entity` at `at`. `class` is the process's own small enum, in the order in which classes act
    /// within an instant; `sequence`, below 2^24, tells events of one entity, instant and class apart.
    #[must_use]
    pub fn new(at: SimTime, class: impl Into<u8>, entity: u32, sequence: u32) -> EventKey {
        assert!(sequence >> SEQUENCE_BITS == 0, "a sequence fits 24 bits");
        let class = u128::from(class.into()) << CLASS_SHIFT;
        let entity = u128::from(entity) << SEQUENCE_BITS;
        EventKey(u128::from(at.nanos()) << TIME_SHIFT | class | entity | u128::from(sequence))
    }

    /// A limit above every event at or before `edge` and below every later one.
    #[must_use]
    pub fn after(edge: SimTime) -> EventKey {
        let next = u128::from(edge.nanos()) + 1;
        if next >> 64 == 0 { EventKey(next << TIME_SHIFT) } else { EventKey::NEVER }
    }

    /// `self`, an event that the event `parent` causes: it must come later in the order, so that no instant can loop.
    #[must_use]
    pub fn caused_by(self, parent: EventKey) -> EventKey {
        assert!(self > parent, "an event comes after its cause: {self:?} <= {parent:?}");
        self
    }

    /// When the event happens.
    #[must_use]
    pub fn time(self) -> SimTime {
        SimTime::from_nanos((self.0 >> TIME_SHIFT) as u64)
    }

    /// The class, as the process numbers them.
    #[must_use]
    pub fn class(self) -> u8 {
        (self.0 >> CLASS_SHIFT) as u8
    }

    /// Whose event it is.
    #[must_use]
    pub fn entity(self) -> u32 {
        (self.0 >> SEQUENCE_BITS) as u32
    }

    /// Which of the entity's events of that class and instant.
    #[must_use]
    pub fn sequence(self) -> u32 {
        self.0 as u32 & ((1 << SEQUENCE_BITS) - 1)
    }

    pub(super) fn bits(self) -> u128 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(at: u64, class: u8, entity: u32, sequence: u32) -> EventKey {
        EventKey::new(SimTime::from_nanos(at), class, entity, sequence)
    }

    #[test]
    fn order_is_time_class_entity_sequence() {
        const TOP: u32 = (1 << 24) - 1;
        let ascending = [
            key(0, 0, 0, 0),
            key(0, 0, 0, TOP),
            key(0, 0, 1, 0),
            key(0, 0, u32::MAX, TOP),
            key(0, 1, 0, 0),
            key(0, u8::MAX, u32::MAX, TOP),
            key(1, 0, 0, 0),
            key(u64::MAX, 0, 0, 0),
            EventKey::NEVER,
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn parts_come_back() {
        let key = key(0x0123_4567_89AB_CDEF, 0xFE, 0xDEAD_BEEF, 0x00AB_CDEF);
        let parts = (key.time().nanos(), key.class(), key.entity(), key.sequence());
        assert_eq!(parts, (0x0123_4567_89AB_CDEF, 0xFE, 0xDEAD_BEEF, 0x00AB_CDEF));
    }

    #[test]
    fn limit_lies_between_instants() {
        let limit = EventKey::after(SimTime::from_nanos(7));
        assert!(key(7, u8::MAX, u32::MAX, (1 << 24) - 1) < limit && limit <= key(8, 0, 0, 0));
        assert_eq!(EventKey::after(SimTime::NEVER), EventKey::NEVER);
    }

    #[test]
    #[should_panic(expected = "an event comes after its cause")]
    fn same_instant_cause_needs_a_smaller_key() {
        let _ = key(5, 1, 0, 0).caused_by(key(5, 1, 0, 0));
    }

    #[test]
    #[should_panic(expected = "a sequence fits 24 bits")]
    fn sequence_is_checked() {
        let _ = key(0, 0, 0, 1 << 24);
    }
}
