//! Which replica takes a request: exact loads, read at the instant of arrival.

use super::arrivals::hashed;
use super::job::Job;
use super::loads::{CLOSED, Loads, fewest, next_where};
use super::{ArrivalPlan, Router};
use crate::engine::Stream;

/// A router, where its turn stands, and its chance.
#[derive(Debug, Clone)]
pub(crate) struct Routing {
    policy: Router,
    turn: usize,
    stream: Stream,
}

impl Routing {
    pub(crate) fn new(policy: Router, stream: Stream) -> Routing {
        Routing { policy, turn: 0, stream }
    }

    /// True where choices depend on which replicas are open, and not on how loaded they are.
    pub(crate) fn ignores_loads(&self) -> bool {
        matches!(self.policy, Router::RoundRobin {} | Router::Random {})
    }

    /// True where a load is what a replica holds in its key-value memory, not its requests.
    #[inline]
    pub(crate) fn weighs_memory(&self) -> bool {
        matches!(self.policy, Router::LeastKv {})
    }

    /// True where choices depend on what requests have in common.
    #[inline]
    pub(crate) fn knows_origins(&self) -> bool {
        matches!(self.policy, Router::SessionSticky {} | Router::PrefixAffinity(_))
    }

    /// True where somebody asks which replica has the fewest requests.
    pub(crate) fn ranks(&self) -> bool {
        matches!(self.policy, Router::LeastLoaded {})
    }

    /// What `job` has in common with others that should come to the same replica: its conversation, or the beginning of its prompt.
    pub(crate) fn key(&self, arrivals: &ArrivalPlan, job: &Job) -> Option<u64> {
        let number = Some(u64::from(job.prefix)).filter(|_| job.prefix != Job::UNNAMED)?;
        let ArrivalPlan::Trace(trace) = arrivals else { return Some(number) };
        match self.policy {
            Router::PrefixAffinity(policy) => {
                let blocks = trace.blocks(number);
                // Hashes are chained: the last of the leading blocks stands for all before it.
                let last = blocks.len().min(policy.blocks as usize).checked_sub(1);
                last.map(|last| blocks[last]).or_else(|| trace.session(number))
            }
            _ => trace.session(number),
        }
    }

    /// The replica that takes the next request, given its key, what it has in common with others; none where no one takes any.
    #[inline]
    pub(super) fn choose_by(&mut self, loads: &Loads, key: Option<u64>) -> Option<usize> {
        if !self.ranks() {
            return self.choose(loads.each(), key);
        }
        let chosen = loads.fewest(self.turn)?;
        self.turn = chosen + 1;
        Some(chosen)
    }

    /// The same, given the load of each; none where all are [`CLOSED`].
    #[inline]
    pub(crate) fn choose(&mut self, loads: &[u32], key: Option<u64>) -> Option<usize> {
        match (self.policy, key) {
            (Router::SessionSticky {}, Some(key)) => return highest(loads, key, CLOSED - 1),
            (Router::PrefixAffinity(policy), Some(key)) => {
                let least = loads.iter().copied().fold(CLOSED, u32::min);
                return highest(loads, key, least.saturating_add(policy.excess).min(CLOSED - 1));
            }
            _ => {}
        }
        let chosen = match self.policy {
            Router::RoundRobin {} => next_where(loads, self.turn, |load| load != CLOSED)?,
            Router::Random {} => {
                let open = open(loads);
                (open > 0).then(|| nth_open(loads, self.stream.below(open)))?
            }
            Router::PowerOfTwo {} => self.better_of_two(loads)?,
            Router::LeastLoaded {} | Router::LeastKv {} | Router::SessionSticky {} | Router::PrefixAffinity(_) => {
                // Ties go in turn: "the lowest index" skews loads (p99 TTFT 81.3 against 79.2 ms on our prototype).
                fewest(loads, self.turn)?
            }
        };
        self.turn = chosen + 1;
        Some(chosen)
    }

    /// The less loaded of two different open replicas, the first drawn where they are equal; the only one where one is open.
    #[inline]
    fn better_of_two(&mut self, loads: &[u32]) -> Option<usize> {
        let open = open(loads);
        if open < 2 {
            return (open > 0).then(|| nth_open(loads, 0));
        }
        let first = self.stream.below(open);
        let second = self.stream.below(open - 1);
        let second = second + u32::from(second >= first);
        let [first, second] = [first, second].map(|nth| nth_open(loads, nth));
        Some(if loads[second] < loads[first] { second } else { first })
    }
}

/// Of the replicas with a load of at most `most` the one that `key` prefers: the highest of hashes of key and replica (rendezvous,
/// Thaler and Ravishankar 1998), so that a replica that closes moves its own keys and no others.
fn highest(loads: &[u32], key: u64, most: u32) -> Option<usize> {
    let able = (0..loads.len()).filter(|&index| loads[index] <= most);
    able.max_by(|&one, &two| hashed(key, one as u64).total_cmp(&hashed(key, two as u64)))
}

/// How many replicas take requests.
#[inline]
fn open(loads: &[u32]) -> u32 {
    loads.iter().map(|&load| u32::from(load != CLOSED)).sum()
}

/// The `nth` replica that takes requests, from 0.
#[inline]
fn nth_open(loads: &[u32], nth: u32) -> usize {
    let mut open = (0..loads.len()).filter(|&index| loads[index] != CLOSED);
    open.nth(nth as usize).expect("fewer are passed over than are open")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Entity, Seed};
    use crate::serving::PrefixAffinity;

    fn routing(policy: Router) -> Routing {
        let seed = Seed { seed: 1, replication: 0 };
        Routing::new(policy, seed.stream(Entity::named("test"), "router"))
    }

    /// How often each of the replicas is chosen in 30,000 times.
    fn frequencies(policy: Router, loads: &[u32]) -> Vec<u32> {
        let (mut routing, mut chosen) = (routing(policy), vec![0; loads.len()]);
        (0..30_000).for_each(|_| chosen[routing.choose(loads, None).expect("one is open")] += 1);
        chosen
    }

    #[test]
    fn chance_is_fair_and_goes_by_open_replicas_only() {
        // 10,000 of 30,000 at a chance of a third: 5 standard deviations are 408.
        let random = frequencies(Router::Random {}, &[9, CLOSED, 0, 5]);
        assert!(random[1] == 0 && [0, 2, 3].iter().all(|&index| random[index].abs_diff(10_000) < 408), "{random:?}");
        // Of three pairs the emptiest wins two, the middle one, and the fullest none.
        let better = frequencies(Router::PowerOfTwo {}, &[9, CLOSED, 0, 5]);
        assert!(better[..2] == [0, 0] && better[2].abs_diff(20_000) < 408, "{better:?}");
        assert_eq!(frequencies(Router::PowerOfTwo {}, &[CLOSED, 7]), [0, 30_000]);
        assert_eq!(routing(Router::Random {}).choose(&[CLOSED], None), None);
        assert_eq!(routing(Router::PowerOfTwo {}).choose(&[CLOSED], None), None);
    }

    #[test]
    fn choices_go_in_turn() {
        let cases = [
            (Router::RoundRobin {}, vec![5, 0, CLOSED, 9], vec![0, 1, 3, 0, 1]),
            (Router::LeastLoaded {}, vec![5, 0, CLOSED, 0], vec![1, 3, 1, 3, 1]),
        ];
        for (policy, loads, expected) in cases {
            let mut routing = routing(policy);
            let chosen: Vec<usize> = (0..5).map(|_| routing.choose(&loads, None).expect("one is open")).collect();
            assert_eq!(chosen, expected, "{policy:?}");
        }
        assert_eq!(routing(Router::LeastLoaded {}).choose(&[CLOSED, CLOSED], None), None);
        assert_eq!(routing(Router::RoundRobin {}).choose(&[CLOSED], None), None);
        assert_eq!(routing(Router::SessionSticky {}).choose(&[CLOSED], Some(7)), None);
    }

    #[test]
    fn a_key_stays_where_it_is_and_only_those_of_a_closed_replica_move() {
        let mut sticky = routing(Router::SessionSticky {});
        let mut homes = |loads: &[u32]| -> Vec<usize> {
            (0..30_000).map(|key| sticky.choose(loads, Some(key)).expect("one is open")).collect()
        };
        let (all, without) = (homes(&[0, 900, 7]), homes(&[0, CLOSED, 7]));
        for (before, after) in all.iter().zip(&without) {
            assert!(before == after || *before == 1, "from {before} to {after}");
        }
        // 10,000 keys each, with a standard deviation of 82, whatever the loads.
        let at = |homes: &[usize], index| homes.iter().filter(|&&home| home == index).count() as u32;
        assert!(
            (0..3).all(|index| at(&all, index).abs_diff(10_000) < 408),
            "{:?}",
            [at(&all, 0), at(&all, 1), at(&all, 2)]
        );
    }

    #[test]
    fn an_overloaded_home_sends_its_key_to_the_next_best() {
        let mut affine = routing(Router::PrefixAffinity(PrefixAffinity { blocks: 4, excess: 10 }));
        for key in 0..1_000 {
            let home = affine.choose(&[5, 5, 5], Some(key)).expect("all are open");
            let mut loads = [5, 5, 5];
            loads[home] = 15;
            assert_eq!(affine.choose(&loads, Some(key)), Some(home), "ten above the least loaded");
            loads[home] = 16;
            assert_ne!(affine.choose(&loads, Some(key)), Some(home), "eleven above");
            // Without a key it goes by load.
            assert_ne!(affine.choose(&loads, None), Some(home));
        }
    }
}
