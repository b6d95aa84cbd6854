//! What a process tells the ledger beside its book, and what the ledger knows of the places.

use super::{Book, Count, Event, JobTime, Spent, TokenPrices, Use, WorkloadFacts};
use crate::facility::Facility;
use crate::market::Market;
use crate::units::{FlopsPerSecond, GpuTime, Ratio, SimTime, Span, Tokens, Watts};

/// A checked site: where energy is bought.
#[derive(Debug, Clone)]
pub struct SitePlan {
    /// Name in the scenario.
    pub name: String,
    /// Losses and cooling.
    pub facility: Facility,
    /// Price and carbon by the hour.
    pub market: Market,
    /// What the meter may show.
    pub power_limit: Option<Watts>,
}

/// What the power control of a site did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapFacts {
    /// Index of the site.
    pub site: usize,
    /// While a lever held somebody.
    pub at_limit: Span,
    /// While a meter stood above its limit, as seen at the last look.
    pub over_limit: Span,
    /// GPUs held by a lever times time.
    pub held: GpuTime,
    /// How often the brake was sent.
    pub brakes: u64,
    /// The highest power seen at the site's meter.
    pub peak_seen: Watts,
    /// What happened when.
    pub events: Vec<Event>,
}

impl CapFacts {
    /// Nothing happened yet at the `site`-th site.
    #[must_use]
    pub fn of(site: usize) -> CapFacts {
        CapFacts {
            site,
            at_limit: Span::ZERO,
            over_limit: Span::ZERO,
            held: GpuTime::ZERO,
            brakes: 0,
            peak_seen: Watts::ZERO,
            events: Vec::new(),
        }
    }
}

/// Somebody who held GPUs: one training job, workload, service or device.
#[derive(Debug)]
pub struct Tenant {
    /// Subject in the outputs, such as `training.pretrain`.
    pub subject: String,
    /// Index of its cluster; a device has none.
    pub cluster: Option<usize>,
    /// Index of its site.
    pub site: usize,
    /// What it spent.
    pub book: Book,
    /// What it achieved.
    pub facts: Facts,
}

/// What a tenant achieved.
#[derive(Debug, Clone, PartialEq)]
pub enum Facts {
    /// A training job.
    Job(JobFacts),
    /// The jobs of a workload.
    Workload(WorkloadFacts),
    /// A service.
    Service(ServiceFacts),
    /// A device: the facts of its one-replica service.
    Device(ServiceFacts),
}

/// What a training job achieved.
#[derive(Debug, Clone, PartialEq)]
pub struct JobFacts {
    /// GPUs that compute; the most of any phase.
    pub gpus: u32,
    /// Where phases differ in their GPUs, GPUs times time.
    pub sized: Option<SizedFacts>,
    /// When it was submitted.
    pub submitted: SimTime,
    /// When it got its nodes.
    pub started: Option<SimTime>,
    /// When it finished.
    pub finished: Option<SimTime>,
    /// Tokens asked.
    pub asked: Tokens,
    /// Tokens trained and kept.
    pub kept: Tokens,
    /// Time that the kept tokens take without any interruption.
    pub ideal: Span,
    /// FLOPs of one token, 6 x active parameters.
    pub flops_per_token: f64,
    /// Dense 16-bit peak of one GPU.
    pub peak: FlopsPerSecond,
    /// Unplanned interruptions.
    pub interruptions: u64,
    /// Planned interruptions.
    pub planned: u64,
    /// Times that it lost its nodes to a job of higher priority.
    pub preemptions: u64,
    /// Time that it waited for nodes after that.
    pub requeued: Span,
    /// Checkpoints taken.
    pub checkpoints: u64,
    /// Interval between checkpoints, in useful time; zero without checkpoints.
    pub checkpoint_every: Span,
    /// Development over the final run.
    pub research_multiplier: Ratio,
    /// Time that it waited for cleaner or cheaper hours; none of a job that may not wait.
    pub paused: Option<Span>,
    /// What one GPU draws at the crest and in the trough of an iteration.
    pub swing: [Watts; 2],
    /// What one GPU draws in the mean while it trains, without a lever.
    pub training: Watts,
    /// Time that power control added to running.
    pub slowed: Span,
    /// Nodes that localisation took out and that had nothing, and failures whose node it missed; none where it takes the broken one.
    pub suspects: Option<[u64; 2]>,
    /// What slow members did; none where nothing becomes slow.
    pub stragglers: Option<StragglerFacts>,
    /// Nodes that it took from its cluster for want of spares; none of a job that may not.
    pub taken: Option<u64>,
    /// What sharing stores cost it; none of a job that shares none.
    pub storage: Option<StorageFacts>,
    /// Where its time went, from its submission on.
    pub time: JobTime,
    /// Whether it goes on with fewer replicas.
    pub shrinks: bool,
    /// Which moments counted towards the time between failures: `serial`, `wall` or `uptime`.
    pub failure_clock: &'static str,
}

/// What sharing stores did to a training job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorageFacts {
    /// Time for which saves and restarts stopped it longer than they would have alone.
    pub waited: Span,
    /// Saves that found the one before still being written.
    pub skipped: u64,
}

/// GPUs times time of a job whose phases differ in their GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizedFacts {
    /// From start to finish.
    pub elapsed: GpuTime,
    /// That the kept tokens take without any interruption.
    pub ideal: GpuTime,
}

/// What slow members did to a training job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StragglerFacts {
    /// Spells that began on nodes that computed.
    pub spells: u64,
    /// Slow nodes sent to repair.
    pub evicted: u64,
    /// Time that running took longer for them.
    pub lost: Span,
}

/// What the prefix caches of a service were asked and found, at each admission of a request to a batch: one that lost its
/// blocks and comes again asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrefixFacts {
    /// Blocks of the prompts, the last, partly filled ones too.
    pub blocks: u64,
    /// Blocks that prompts filled.
    pub full_blocks: u64,
    /// Blocks found.
    pub hit_blocks: u64,
    /// Prompt tokens found.
    pub cached_tokens: u64,
    /// Prompt tokens left to compute.
    pub computed_tokens: u64,
}

impl PrefixFacts {
    /// The same in `count` caches.
    fn times(self, count: u64) -> PrefixFacts {
        PrefixFacts {
            blocks: self.blocks * count,
            full_blocks: self.full_blocks * count,
            hit_blocks: self.hit_blocks * count,
            cached_tokens: self.cached_tokens * count,
            computed_tokens: self.computed_tokens * count,
        }
    }
}

impl std::ops::AddAssign for PrefixFacts {
    fn add_assign(&mut self, other: PrefixFacts) {
        self.blocks += other.blocks;
        self.full_blocks += other.full_blocks;
        self.hit_blocks += other.hit_blocks;
        self.cached_tokens += other.cached_tokens;
        self.computed_tokens += other.computed_tokens;
    }
}

/// What a service achieved; the sum over its cells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceFacts {
    /// When its doors opened.
    pub opened: Option<SimTime>,
    /// Requests still inside at the horizon.
    pub in_flight: u64,
    /// `requests`, `sampled` or `fluid`.
    pub fidelity: &'static str,
    /// What was simulated of it, where that is not all.
    pub sample: Option<SampleFacts>,
    /// Replica failures.
    pub replica_failures: u64,
    /// What its answers sell for, where the scenario says.
    pub prices: Option<TokenPrices>,
    /// Requests in batches that lost their caches to these, and were computed again elsewhere.
    pub restarted: u64,
    /// Tokens of prompts and answers that these had to compute again at most.
    pub restarted_tokens: Tokens,
    /// GPU time in which replicas loaded their models again.
    pub reloading: GpuTime,
    /// What became of attempts, where they are more than requests.
    pub attempts: Option<Attempts>,
    /// Part of its replicas that only the limit on time per output token asks for; none without limit or autoscaler.
    pub slo_share: Option<f64>,
    /// What its prefix caches did, where it has them.
    pub prefix: Option<PrefixFacts>,
    /// What went between its pools, where it has two.
    pub pools: Option<PoolFacts>,
}

/// Key-value caches that went from replicas that compute prompts to others that decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolFacts {
    /// Caches fetched.
    pub fetched: u64,
    /// Tokens in them.
    pub tokens: Tokens,
    /// Nanoseconds that they were under way, together.
    pub travelled: u128,
    /// Of these, those of requests that had just got their first token.
    pub first: u64,
    /// Nanoseconds from these tokens until somebody fetched, together.
    pub waited: u128,
    /// Requests that lost their caches, or what was computed of them, where prompts are computed.
    pub lost_prefill: u64,
    /// Requests that lost their caches where they decoded.
    pub lost_decode: u64,
}

impl std::ops::AddAssign for PoolFacts {
    fn add_assign(&mut self, other: PoolFacts) {
        self.fetched += other.fetched;
        self.tokens += other.tokens;
        self.travelled += other.travelled;
        self.first += other.first;
        self.waited += other.waited;
        self.lost_prefill += other.lost_prefill;
        self.lost_decode += other.lost_decode;
    }
}

impl ServiceFacts {
    /// The same achieved by `count` cells.
    #[must_use]
    pub fn times(self, count: u64) -> ServiceFacts {
        ServiceFacts {
            in_flight: self.in_flight * count,
            replica_failures: self.replica_failures * count,
            restarted: self.restarted * count,
            restarted_tokens: Tokens::new(self.restarted_tokens.count() * count),
            reloading: GpuTime::from_nanos(self.reloading.nanos() * u128::from(count)),
            attempts: self.attempts.map(|attempts| attempts.times(count)),
            prefix: self.prefix.map(|prefix| prefix.times(count)),
            ..self
        }
    }

    /// What another of its cells achieved joins.
    pub fn join(&mut self, more: ServiceFacts) {
        self.in_flight += more.in_flight;
        self.replica_failures += more.replica_failures;
        self.restarted += more.restarted;
        self.restarted_tokens += more.restarted_tokens;
        self.reloading += more.reloading;
        if let (Some(mine), Some(more)) = (&mut self.attempts, more.attempts) {
            *mine += more;
        }
        if let Some(more) = more.prefix {
            *self.prefix.get_or_insert_default() += more;
        }
        if let Some(more) = more.pools {
            *self.pools.get_or_insert_default() += more;
        }
    }
}

/// What a sample of a service's cells knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SampleFacts {
    /// Cells that were simulated.
    pub kept: u32,
    /// Cells that it has.
    pub cells: u32,
    /// GPUs of a replica.
    pub gpus: u32,
    /// Standard errors as parts of the figure, by what the kept cells differ in for the same GPU time; none of a single one.
    pub errors: Option<SampleErrors>,
}

/// How far a sample is off by chance, as parts of each figure: one standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleErrors {
    /// Of the energy of its nodes.
    pub energy: f64,
    /// Of its output tokens.
    pub output: f64,
    /// Of its mean time to first token.
    pub ttft: f64,
}

impl SampleFacts {
    /// Of the `books` of the cells that were kept of `cells`, each of which holds what its own cell did.
    #[must_use]
    pub fn of<'a>(books: impl Iterator<Item = &'a Book> + Clone, cells: u32, gpus: u32) -> SampleFacts {
        let kept = books.clone().count() as u32;
        let left_out = 1.0 - f64::from(kept) / f64::from(cells);
        // The standard error of a mean of few that were drawn from few without putting them back.
        let error = |figure: &dyn Fn(&Book) -> f64| {
            let count = f64::from(kept);
            let mean = books.clone().map(figure).sum::<f64>() / count;
            let squares = books.clone().map(|book| (figure(book) - mean) * (figure(book) - mean)).sum::<f64>();
            let variance = squares / (count - 1.0);
            if mean > 0.0 { (variance / count * left_out).sqrt() / mean } else { 0.0 }
        };
        // Of how many replicas a cell has, nothing is by chance: what each of them does is.
        let sum = |book: &Book| Use::ALL.iter().map(|&what| book.spent(what)).sum::<Spent>();
        let held = |book: &Book| sum(book).time.gpu_hours().max(f64::MIN_POSITIVE);
        let errors = (kept > 1).then(|| SampleErrors {
            energy: error(&|book| sum(book).node().kwh() / held(book)),
            output: error(&|book| book.counted(Count::OutputTokens) as f64 / held(book)),
            ttft: error(&|book| book.latencies().ttft().mean().map_or(0.0, Span::as_secs_f64)),
        });
        SampleFacts { kept, cells, gpus, errors }
    }
}

/// Why an attempt ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// The queue was full, or no replica could ever hold it.
    Rejected,
    /// Its client hung up.
    TimedOut,
    /// A failure broke it.
    Broken,
}

/// How often clients asked, and why they got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// First times and retries.
    pub made: u64,
    /// Attempts turned away.
    pub rejected: u64,
    /// Attempts whose clients hung up.
    pub timed_out: u64,
    /// Attempts that failures broke.
    pub broken: u64,
    /// Requests given up after the last attempt was turned away.
    pub gave_up_rejected: u64,
    /// Requests given up after the last attempt timed out.
    pub gave_up_timed_out: u64,
    /// Requests given up after a failure broke the last attempt.
    pub gave_up_broken: u64,
}

impl Attempts {
    /// The same `count` times.
    fn times(self, count: u64) -> Attempts {
        Attempts {
            made: self.made * count,
            rejected: self.rejected * count,
            timed_out: self.timed_out * count,
            broken: self.broken * count,
            gave_up_rejected: self.gave_up_rejected * count,
            gave_up_timed_out: self.gave_up_timed_out * count,
            gave_up_broken: self.gave_up_broken * count,
        }
    }

    /// Counts an attempt without an answer.
    pub fn miss(&mut self, why: Miss) {
        *match why {
            Miss::Rejected => &mut self.rejected,
            Miss::TimedOut => &mut self.timed_out,
            Miss::Broken => &mut self.broken,
        } += 1;
    }

    /// Counts a request whose client gives up after such an attempt.
    pub fn gave_up(&mut self, why: Miss) {
        *match why {
            Miss::Rejected => &mut self.gave_up_rejected,
            Miss::TimedOut => &mut self.gave_up_timed_out,
            Miss::Broken => &mut self.gave_up_broken,
        } += 1;
    }
}

impl std::ops::AddAssign for Attempts {
    fn add_assign(&mut self, other: Attempts) {
        self.made += other.made;
        self.rejected += other.rejected;
        self.timed_out += other.timed_out;
        self.broken += other.broken;
        self.gave_up_rejected += other.gave_up_rejected;
        self.gave_up_timed_out += other.gave_up_timed_out;
        self.gave_up_broken += other.gave_up_broken;
    }
}
