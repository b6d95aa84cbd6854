//! The window loop: all processes run to the next control instant in parallel, then control runs alone, and so on to the
//! horizon. Which thread runs what changes nothing: a process touches only its own state inside a window.

use crate::units::SimTime;
use rayon::prelude::*;

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

/// Below this many events in the last window a fork costs more than it gains: about half a millisecond at 150 ns an event.
const EVENTS_WORTH_A_FORK: u64 = 3_000;

/// Runs `processes` under `control` from the start to `horizon`. `progress` hears the time of each window edge.
pub fn run<P: Process, C: Control<P>>(
    control: &mut C,
    processes: &mut [P],
    horizon: SimTime,
    mut progress: impl FnMut(SimTime),
) -> RunStats {
    let mut stats = RunStats::default();
    let mut last_window = u64::MAX;
    control.at_edge(SimTime::ZERO, processes);
    let mut now = SimTime::ZERO;
    while now < horizon {
        let edge = control.next_edge(processes).min(horizon);
        assert!(edge > now, "control moves time forward");
        let due = |process: &P| process.next_time() <= edge;
        last_window = if last_window < EVENTS_WORTH_A_FORK || processes.len() < 2 {
            processes.iter_mut().filter(|process| due(process)).map(|process| process.run_until(edge)).sum()
        } else {
            processes.par_iter_mut().filter(|process| due(process)).map(|process| process.run_until(edge)).sum()
        };
        stats.events += last_window;
        stats.windows += 1;
        now = edge;
        control.at_edge(now, processes);
        progress(now);
    }
    stats
}
