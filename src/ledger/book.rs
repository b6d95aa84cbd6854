//! The book that a process carries: energy and accelerator time by use, counts, events. Integers, binned exactly, so that
//! how a stretch of time is cut changes no total.

use super::column::{Column, RUN};
use super::{ClassBook, Latencies, RequestLog};
use crate::units::{GpuTime, Joules, SimTime, Span, Watts};

/// What a GPU's time and energy went to. Each GPU-nanosecond lies in exactly one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Use {
    /// Training progress that was kept.
    Productive,
    /// Training progress that a failure threw away, and so was done again.
    Recomputed,
    /// Waiting for a blocking checkpoint.
    Checkpoint,
    /// What kept progress took longer than at full speed: heat, a power cap, a straggler.
    Slow,
    /// What background writes of checkpoints took of training.
    Interference,
    /// A failure happened and nobody knows yet.
    Detect,
    /// Looking for the broken node.
    Localise,
    /// Waiting for a replacement node.
    SpareWait,
    /// Rescheduling and initialising; reloading the checkpoint too, where its tier does not say how long that takes.
    Restart,
    /// Reading the checkpoint back.
    Reload,
    /// After a restart, until the job steps at full speed.
    WarmUp,
    /// A planned interruption.
    Planned,
    /// A spare that stands by, powered.
    Spare,
    /// A node in repair.
    Repair,
    /// Serving at least one request.
    Serving,
    /// A replica with its model resident and no request.
    WarmIdle,
    /// A replica loading its model.
    Loading,
    /// A job waits for cleaner or cheaper hours.
    Paused,
    /// A whole node that stands by while its job runs on fewer replicas for want of others; of the job's own time, what it took longer
    /// for that.
    Degraded,
    /// What a preemption took: restarting after it, and work that it threw away; of the job's own time, waiting for nodes again, too.
    Preempted,
    /// A job that waits for its first nodes: time of its own, and no GPU's.
    Queued,
    /// Held by nobody.
    Unallocated,
}

impl Use {
    /// Every use, in the order of its discriminant.
    pub const ALL: [Use; 22] = [
        Use::Productive,
        Use::Recomputed,
        Use::Checkpoint,
        Use::Slow,
        Use::Interference,
        Use::Detect,
        Use::Localise,
        Use::SpareWait,
        Use::Restart,
        Use::Reload,
        Use::WarmUp,
        Use::Planned,
        Use::Spare,
        Use::Repair,
        Use::Serving,
        Use::WarmIdle,
        Use::Loading,
        Use::Paused,
        Use::Degraded,
        Use::Preempted,
        Use::Queued,
        Use::Unallocated,
    ];

    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Use::Productive => "productive",
            Use::Recomputed => "recomputed",
            Use::Checkpoint => "checkpoint",
            Use::Slow => "slow",
            Use::Interference => "interference",
            Use::Detect => "detect",
            Use::Localise => "localise",
            Use::SpareWait => "spare_wait",
            Use::Restart => "restart",
            Use::Reload => "reload",
            Use::WarmUp => "warm_up",
            Use::Planned => "planned",
            Use::Spare => "spare",
            Use::Repair => "repair",
            Use::Serving => "serving",
            Use::WarmIdle => "warm_idle",
            Use::Loading => "loading",
            Use::Paused => "paused",
            Use::Degraded => "degraded",
            Use::Preempted => "preempted",
            Use::Queued => "queued",
            Use::Unallocated => "unallocated",
        }
    }

    /// True of what an unplanned interruption takes of the nodes that compute, or would if others had not broken.
    #[must_use]
    pub const fn is_lost(self) -> bool {
        matches!(
            self,
            Use::Recomputed
                | Use::Detect
                | Use::Localise
                | Use::SpareWait
                | Use::Restart
                | Use::Reload
                | Use::WarmUp
                | Use::Degraded
        )
    }

    /// Google's name for a training job's time of this use, so that simulated and logged badput can be compared
    /// (AI-Hypercomputer/ml-goodput-measurement, ml_goodput_measurement/src/goodput_utils.py); none for time that it does not
    /// count as the job's.
    #[must_use]
    pub const fn ml_goodput(self) -> Option<&'static str> {
        Some(match self {
            Use::Productive => "GOODPUT",
            Use::Recomputed => "WASTED_PROGRESS_FROM_DISRUPTION",
            Use::Checkpoint => "UNPRODUCTIVE_CHECKPOINT_SAVE_TIME",
            Use::Detect | Use::Localise | Use::SpareWait | Use::Preempted => "INFRASTRUCTURE_RECOVERY_FROM_DISRUPTION",
            Use::Degraded => "ELASTIC_SLICE_DOWN",
            Use::Restart => "PROGRAM_STARTUP",
            Use::Reload => "UNPRODUCTIVE_CHECKPOINT_RESTORE_TIME",
            Use::WarmUp => "TRAINING_PREP",
            Use::Slow | Use::Interference | Use::Planned => "OTHER",
            _ => return None,
        })
    }

    /// True where GPUs stand reserved and do nothing: what boundary B3 adds to B2.
    #[must_use]
    pub const fn is_reserve(self) -> bool {
        matches!(self, Use::Spare | Use::Degraded | Use::Repair | Use::WarmIdle | Use::Paused)
    }
}

/// Power of some GPUs and of their share of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draw {
    /// How many GPUs.
    pub gpus: u32,
    /// What they draw together.
    pub accelerator: Watts,
    /// What their share of the host draws.
    pub host: Watts,
}

impl Draw {
    /// `gpus` that each draw `accelerator_each`, and `host_each` in their host.
    #[must_use]
    pub fn new(gpus: u32, accelerator_each: Watts, host_each: Watts) -> Draw {
        let count = u64::from(gpus);
        Draw { gpus, accelerator: accelerator_each * count, host: host_each * count }
    }

    /// What `time` of GPUs costs, each drawing like one of these.
    pub(super) fn for_gpu_time(self, time: GpuTime) -> Spent {
        let energy = |watts: Watts| Joules::from_pico(u128::from(watts.milli()) * time.nanos() / u128::from(self.gpus));
        Spent { time, accelerator: energy(self.accelerator), host: energy(self.host) }
    }

    /// What it spends in `span`.
    #[must_use]
    pub fn over(self, span: Span) -> Spent {
        Spent { time: GpuTime::new(self.gpus, span), accelerator: self.accelerator * span, host: self.host * span }
    }
}

/// Accelerator time and energy spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// GPUs times time.
    pub time: GpuTime,
    /// Energy of the accelerators.
    pub accelerator: Joules,
    /// Energy of their share of the host.
    pub host: Joules,
}

impl Spent {
    /// Nothing.
    pub const ZERO: Spent = Spent { time: GpuTime::ZERO, accelerator: Joules::ZERO, host: Joules::ZERO };

    /// Energy of the nodes: accelerators and host.
    #[must_use]
    pub fn node(self) -> Joules {
        self.accelerator + self.host
    }

    /// True where neither time nor energy was spent.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Spent::ZERO
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        self.time += other.time;
        self.accelerator += other.accelerator;
        self.host += other.host;
    }
}

impl std::iter::Sum for Spent {
    fn sum<I: Iterator<Item = Spent>>(items: I) -> Spent {
        items.fold(Spent::ZERO, |mut total, item| {
            total += item;
            total
        })
    }
}

/// What is counted by the bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Count {
    /// Requests that arrived.
    Arrived,
    /// Requests that got their last token.
    Completed,
    /// Requests turned away at the door.
    Rejected,
    /// Requests lost to a failure or a time-out.
    Failed,
    /// Completed requests that met every limit of the SLO.
    WithinSlo,
    /// Prompt tokens of completed requests.
    PromptTokens,
    /// Output tokens of completed requests.
    OutputTokens,
}

impl Count {
    /// Every count, in the order of its discriminant.
    pub const ALL: [Count; 7] = [
        Count::Arrived,
        Count::Completed,
        Count::Rejected,
        Count::Failed,
        Count::WithinSlo,
        Count::PromptTokens,
        Count::OutputTokens,
    ];
}

/// The bins of all books of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Where the run ends.
    pub horizon: SimTime,
    /// Width of a bin: one hour, or a fraction of it where the timeline is finer.
    pub bin: Span,
}

impl Grid {
    /// How many bins reach the horizon; the last may be cut short by it.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.horizon.nanos().div_ceil(self.bin.nanos()) as usize
    }

    /// When the `index`-th bin begins.
    #[must_use]
    pub fn start(&self, index: usize) -> SimTime {
        SimTime::ZERO + self.bin * index as u64
    }

    /// When the `index`-th bin ends.
    #[must_use]
    pub fn end(&self, index: usize) -> SimTime {
        (self.start(index) + self.bin).min(self.horizon)
    }

    /// How long the `index`-th bin is.
    #[must_use]
    pub fn span(&self, index: usize) -> Span {
        self.end(index).since(self.start(index))
    }

    /// The hour of the run in which the `index`-th bin lies.
    #[must_use]
    pub fn hour(&self, index: usize) -> usize {
        (self.start(index).nanos() / Span::HOUR.nanos()) as usize
    }

    /// The bin that holds `at`; the horizon itself lies in the last bin.
    fn index(&self, at: SimTime) -> usize {
        ((at.nanos() / self.bin.nanos()) as usize).min(self.bins().saturating_sub(1))
    }
}

/// What a row of `events.csv` says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A job or service began.
    Started,
    /// A job finished.
    Finished,
    /// A node failed under a job and interrupted it.
    Failure,
    /// Spares failed with their domain.
    SpareFailure,
    /// A node begins to compute nonsense, and nobody knows.
    Corrupted,
    /// Somebody knows of a failure.
    Detected,
    /// A node failed under a replica, whose requests start over.
    ReplicaFailure,
    /// A planned interruption.
    Maintenance,
    /// A job waits for cleaner or cheaper hours.
    Paused,
    /// A job gave its nodes to one of higher priority and waits again.
    Preempted,
    /// A job without spares took nodes of its cluster in the place of lost ones.
    TookNodes,
    /// A node or link became slow, and a job with it.
    Slowed,
    /// A job went on without nodes that did not fail.
    Evicted,
    /// The job runs again.
    Restarted,
    /// A service opened its doors.
    Opened,
    /// The autoscaler changed the number of replicas.
    Scaled,
    /// Power control moved to another notch.
    Capped,
    /// Power control braked.
    Brake,
    /// Demand response changed what a site may draw.
    LimitChanged,
}

impl EventKind {
    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Started => "started",
            EventKind::Finished => "finished",
            EventKind::Failure => "failure",
            EventKind::SpareFailure => "spare_failure",
            EventKind::Corrupted => "corrupted",
            EventKind::Detected => "detected",
            EventKind::ReplicaFailure => "replica_failure",
            EventKind::Maintenance => "maintenance",
            EventKind::Paused => "paused",
            EventKind::Preempted => "preempted",
            EventKind::TookNodes => "took_nodes",
            EventKind::Slowed => "slowed",
            EventKind::Evicted => "evicted",
            EventKind::Restarted => "restarted",
            EventKind::Opened => "opened",
            EventKind::Scaled => "scaled",
            EventKind::Capped => "capped",
            EventKind::Brake => "brake",
            EventKind::LimitChanged => "limit_changed",
        }
    }
}

/// One row of `events.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: SimTime,
    /// What.
    pub kind: EventKind,
    /// Which nodes, as intervals; empty where no node is meant.
    pub nodes: String,
    /// A figure and its words, such as `lost 312 s of work`.
    pub detail: String,
}

/// A node that was down: one row of `faults.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Which node.
    pub node: u32,
    /// Since when.
    pub start: SimTime,
    /// Until when; `None` where it still is.
    pub end: Option<SimTime>,
    /// How it showed: `explicit`, `hang`, `silent`; `slow`, `planned` or `suspected` where it had not failed.
    pub class: &'static str,
    /// What broke: `node`, `rack` and so on.
    pub domain: &'static str,
}

impl Outage {
    /// True where somebody took the node out that had not failed.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        matches!(self.class, "slow" | "planned" | "suspected")
    }
}

/// The books of one process.
#[derive(Debug, Clone)]
pub struct Book {
    grid: Grid,
    /// Index, start and end of the bin that was last written: most stretches lie in the same bin as the one before.
    bin: usize,
    from: SimTime,
    to: SimTime,
    uses: [Column; Use::ALL.len()],
    counts: Vec<[u64; Count::ALL.len()]>,
    events: Vec<Event>,
    outages: Vec<Outage>,
    latencies: Latencies,
    classes: Vec<ClassBook>,
    requests: Vec<RequestLog>,
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(grid: Grid) -> Book {
        assert!(grid.bin > Span::ZERO, "a bin has a width");
        Book {
            grid,
            bin: 0,
            from: SimTime::ZERO,
            to: grid.end(0),
            uses: Default::default(),
            counts: Vec::new(),
            events: Vec::new(),
            outages: Vec::new(),
            latencies: Latencies::default(),
            classes: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Spends `draw` on `what` from `from` to `to`, cut exactly at bin edges; nothing past the horizon is entered.
    #[inline]
    pub fn spend(&mut self, what: Use, from: SimTime, to: SimTime, draw: Draw) {
        if from >= self.from && to <= self.to {
            self.enter(what, from, to, draw);
        } else {
            self.spend_across(what, from, to, draw);
        }
    }

    /// Counts `number` of `what` at `at`; nothing past the horizon is counted.
    #[inline]
    pub fn count(&mut self, what: Count, at: SimTime, number: u64) {
        self.count_each(at, [(what, number)]);
    }

    /// Counts so many of each at `at`; nothing past the horizon is counted.
    #[inline]
    pub fn count_each<const KINDS: usize>(&mut self, at: SimTime, numbers: [(Count, u64); KINDS]) {
        if at < self.from || at >= self.to {
            if at > self.grid.horizon {
                return;
            }
            self.turn_to(self.grid.index(at));
        }
        if self.bin >= self.counts.len() {
            self.lengthen_counts();
        }
        let counts = &mut self.counts[self.bin];
        numbers.into_iter().for_each(|(what, number)| counts[what as usize] += number);
    }

    #[cold]
    fn lengthen_counts(&mut self) {
        self.counts.resize(self.bin + 1, Default::default());
    }

    /// Enters an event.
    pub fn log(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A node is down; its place among the outages, for its [`end`](Book::end_outage).
    pub fn log_outage(&mut self, outage: Outage) -> usize {
        self.outages.push(outage);
        self.outages.len() - 1
    }

    /// The node of the outage at `place` is back.
    pub fn end_outage(&mut self, place: usize, at: SimTime) {
        self.outages[place].end = Some(at);
    }

    /// All outages, in order of their starts.
    #[must_use]
    pub fn outages(&self) -> &[Outage] {
        &self.outages
    }

    /// Where latencies are recorded.
    #[inline]
    pub fn latencies_mut(&mut self) -> &mut Latencies {
        &mut self.latencies
    }

    /// Adds everything in `other`, a book with the same bins.
    pub fn merge(&mut self, other: Book) {
        assert!(self.grid == other.grid, "books with different bins do not add up");
        self.uses.iter_mut().zip(other.uses).for_each(|(mine, theirs)| mine.merge(theirs));
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), Default::default());
        }
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            mine.iter_mut().zip(theirs).for_each(|(sum, count)| *sum += count);
        }
        self.events.extend(other.events);
        self.outages.extend(other.outages);
        self.latencies.merge(&other.latencies);
        self.classes.iter_mut().zip(&other.classes).for_each(|(mine, theirs)| mine.merge(theirs));
        self.requests.extend(other.requests);
    }

    /// Everything in it `count` times, as if as many had done the same; events and single requests stay what they are.
    pub fn multiply(&mut self, count: u64) {
        self.uses.iter_mut().for_each(|column| column.multiply(count));
        self.counts.iter_mut().flatten().for_each(|number| *number *= count);
        self.latencies.multiply(count);
        self.classes.iter_mut().for_each(|class| class.multiply(count));
    }

    /// Opens a book for each class of a service.
    pub fn open_classes<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.classes = names.map(ClassBook::new).collect();
    }

    /// The classes of a service, in the order in which they were opened.
    #[must_use]
    pub fn classes(&self) -> &[ClassBook] {
        &self.classes
    }

    /// The book of a class.
    #[inline]
    pub fn class_mut(&mut self, class: u8) -> &mut ClassBook {
        &mut self.classes[usize::from(class)]
    }

    /// Enters the work of a request of `class` that was answered at `at`, by which classes share what the service spent.
    pub fn work(&mut self, class: u8, at: SimTime, amount: u64) {
        let bin = self.grid.index(at);
        self.class_mut(class).work_in(bin, amount);
    }

    /// A request of `class` is inside at the horizon; nothing to note where the service has no classes.
    pub fn stays(&mut self, class: u8) {
        if let Some(book) = self.classes.get_mut(usize::from(class)) {
            book.in_flight += 1;
        }
    }

    /// Keeps the log of a cell's requests.
    pub fn keep(&mut self, log: RequestLog) {
        self.requests.push(log);
    }

    /// The requests recorded, cell by cell; none where nobody asked.
    #[must_use]
    pub fn requests(&self) -> &[RequestLog] {
        &self.requests
    }

    /// The bins.
    #[must_use]
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// What was spent on `what` in the `index`-th bin.
    #[must_use]
    pub fn spent_in(&self, what: Use, index: usize) -> Spent {
        self.uses[what as usize].at(index)
    }

    /// What was spent on `uses` together in the `index`-th bin.
    pub(super) fn spent_among(&self, uses: &[Use], index: usize) -> Spent {
        uses.iter().map(|&what| self.uses[what as usize].at(index)).sum()
    }

    /// What was spent on `what` in all.
    #[must_use]
    pub fn spent(&self, what: Use) -> Spent {
        self.uses[what as usize].total()
    }

    /// How many of `what` were counted in the `index`-th bin.
    #[must_use]
    pub fn counted_in(&self, what: Count, index: usize) -> u64 {
        self.counts.get(index).map_or(0, |counts| counts[what as usize])
    }

    /// How many of `what` were counted in all.
    #[must_use]
    pub fn counted(&self, what: Count) -> u64 {
        self.counts.iter().map(|counts| counts[what as usize]).sum()
    }

    /// The events, in the order entered.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The latencies recorded.
    #[must_use]
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    #[inline]
    fn enter(&mut self, what: Use, from: SimTime, to: SimTime, draw: Draw) {
        self.uses[what as usize].add(self.bin, draw.over(to.since(from)));
    }

    #[cold]
    fn spend_across(&mut self, what: Use, from: SimTime, to: SimTime, draw: Draw) {
        let to = to.min(self.grid.horizon);
        let mut from = from;
        while from < to {
            let bin = self.grid.index(from);
            if bin.is_multiple_of(RUN) && from == self.grid.start(bin) && from + self.grid.bin * RUN as u64 <= to {
                self.uses[what as usize].add_to_run(bin / RUN, draw.over(self.grid.bin));
                from += self.grid.bin * RUN as u64;
                continue;
            }
            self.turn_to(bin);
            self.enter(what, from, to.min(self.to), draw);
            from = self.to;
        }
    }

    fn turn_to(&mut self, bin: usize) {
        self.bin = bin;
        self.from = self.grid.start(bin);
        self.to = self.grid.end(bin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GRID: Grid = Grid { horizon: SimTime::from_nanos(1_050), bin: Span::from_nanos(100) };

    fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    fn draw(gpus: u32) -> Draw {
        Draw::new(gpus, Watts::from_milli(7), Watts::from_milli(3))
    }

    /// Every bin of every use.
    fn bins(book: &Book) -> Vec<Spent> {
        Use::ALL.iter().flat_map(|&what| (0..GRID.bins()).map(move |bin| book.spent_in(what, bin))).collect()
    }

    #[test]
    fn a_stretch_is_cut_at_bin_edges_and_at_the_horizon() {
        let mut book = Book::new(GRID);
        book.spend(Use::Serving, at(950), at(2_000), draw(2));
        assert_eq!(book.spent_in(Use::Serving, 9), draw(2).over(Span::from_nanos(50)));
        assert_eq!(book.spent_in(Use::Serving, 10), draw(2).over(Span::from_nanos(50)));
        assert_eq!(book.spent(Use::Serving).accelerator, Joules::from_pico(100 * 2 * 7));
        assert_eq!(book.spent(Use::Serving).time, GpuTime::from_nanos(200));
    }

    /// Stretches over whole runs of bins, and others laid over them, against the same cut into bins.
    #[test]
    fn bins_that_are_alike_lie_together() {
        let grid = Grid { horizon: at(30_050), bin: Span::from_nanos(100) };
        let stretches =
            [(0, 30_050, 3), (6_400, 12_800, 2), (6_399, 19_201, 1), (12_850, 12_860, 7), (25_600, 40_000, 4)];
        let (mut whole, mut cut) = (Book::new(grid), Book::new(grid));
        for (from, to, gpus) in stretches {
            whole.spend(Use::Productive, at(from), at(to), draw(gpus));
            for bin in 0..400 {
                let (from, to) = (at(from.max(bin * 100)), at(to.min(bin * 100 + 100)));
                if from < to {
                    cut.spend(Use::Productive, from, to, draw(gpus));
                }
            }
        }
        let bins = |book: &Book| (0..grid.bins()).map(|bin| book.spent_in(Use::Productive, bin)).collect::<Vec<_>>();
        assert_eq!(bins(&whole), bins(&cut));
        assert_eq!(whole.spent(Use::Productive), bins(&whole).into_iter().sum());
        let mut merged = Book::new(grid);
        merged.merge(cut);
        merged.merge(whole.clone());
        assert_eq!(merged.spent(Use::Productive).time.nanos(), 2 * whole.spent(Use::Productive).time.nanos());
    }

    #[test]
    fn a_book_three_times_is_three_that_were_merged() {
        let mut book = Book::new(GRID);
        book.open_classes(["one"].into_iter());
        book.spend(Use::Serving, at(5), at(777), draw(3));
        book.count(Count::Completed, at(150), 7);
        book.latencies_mut().record_ttft(Span::from_nanos(40));
        book.class_mut(0).complete(true, [5, 2], [Some(Span::from_nanos(9)), None, None]);
        book.work(0, at(650), 11);
        book.stays(0);
        let mut merged = Book::new(GRID);
        merged.open_classes(["one"].into_iter());
        (0..3).for_each(|_| merged.merge(book.clone()));
        book.multiply(3);
        assert_eq!((bins(&book), &book.counts), (bins(&merged), &merged.counts));
        assert_eq!((book.latencies(), book.classes()), (merged.latencies(), merged.classes()));
    }

    #[test]
    fn counts_at_the_horizon_are_in_and_later_ones_are_not() {
        let mut book = Book::new(GRID);
        for (time, number) in [(0, 1), (100, 2), (1_050, 4), (1_051, 8)] {
            book.count(Count::Completed, at(time), number);
        }
        assert_eq!([0, 1, 10].map(|bin| book.counted_in(Count::Completed, bin)), [1, 2, 4]);
        assert_eq!(book.counted(Count::Completed), 7);
    }

    #[test]
    fn uses_and_counts_are_listed_in_their_order() {
        assert!(Use::ALL.iter().enumerate().all(|(index, &what)| what as usize == index));
        assert!(Count::ALL.iter().enumerate().all(|(index, &what)| what as usize == index));
    }

    proptest! {
        #[test]
        fn cutting_a_stretch_changes_nothing(from in 0_u64..1_200, length in 0_u64..1_200, cuts in prop::collection::vec(0_u64..1_200, 0..8)) {
            let to = from + length;
            let (mut whole, mut pieces) = (Book::new(GRID), Book::new(GRID));
            whole.spend(Use::Productive, at(from), at(to), draw(5));
            let mut edges: Vec<u64> = cuts.into_iter().map(|cut| cut.clamp(from, to)).chain([from, to]).collect();
            edges.sort_unstable();
            for pair in edges.windows(2) {
                pieces.spend(Use::Productive, at(pair[0]), at(pair[1]), draw(5));
            }
            prop_assert_eq!(bins(&whole), bins(&pieces));
            let inside = at(to).min(GRID.horizon).since(at(from));
            prop_assert_eq!(whole.spent(Use::Productive), draw(5).over(inside));
        }

        #[test]
        fn order_and_merging_change_nothing(stretches in prop::collection::vec((0_usize..16, 0_u64..1_100, 0_u64..300, 0_u32..9), 0..20)) {
            let (mut forward, mut backward, mut even, mut odd) = (Book::new(GRID), Book::new(GRID), Book::new(GRID), Book::new(GRID));
            let spend = |book: &mut Book, &(what, from, length, gpus): &(usize, u64, u64, u32)| {
                book.spend(Use::ALL[what], at(from), at(from + length), draw(gpus));
            };
            stretches.iter().for_each(|stretch| spend(&mut forward, stretch));
            stretches.iter().rev().for_each(|stretch| spend(&mut backward, stretch));
            stretches.iter().step_by(2).for_each(|stretch| spend(&mut even, stretch));
            stretches.iter().skip(1).step_by(2).for_each(|stretch| spend(&mut odd, stretch));
            odd.merge(even);
            prop_assert_eq!(bins(&forward), bins(&backward));
            prop_assert_eq!(bins(&forward), bins(&odd));
        }
    }
}
