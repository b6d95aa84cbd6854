//! The schedulers on random gangs: who starts when, and what must hold whatever comes.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tollway::scenario;
use tollway::scheduler::{Backfill, Decision, Fifo, Gang, Priority, Queue, Run, Running, Scheduler, View, Waiting};
use tollway::units::{SimTime, Span};
use tollway::world::{Hall, Need, NodeSet};

const GPUS: u32 = 8;

/// A gang as a test writes it: seconds of submission and run, estimate over run, priority, GPUs.
#[derive(Debug, Clone, Copy)]
struct Wish {
    submit: u64,
    run: u64,
    estimate: u64,
    priority: i32,
    gpus: u32,
}

/// What became of the gangs, and what was seen on the way.
#[derive(Debug, Default)]
struct Seen {
    /// Starts in order, each with its instant.
    starts: Vec<(usize, SimTime)>,
    /// For each gang of whole nodes: the reservation it got when it first stood at the head and did not fit.
    reserved: BTreeMap<usize, SimTime>,
    preemptions: usize,
    /// Node-seconds that were busy, and that were free.
    busy: u64,
    free: u64,
    end: u64,
}

/// Runs `wishes` on `nodes` to the end of the last, checking at each move that no node is in two hands.
struct Driver<'a> {
    wishes: &'a [Wish],
    scheduler: Scheduler,
    hall: Hall,
    queue: Queue,
    running: Running,
    holds: BTreeMap<usize, (NodeSet, SimTime)>,
    left: Vec<u64>,
    seen: Seen,
}

impl Driver<'_> {
    fn run(wishes: &[Wish], scheduler: Scheduler, nodes: u32) -> Seen {
        let mut driver = Driver {
            wishes,
            scheduler,
            hall: Hall::new(nodes, GPUS, 4),
            queue: Queue::new(&scheduler),
            running: Running::default(),
            holds: BTreeMap::new(),
            left: wishes.iter().map(|wish| wish.run).collect(),
            seen: Seen::default(),
        };
        let mut ahead: BTreeSet<(u64, usize)> =
            wishes.iter().enumerate().map(|(index, wish)| (wish.submit, index)).collect();
        let mut now = 0;
        loop {
            let ends = driver.holds.iter().map(|(&index, (_, since))| seconds(*since) + driver.left[index]).min();
            let Some(next) = ahead.first().map(|&(submit, _)| submit).into_iter().chain(ends).min() else { break };
            driver.seen.free += u64::from(driver.hall.free()) * (next - now);
            driver.seen.busy += u64::from(driver.busy()) * (next - now);
            now = next;
            driver.end_due(now);
            while let Some(&(submit, index)) = ahead.first().filter(|&&(submit, _)| submit <= now) {
                ahead.remove(&(submit, index));
                driver.submit(index);
            }
            driver.schedule(now);
        }
        assert!(driver.queue.is_empty(), "whoever fits an empty hall starts some day");
        driver.seen.end = now;
        driver.seen
    }

    /// Nodes in somebody's hands, counted from the hands.
    fn busy(&self) -> u32 {
        let mut nodes = BTreeSet::new();
        self.holds.values().for_each(|(held, _)| nodes.extend(held.iter()));
        nodes.len() as u32
    }

    fn need(&self, index: usize) -> Need {
        Need::of(self.wishes[index].gpus, GPUS)
    }

    fn submit(&mut self, index: usize) {
        let wish = self.wishes[index];
        self.queue.push(Waiting {
            gang: Gang(index as u64),
            priority: wish.priority,
            submitted: at(wish.submit),
            need: self.need(index),
            estimate: Span::from_secs(wish.estimate * self.left[index]),
        });
    }

    fn end_due(&mut self, now: u64) {
        let due = |(index, (_, since)): (&usize, &(NodeSet, SimTime))| {
            (seconds(*since) + self.left[*index] <= now).then_some(*index)
        };
        for index in self.holds.iter().filter_map(due).collect::<Vec<_>>() {
            self.give_back(index);
        }
    }

    fn give_back(&mut self, index: usize) -> SimTime {
        let (nodes, since) = self.holds.remove(&index).expect("it ran");
        self.running.end(Gang(index as u64));
        self.hall.release_gang(self.need(index), nodes);
        since
    }

    fn schedule(&mut self, now: u64) {
        loop {
            let view = View { now: at(now), hall: &self.hall, queue: &self.queue, running: &self.running };
            let decision = self.scheduler.next(&view);
            self.note_reservation();
            match decision {
                None => return,
                Some(Decision::Start(waiting)) => self.start(waiting, now),
                Some(Decision::Preempt(Gang(index))) => {
                    let since = self.give_back(index as usize);
                    self.left[index as usize] -= now - seconds(since);
                    self.seen.preemptions += 1;
                    self.submit(index as usize);
                }
            }
            self.assert_nodes_are_held_once();
        }
    }

    fn note_reservation(&mut self) {
        let Some(head) = self.queue.first().filter(|head| !self.hall.fits(head.need)) else { return };
        if let Need::Nodes(wanted) = head.need
            && let Some(reservation) = self.running.reservation(self.hall.free(), wanted)
        {
            self.seen.reserved.entry(head.gang.0 as usize).or_insert(reservation.at);
        }
    }

    fn start(&mut self, waiting: Waiting, now: u64) {
        let index = waiting.gang.0 as usize;
        self.queue.remove(&waiting);
        let nodes = self.hall.grant_gang(waiting.need).expect("who starts fits");
        let run = Run {
            priority: waiting.priority,
            started: at(now),
            ends: at(now) + waiting.estimate,
            need: waiting.need,
            node: nodes.iter().next().expect("a node"),
        };
        self.running.start(waiting.gang, run);
        self.holds.insert(index, (nodes, at(now)));
        self.seen.starts.push((index, at(now)));
    }

    fn assert_nodes_are_held_once(&self) {
        let mut gpus: BTreeMap<u32, u32> = BTreeMap::new();
        for (&index, (nodes, _)) in &self.holds {
            let each = if let Need::Share(gpus) = self.need(index) { gpus } else { GPUS };
            nodes.iter().for_each(|node| *gpus.entry(node).or_default() += each);
        }
        assert!(gpus.values().all(|&held| held <= GPUS), "a GPU is held once: {gpus:?}");
        assert_eq!(gpus.len() as u32 + self.hall.free(), self.hall.nodes());
    }
}

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + Span::from_secs(seconds)
}

fn seconds(at: SimTime) -> u64 {
    at.nanos() / 1_000_000_000
}

fn wish() -> impl Strategy<Value = Wish> {
    let gpus = prop_oneof![1..8_u32, (1..10_u32).prop_map(|nodes| nodes * GPUS)];
    (0..400_u64, 1..200_u64, 1..4_u64, -1..2_i32, gpus).prop_map(|(submit, run, estimate, priority, gpus)| Wish {
        submit,
        run,
        estimate,
        priority,
        gpus,
    })
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    prop::collection::vec(wish(), 1..60)
}

fn policies() -> impl Strategy<Value = Scheduler> {
    let preempt = any::<bool>().prop_map(|preempt| Scheduler::Priority(Priority { preempt }));
    prop_oneof![
        Just(Scheduler::Fifo(Fifo {})),
        preempt,
        (0..9_u32).prop_map(|depth| Scheduler::Backfill(Backfill { depth }))
    ]
}

proptest! {
    #[test]
    fn all_run_no_gpu_is_held_twice_and_node_seconds_add_up(wishes in wishes(), policy in policies(), nodes in 9..20_u32) {
        let seen = Driver::run(&wishes, policy, nodes);
        let started: BTreeSet<usize> = seen.starts.iter().map(|&(index, _)| index).collect();
        prop_assert_eq!(started.len(), wishes.len());
        prop_assert_eq!(seen.starts.len(), wishes.len() + seen.preemptions);
        prop_assert_eq!(seen.busy + seen.free, u64::from(nodes) * seen.end);
    }

    #[test]
    fn fifo_starts_in_order_of_submission(wishes in wishes(), nodes in 9..20_u32) {
        let seen = Driver::run(&wishes, Scheduler::Fifo(Fifo {}), nodes);
        let order: Vec<(u64, usize)> = seen.starts.iter().map(|&(index, _)| (wishes[index].submit, index)).collect();
        prop_assert!(order.is_sorted(), "{:?}", order);
    }

    #[test]
    fn backfill_never_delays_the_first_in_the_queue(wishes in wishes(), nodes in 9..20_u32) {
        // Of one priority, so that nobody who comes later takes the head's place. Estimates are never short of the run.
        let wishes: Vec<Wish> = wishes.into_iter().map(|wish| Wish { priority: 0, ..wish }).collect();
        let seen = Driver::run(&wishes, Scheduler::Backfill(Backfill { depth: 60 }), nodes);
        for &(index, started) in &seen.starts {
            let late = seen.reserved.get(&index).is_some_and(|&reserved| started > reserved);
            prop_assert!(!late, "gang {} started at {:?}, reserved for {:?}", index, started, seen.reserved.get(&index));
        }
    }

    #[test]
    fn nobody_of_higher_priority_waits_while_lower_ones_that_would_do_run(wishes in wishes(), nodes in 9..20_u32) {
        let whole: Vec<Wish> = wishes.into_iter().map(|wish| Wish { gpus: wish.gpus.div_ceil(GPUS) * GPUS, ..wish }).collect();
        let seen = Driver::run(&whole, Scheduler::Priority(Priority { preempt: true }), nodes);
        // The highest priority there is waits for its equals only: as first in, first out among themselves.
        let top: Vec<Wish> = whole.iter().copied().filter(|wish| wish.priority == 1).collect();
        let alone = Driver::run(&top, Scheduler::Fifo(Fifo {}), nodes);
        let among = seen.starts.iter().filter(|(index, _)| whole[*index].priority == 1).map(|&(_, at)| at);
        prop_assert_eq!(among.collect::<Vec<_>>(), alone.starts.iter().map(|&(_, at)| at).collect::<Vec<_>>());
    }
}

/// Nine nodes: a gang of six runs; one of eight waits; then a short one, a long one, and a small one come.
const OVERTAKING: [Wish; 5] = [
    Wish { submit: 0, run: 100, estimate: 1, priority: 0, gpus: 48 },
    Wish { submit: 1, run: 100, estimate: 1, priority: 0, gpus: 64 },
    Wish { submit: 2, run: 90, estimate: 1, priority: 0, gpus: 16 },
    Wish { submit: 3, run: 500, estimate: 1, priority: 0, gpus: 8 },
    Wish { submit: 4, run: 500, estimate: 1, priority: 1, gpus: 2 },
];

#[test]
fn each_policy_starts_them_as_worked_out_by_hand() {
    for (policy, expected) in [
        // The second blocks the rest until it starts at 100 s, the third until it starts at 200 s.
        (Scheduler::Fifo(Fifo {}), [0, 100, 200, 200, 200]),
        // The small one of priority 1 goes at once; it keeps one node, so that the eight still fit at 100 s.
        (Scheduler::Priority(Priority { preempt: false }), [0, 100, 200, 200, 4]),
        // Reserved for 100 s with one node to spare: the short one ends at 92 s, the long one takes the spare node. The small one,
        // of priority 1 and first in the queue once it comes, fits on no node until 92 s.
        (Scheduler::Backfill(Backfill { depth: 10 }), [0, 503, 2, 3, 92]),
    ] {
        let seen = Driver::run(&OVERTAKING, policy, 9);
        let starts: BTreeMap<usize, u64> = seen.starts.iter().map(|&(index, at)| (index, seconds(at))).collect();
        assert_eq!(starts.into_values().collect::<Vec<_>>(), expected, "{policy:?}");
    }
}

/// Three training jobs on 12 nodes: `long` holds 8, `wide` wants 12, `brief` wants 4 for an hour.
fn three_jobs(scheduler: &str) -> scenario::Scenario {
    let job = |name: &str, submit: &str, nodes: u32, ideal: &str, priority: i32| {
        format!(
            "[training.{name}]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = {nodes}\ntokens = 1e6\nideal = \"{ideal}\"\n\
             submit = \"{submit}\"\npriority = {priority}\nrecovery = {{ restart = \"10 min\" }}\n"
        )
    };
    let text = format!(
        "name = \"three\"\nstart = \"2026-01-01T00:00:00Z\"\nduration = \"4 d\"\n\
         [site.here]\ngrid = \"erco\"\ntariff = {{ flat = \"$0.08/kWh\" }}\n\
         [cluster.main]\nsite = \"here\"\nnode = \"dgx-h100\"\nnodes = 12\nfailures = {{ none = {{}} }}\nscheduler = {scheduler}\n{}{}{}",
        job("long", "0 s", 8, "1 d", 0),
        job("wide", "1 h", 12, "1 d", 1),
        job("brief", "2 h", 4, "1 h", 0),
    );
    scenario::parse("three.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"))
}

#[test]
fn training_jobs_queue_as_their_scheduler_says() {
    let hour = 3_600.0;
    for (scheduler, started, finished, preemptions) in [
        ("{ fifo = {} }", [0.0, 24.0, 48.0], [24.0, 48.0, 49.0], 0.0),
        ("{ backfill = {} }", [0.0, 24.0, 2.0], [24.0, 48.0, 3.0], 0.0),
        // The wide one takes all nodes at 1 h; the long one goes on at 25 h, restarts for 10 min and has 23 h to do.
        ("{ priority = { preempt = true } }", [0.0, 1.0, 25.0], [48.0 + 1.0 / 6.0, 25.0, 26.0], 1.0),
    ] {
        let accounts = tollway::simulate(&three_jobs(scheduler), |_| ()).accounts;
        let figure = |name: &str, metric| accounts.figure(&format!("training.{name}"), metric, "").expect("a figure");
        for (index, (name, submit)) in [("long", 0.0), ("wide", 1.0), ("brief", 2.0)].into_iter().enumerate() {
            assert_eq!(figure(name, "submitted"), submit * hour, "{scheduler} {name}");
            assert_eq!(figure(name, "started"), started[index] * hour, "{scheduler} {name}");
            assert_eq!(figure(name, "waited"), (started[index] - submit) * hour, "{scheduler} {name}");
            assert!((figure(name, "finished") - finished[index] * hour).abs() < 1e-6, "{scheduler} {name}");
            assert_eq!(
                figure(name, "productive_gpu_hours"),
                if name == "brief" { 32.0 } else { 24.0 * if name == "long" { 64.0 } else { 96.0 } }
            );
        }
        assert_eq!(figure("long", "preemptions"), preemptions, "{scheduler}");
        assert_eq!(figure("long", "requeued"), 24.0 * hour * preemptions, "{scheduler}");
    }
}
