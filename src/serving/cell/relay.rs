//! A cell with two pools: what computes prompts hands over to what decodes. Replicas meet where caches go from one to the other, so
//! their stretches are ended one by one, in order of time; at the same nanosecond in order of their places.

use super::{Cell, Standing};
use crate::engine::{Entity, Seed};
use crate::ledger::{Miss, PoolFacts};
use crate::serving::job::Job;
use crate::serving::loads::{CLOSED, Loads};
use crate::serving::pools::Role;
use crate::serving::replica::{Done, Replica};
use crate::serving::router::Routing;
use crate::serving::{OnFailure, Pools};
use crate::units::{SimTime, Tokens};
use std::collections::{BTreeMap, VecDeque};

/// A cache under way.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    job: Job,
    /// The replica that fetches it.
    to: usize,
}

/// What lies between the pools.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    pools: Pools,
    /// Requests of those who decode.
    loads: Loads,
    routing: Routing,
    /// By when they are there, and how many were before.
    transfers: BTreeMap<(SimTime, u64), Transfer>,
    /// Requests with their first token for whom no replica that decodes is ready.
    gate: VecDeque<Job>,
    facts: PoolFacts,
}

impl Relay {
    pub(super) fn new(pools: Pools, entity: Entity, seed: Seed) -> Relay {
        let routing = Routing::new(pools.router, seed.stream(entity, "decode-router"));
        let loads = Loads::new(routing.ranks());
        let (transfers, gate) = (BTreeMap::new(), VecDeque::new());
        Relay { pools, loads, routing, transfers, gate, facts: PoolFacts::default() }
    }

    /// What the replica at the `index`-th place does.
    pub(super) fn role(&self, index: usize) -> Role {
        self.pools.role(index)
    }

    /// Another replica.
    pub(super) fn push(&mut self) {
        self.loads.push();
    }

    /// Requests that nobody can take on yet.
    pub(super) fn waiting(&self) -> &VecDeque<Job> {
        &self.gate
    }

    pub(super) fn facts(&self) -> PoolFacts {
        self.facts
    }

    /// When the next cache has come.
    fn next(&self) -> u64 {
        self.transfers.first_key_value().map_or(u64::MAX, |((at, _), _)| at.nanos())
    }
}

impl Cell {
    /// The loads among which the replica at `index` counts.
    pub(super) fn loads_of(&mut self, index: usize) -> &mut Loads {
        match &mut self.relay {
            Some(relay) if self.replicas[index].role() == Role::Decode => &mut relay.loads,
            _ => &mut self.loads,
        }
    }

    /// Outstanding requests of the replica at `index`; [`CLOSED`] where it takes none.
    pub(super) fn load(&self, index: usize) -> u32 {
        match &self.relay {
            Some(relay) if self.replicas[index].role() == Role::Decode => relay.loads.each()[index],
            _ => self.loads.each()[index],
        }
    }

    /// When the next cache has come from one replica to another.
    #[inline]
    pub(super) fn relays_next(&self) -> u64 {
        self.relay.as_ref().map_or(u64::MAX, |relay| relay.next())
    }

    /// The cache that is due has come: its source may forget it.
    pub(super) fn let_loose(&mut self) {
        let due = self.relay.as_mut().and_then(|relay| relay.transfers.pop_first());
        let ((at, _), Transfer { job, .. }) = due.expect("a cache is due");
        let source = usize::from(job.source);
        self.replicas[source].let_loose(at, &job);
        self.note(source);
        self.events += 1;
    }

    /// Enters what the replica at `index`, one of a pool, has completed or is to hand over, and what it began to fetch.
    pub(super) fn pass_on(&mut self, index: usize) {
        let done = std::mem::take(&mut self.done);
        if self.load(index) != CLOSED {
            self.loads_of(index).take(index, done.len() as u32);
        }
        for Done { job, at } in &done {
            if job.to_go() == 0 {
                self.account.complete(&Done { job: *job, at: *at });
                self.source.answered(*at, false);
            } else {
                self.hand_over(*at, Job { source: index as u16, ..*job }, false);
            }
        }
        self.done = done;
        self.done.clear();
        let Some(relay) = &mut self.relay else { return };
        for fetch in self.replicas[index].take_asked() {
            let facts = &mut relay.facts;
            facts.fetched += 1;
            facts.tokens += Tokens::new(fetch.job.fetched());
            facts.travelled += u128::from(fetch.at.since(fetch.from).nanos());
            if fetch.job.produced == 1 {
                facts.first += 1;
                facts.waited += u128::from(fetch.from.since(fetch.job.first).nanos());
            }
            let transfer = Transfer { job: fetch.job, to: index };
            relay.transfers.insert((fetch.at, facts.fetched), transfer);
        }
    }

    /// Sends `job`, whose cache its source keeps, to a replica that decodes, there before others `in_front`.
    fn hand_over(&mut self, at: SimTime, job: Job, in_front: bool) {
        let Some(index) = self.who_decodes(at) else {
            self.relay.iter_mut().for_each(|relay| relay.gate.push_back(job));
            return;
        };
        if in_front {
            self.replicas[index].arrive_in_front(at, job);
        } else {
            self.replicas[index].arrive(at, job, &self.rules);
        }
        self.loads_of(index).add(index);
        self.note(index);
    }

    /// The replica that decodes what comes next; none where no one is ready.
    fn who_decodes(&mut self, at: SimTime) -> Option<usize> {
        let relay = self.relay.as_mut()?;
        if !relay.routing.weighs_memory() {
            return relay.routing.choose_by(&relay.loads, None);
        }
        let held = |(replica, &load): (&Replica, &u32)| match load {
            CLOSED => CLOSED,
            _ => replica.weight(at, &self.rules).min(u64::from(CLOSED - 1)) as u32,
        };
        let memory: Vec<u32> = self.replicas.iter().zip(relay.loads.each()).map(held).collect();
        relay.routing.choose(&memory, None)
    }

    /// Sends those who wait at the gate on, where somebody who decodes is ready.
    pub(super) fn open_gate(&mut self, at: SimTime) {
        let waiting = self.relay.as_mut().map(|relay| std::mem::take(&mut relay.gate));
        waiting.into_iter().flatten().for_each(|job| self.hand_over(at, job, false));
    }

    /// The replica at `index`, one of a pool, has lost `jobs` at `at`, of which the first `begun` were in its batch. Those who wait
    /// elsewhere for caches that it held lose them too. Who lost a cache computes it again from the prompt on; others go on elsewhere.
    pub(super) fn lose_in_pool(&mut self, at: SimTime, index: usize, mut jobs: Vec<Job>, begun: usize) {
        let Some(relay) = &mut self.relay else { return };
        relay.transfers.retain(|&(there, _), transfer| {
            usize::from(transfer.job.source) != index && (transfer.to != index || there <= at)
        });
        let mut lost: Vec<Job> = jobs[..begun].iter().copied().filter(|job| job.source == Job::HERE).collect();
        let prefills = self.replicas[index].role() == Role::Prefill;
        if prefills {
            let orphans = self.orphans(at, index as u16);
            lost.extend(&orphans);
            jobs.extend(orphans.iter().map(|job| Job { source: Job::HERE, ..*job }));
        }
        if let Some(relay) = &mut self.relay {
            *(if prefills { &mut relay.facts.lost_prefill } else { &mut relay.facts.lost_decode }) += lost.len() as u64;
        }
        if self.plan.clientele.on_failure == OnFailure::Fail {
            for job in &jobs {
                if job.source != Job::HERE {
                    let source = usize::from(job.source);
                    self.replicas[source].let_loose(at, job);
                    self.note(source);
                }
                self.miss(at, job, Miss::Broken);
            }
            return;
        }
        self.facts.restarted += lost.len() as u64;
        self.facts.restarted_tokens += lost.iter().map(|job| Tokens::new(job.to_compute())).sum();
        for job in jobs.into_iter().rev() {
            if job.source == Job::HERE {
                self.start_over(at, job);
            } else {
                self.hand_over(at, job, true);
            }
        }
    }

    /// Takes those out whose caches the replica `source` held, which fails at `at`.
    fn orphans(&mut self, at: SimTime, source: u16) -> Vec<Job> {
        let mut all = Vec::new();
        for index in 0..self.replicas.len() {
            if self.places[index].standing == Standing::Vacant || self.replicas[index].role() != Role::Decode {
                continue;
            }
            let orphans = self.replicas[index].orphans(at, source);
            if self.load(index) != CLOSED {
                self.loads_of(index).take(index, orphans.len() as u32);
            }
            self.note(index);
            all.extend(orphans);
        }
        let Some(relay) = &mut self.relay else { return all };
        all.extend(relay.gate.iter().filter(|job| job.source == source));
        relay.gate.retain(|job| job.source != source);
        all
    }
}
