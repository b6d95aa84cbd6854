//! The window loop: all processes run to the next control instant in parallel, then control runs alone, and so on to the
//! horizon. Which thread runs what changes nothing: a process touches only its own state inside a window.

use crate::units::{SimTime, Span};
use std::sync::Mutex;

/// A logical process: owns its state, its event calendar and its random streams, and meets others only at window edges.
pub trait Process: Send {
    /// When its next own event is due; [`SimTime::NEVER`] where it waits for a command.
    fn next_time(&self) -> SimTime;

    /// Handles every own event at or before `edge`, in key order, and returns how many it handled.
    fn run_until(&mut self, edge: SimTime) -> u64;
}

/// The sequential process that meets all others at window edges: reads their telemetry, sends them commands.
pub trait Control<P> {
    /// The next instant at which control must run; [`SimTime::NEVER`] where it never needs to again.
    fn next_edge(&self, processes: &[P]) -> SimTime;

    /// Acts at `now`, after every process has handled its events up to and at `now`. Commands hold from `now` on.
    fn at_edge(&mut self, now: SimTime, processes: &mut [P]);
}

/// What a run did, for the run record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunStats {
    /// Events handled by all processes.
    pub events: u64,
    /// Windows, one for each control instant.
    pub windows: u64,
}

/// Below this many events in a window a fork costs more than it gains: about half a millisecond at 150 ns an event.
const EVENTS_WORTH_A_FORK: u64 = 3_000;

/// Runs `processes` under `control` from the start to `horizon`. `progress` hears the time of each window edge.
///
/// Control acts at the start and at each edge, the last of which is `horizon`. Which window is forked over the threads of
/// the current rayon pool, and who runs what in it, follows from counts of events and cannot show in the result.
pub fn run<P: Process, C: Control<P>>(
    control: &mut C,
    processes: &mut [P],
    horizon: SimTime,
    mut progress: impl FnMut(SimTime),
) -> RunStats {
    let mut stats = RunStats::default();
    let mut load = Load { events: vec![0; processes.len()], window: Span::ZERO };
    control.at_edge(SimTime::ZERO, processes);
    let mut now = SimTime::ZERO;
    while now < horizon {
        let edge = control.next_edge(processes).min(horizon);
        assert!(edge > now, "control moves time forward");
        stats.events += advance(processes, edge, edge.since(now), &mut load);
        stats.windows += 1;
        now = edge;
        control.at_edge(now, processes);
        progress(now);
    }
    stats
}

/// What the last window cost, as the forecast of the next.
struct Load {
    /// Events that each process handled in it.
    events: Vec<u64>,
    /// Its length.
    window: Span,
}

impl Load {
    /// Events to expect in a `window`: the last rate goes on. Where nothing is known yet, many.
    fn expected(&self, window: Span) -> u64 {
        let events: u64 = self.events.iter().sum();
        if events == 0 {
            return u64::MAX;
        }
        let scaled = u128::from(events) * u128::from(window.nanos()) / u128::from(self.window.nanos());
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

/// Brings every process that is due to `edge` and returns how many events that took.
fn advance<P: Process>(processes: &mut [P], edge: SimTime, window: Span, load: &mut Load) -> u64 {
    let worth_a_fork = load.expected(window) >= EVENTS_WORTH_A_FORK;
    load.window = window;
    let mut due = Vec::with_capacity(processes.len());
    for (process, last) in processes.iter_mut().zip(&mut load.events) {
        if process.next_time() <= edge {
            due.push((process, last));
        } else {
            *last = 0;
        }
    }
    let threads = rayon::current_num_threads().min(due.len());
    if worth_a_fork && threads > 1 {
        // The costliest first, so that none of them is left to run alone at the end.
        due.sort_by_key(|(_, last)| std::cmp::Reverse(**last));
        fork(due, edge, threads);
    } else {
        due.into_iter().for_each(|(process, events)| *events = process.run_until(edge));
    }
    load.events.iter().sum()
}

/// Runs the `due` processes to `edge` on `threads` threads; each takes the next in line when it is free.
fn fork<P: Process>(due: Vec<(&mut P, &mut u64)>, edge: SimTime, threads: usize) {
    let line = Mutex::new(due.into_iter());
    let next = || line.lock().expect("no thread panics while it holds the line").next();
    let work = || {
        while let Some((process, events)) = next() {
            *events = process.run_until(edge);
        }
    };
    rayon::scope(|scope| {
        (1..threads).for_each(|_| scope.spawn(|_| work()));
        work();
    });
}
