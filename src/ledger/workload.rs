//! Jobs of a workload as the ledger knows them: a record each, and the figures of all and of each class.

use super::figures::Rows;
use super::{Sums, Tenant, Use};
use crate::units::{GpuTime, SimTime, Span};

/// Where a job stands at the horizon, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// In the queue.
    Waiting,
    /// On nodes.
    Running,
    /// It did what it was to do.
    Completed,
    /// Its owner stopped it.
    Cancelled,
    /// It broke.
    Failed,
    /// It reached its time limit.
    TimedOut,
    /// A node failed under it, as its trace says.
    NodeFailed,
}

impl JobStatus {
    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            JobStatus::Waiting => "waiting",
            JobStatus::Running => "running",
            JobStatus::Completed => "completed",
            JobStatus::Cancelled => "cancelled",
            JobStatus::Failed => "failed",
            JobStatus::TimedOut => "timed_out",
            JobStatus::NodeFailed => "node_failed",
        }
    }
}

/// One job of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRecord {
    /// When it was submitted.
    pub submitted: SimTime,
    /// When it first got its nodes.
    pub started: Option<SimTime>,
    /// When it ended.
    pub finished: Option<SimTime>,
    /// Work that it has to do.
    pub run: Span,
    /// How long it held nodes.
    pub held: Span,
    /// GPUs that it asked for.
    pub gpus: u32,
    /// Its class, an index into the names.
    pub class: u32,
    /// Its owner, an index into the names.
    pub owner: u32,
    /// Times that it got nodes.
    pub starts: u32,
    /// Where it stands.
    pub status: JobStatus,
}

impl JobRecord {
    /// From submission to its first nodes.
    #[must_use]
    pub fn wait(&self) -> Option<Span> {
        self.started.map(|started| started.since(self.submitted))
    }
}

/// What the jobs of a workload achieved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadFacts {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Names of the owners; none where jobs have none.
    pub owners: Vec<String>,
    /// The jobs, in order of submission.
    pub records: Vec<JobRecord>,
    /// Times that a job lost its nodes because one of them failed.
    pub interruptions: u64,
    /// Times that a job lost its nodes to a gang of higher priority.
    pub preemptions: u64,
    /// Whether the jobs are listed one by one.
    pub is_listed: bool,
}

/// The figures of a workload, then of each of its classes (`workload.<name>.<class>`).
pub(super) fn figures(rows: &mut Rows<'_>, tenant: &Tenant, facts: &WorkloadFacts, sums: &Sums) {
    let all: Vec<&JobRecord> = facts.records.iter().collect();
    queue(rows, &all);
    rows.count("interruptions", facts.interruptions);
    rows.count("preemptions", facts.preemptions);
    let spent = |what| tenant.book.spent(what).time;
    rows.gpu_hours("held_gpu_hours", Use::ALL.iter().map(|&what| spent(what)).sum());
    rows.gpu_hours("productive_gpu_hours", spent(Use::Productive));
    rows.gpu_hours("recomputed_gpu_hours", spent(Use::Recomputed));
    rows.gpu_hours("recovery_gpu_hours", spent(Use::Restart));
    rows.gpu_hours("preempted_gpu_hours", spent(Use::Preempted));
    rows.gpu_hours("repair_gpu_hours", spent(Use::Repair));
    rows.sums(sums);
    for (class, name) in facts.classes.iter().enumerate() {
        let of_class: Vec<&JobRecord> = all.iter().copied().filter(|job| job.class as usize == class).collect();
        if !of_class.is_empty() {
            queue(&mut rows.of(format!("{}.{name}", tenant.subject)), &of_class);
        }
    }
}

/// Counts, waits and runs of some jobs. Waits are from submission to the first nodes, of those that got nodes; runs are the work of
/// those that ended; GPU-hours by end are work times GPUs asked for.
fn queue(rows: &mut Rows<'_>, jobs: &[&JobRecord]) {
    rows.count("jobs", jobs.len() as u64);
    for status in [JobStatus::Completed, JobStatus::Cancelled, JobStatus::Failed, JobStatus::TimedOut] {
        rows.count(status.name(), of(jobs, status).count() as u64);
    }
    rows.count("node_failed", of(jobs, JobStatus::NodeFailed).count() as u64);
    rows.count("running", of(jobs, JobStatus::Running).count() as u64);
    rows.count("waiting", of(jobs, JobStatus::Waiting).count() as u64);
    let waits = Sorted::of(jobs.iter().filter_map(|job| job.wait()));
    rows.put("wait_mean", waits.mean(), "s");
    rows.put("wait_p50", waits.quantile(0.50), "s");
    rows.put("wait_p90", waits.quantile(0.90), "s");
    rows.put("wait_p99", waits.quantile(0.99), "s");
    rows.put("wait_max", waits.quantile(1.0), "s");
    let runs = Sorted::of(jobs.iter().filter(|job| job.finished.is_some()).map(|job| job.run));
    rows.put("run_mean", runs.mean(), "s");
    rows.put("run_p50", runs.quantile(0.50), "s");
    let gpus: u64 = jobs.iter().map(|job| u64::from(job.gpus)).sum();
    rows.put("gpus_mean", super::figures::over(gpus as f64, jobs.len() as f64), "count");
    rows.gpu_hours("completed_gpu_hours", work(of(jobs, JobStatus::Completed)));
    rows.gpu_hours("cancelled_gpu_hours", work(of(jobs, JobStatus::Cancelled)));
    let failed = [JobStatus::Failed, JobStatus::TimedOut, JobStatus::NodeFailed];
    rows.gpu_hours("failed_gpu_hours", failed.iter().map(|&status| work(of(jobs, status))).sum());
}

fn of<'a>(jobs: &'a [&JobRecord], status: JobStatus) -> impl Iterator<Item = &'a JobRecord> {
    jobs.iter().copied().filter(move |job| job.status == status)
}

fn work<'a>(jobs: impl Iterator<Item = &'a JobRecord>) -> GpuTime {
    jobs.map(|job| GpuTime::new(job.gpus, job.run)).sum()
}

/// Spans in ascending order.
struct Sorted(Vec<Span>);

impl Sorted {
    fn of(spans: impl Iterator<Item = Span>) -> Sorted {
        let mut spans: Vec<Span> = spans.collect();
        spans.sort_unstable();
        Sorted(spans)
    }

    fn mean(&self) -> Option<f64> {
        let sum: u128 = self.0.iter().map(|span| u128::from(span.nanos())).sum();
        super::figures::over(sum as f64 / 1e9, self.0.len() as f64)
    }

    /// The least of them that a share `p` of all does not exceed, in seconds.
    fn quantile(&self, p: f64) -> Option<f64> {
        let rank = (p * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.max(1) - 1).map(|span| span.as_secs_f64())
    }
}
