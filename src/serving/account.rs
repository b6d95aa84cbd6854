//! What a cell enters into its book: the energy of each stretch, and the latencies and tokens of each request.

use super::job::Job;
use super::replica::{Done, Stretch};
use super::{BatchLimits, ServicePlan, Slo, StepLoad, mean_lengths};
use crate::ledger::{Book, Count, Draw, End, Grid, Miss, Request, RequestLog, Use};
use crate::power::PerGpu;
use crate::units::{SimTime, Span, Watts};

/// Requests and their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) prompt: u64,
    pub(crate) output: u64,
}

impl Tally {
    #[inline]
    pub(crate) fn add(&mut self, job: &Job) {
        self.requests += 1;
        self.prompt += u64::from(job.prompt);
        self.output += u64::from(job.output);
    }
}

impl std::ops::Add for Tally {
    type Output = Tally;
    fn add(self, other: Tally) -> Tally {
        Tally {
            requests: self.requests + other.requests,
            prompt: self.prompt + other.prompt,
            output: self.output + other.output,
        }
    }
}

/// What a replica draws at one level of power control.
#[derive(Debug, Clone)]
struct LevelDraws {
    /// By decoding sequences.
    decoding: Vec<Draw>,
    prefilling: Draw,
}

/// A cell's book, and what it takes to write it.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) book: Book,
    /// Draw of a replica at each level of power control.
    levels: Vec<LevelDraws>,
    resident: Draw,
    budget: u64,
    slo: Option<Slo>,
    /// The limits of each class; none where all requests are alike.
    classes: Vec<Option<Slo>>,
    /// What a prompt token and an output token take, in units of some GPU time, by which classes share what the service spends.
    work: [u64; 2],
    /// Added to each request's time to first token and end-to-end time.
    api: Span,
    pub(crate) arrived: Tally,
    pub(crate) rejected: Tally,
    /// Timed out, or broken by a failure.
    pub(crate) failed: Tally,
    pub(crate) completed: Tally,
    /// Those that met every limit.
    pub(crate) within: u64,
    /// Each request, where somebody asked for them.
    pub(crate) log: Option<RequestLog>,
}

impl Account {
    /// An empty account. Each request spends `api` outside the replicas.
    pub(crate) fn new(plan: &ServicePlan, grid: Grid, api: Span) -> Account {
        let draw = |each: PerGpu| Draw::new(plan.gpus, each.accelerator, each.host);
        let mut book = Book::new(grid);
        book.open_classes(plan.clientele.classes.iter().map(|class| class.name.as_str()));
        Account {
            book,
            levels: (0..plan.levels())
                .map(|level| {
                    let power = plan.at_level(level).1;
                    LevelDraws {
                        decoding: (0..=plan.max_batch).map(|batch| draw(power.decoding(batch))).collect(),
                        prefilling: draw(power.prefilling()),
                    }
                })
                .collect(),
            resident: draw(plan.power.resident()),
            budget: u64::from(plan.token_budget),
            slo: plan.slo,
            classes: plan.clientele.classes.iter().map(|class| class.slo.or(plan.slo)).collect(),
            work: if plan.clientele.classes.is_empty() { [0; 2] } else { token_work(plan) },
            api,
            arrived: Tally::default(),
            rejected: Tally::default(),
            failed: Tally::default(),
            completed: Tally::default(),
            within: 0,
            log: None,
        }
    }

    /// Enters a stretch of serving.
    #[inline]
    pub(crate) fn serve(&mut self, stretch: Stretch) {
        self.book.spend(Use::Serving, stretch.from, stretch.to, self.draw(&stretch));
    }

    /// Draw of a step: the curve of decoding by batch, and with prompt chunks a share of the way from there to pure prefill,
    /// as large as the chunk is of the token budget. Measured decode curves already hold the prompts of a usual mix, so where
    /// they lie above prefill they stay.
    #[inline]
    pub(crate) fn draw(&self, &Stretch { batch, chunk, level, .. }: &Stretch) -> Draw {
        let LevelDraws { decoding, prefilling } = &self.levels[usize::from(level)];
        let base = decoding[(batch.max(1) as usize).min(decoding.len() - 1)];
        if chunk == 0 {
            return base;
        }
        let part = |base: Watts, full: Watts| {
            base + Watts::from_milli(
                full.saturating_sub(base).milli() * u64::from(chunk).min(self.budget) / self.budget,
            )
        };
        Draw {
            gpus: base.gpus,
            accelerator: part(base.accelerator, prefilling.accelerator),
            host: part(base.host, prefilling.host),
        }
    }

    /// What a replica draws with its model resident and no request.
    pub(crate) fn resident(&self) -> Draw {
        self.resident
    }

    /// Enters time in which the model is resident and nobody asks, or not yet.
    #[inline]
    pub(crate) fn stand(&mut self, what: Use, from: SimTime, to: SimTime) {
        if from < to {
            self.book.spend(what, from, to, self.resident);
        }
    }

    /// Counts an arrival.
    #[inline]
    pub(crate) fn arrive(&mut self, job: &Job) {
        self.arrived.add(job);
        self.book.count(Count::Arrived, job.arrived, 1);
        if !self.classes.is_empty() {
            self.book.class_mut(job.class).count(Count::Arrived, 1);
        }
    }

    /// Counts a request whose client gave up at `at`, after its last attempt was missed for that reason.
    pub(crate) fn lose(&mut self, job: &Job, at: SimTime, why: Miss) {
        let (tally, count, end) = match why {
            Miss::Rejected => (&mut self.rejected, Count::Rejected, End::Rejected),
            Miss::TimedOut => (&mut self.failed, Count::Failed, End::TimedOut),
            Miss::Broken => (&mut self.failed, Count::Failed, End::Broken),
        };
        tally.add(job);
        self.book.count(count, at, 1);
        if !self.classes.is_empty() {
            self.book.class_mut(job.class).count(count, 1);
        }
        self.record(job, Span::ZERO, Span::ZERO, end);
    }

    /// Counts a completed request and records its latencies.
    #[inline]
    pub(crate) fn complete(&mut self, done: &Done) {
        let Done { job, at } = done;
        let ttft = job.first.since(job.arrived) + self.api;
        let e2e = at.since(job.arrived) + self.api;
        let tpot = match job.output {
            1 => None,
            output => Some(Span::from_nanos(at.since(job.first).nanos() / u64::from(output - 1))),
        };
        let latencies = self.book.latencies_mut();
        latencies.record_ttft(ttft);
        latencies.record_e2e(e2e);
        if let Some(tpot) = tpot {
            latencies.record_tpot(tpot);
        }
        let slo = self.classes.get(usize::from(job.class)).copied().unwrap_or(self.slo);
        let within = slo.is_none_or(|slo| ttft <= slo.ttft && tpot.unwrap_or_default() <= slo.tpot);
        self.completed.add(job);
        self.within += u64::from(within);
        self.book.count_each(
            *at,
            [
                (Count::Completed, 1),
                (Count::WithinSlo, u64::from(within)),
                (Count::PromptTokens, u64::from(job.prompt)),
                (Count::OutputTokens, u64::from(job.output)),
            ],
        );
        if !self.classes.is_empty() {
            self.complete_in_class(job, *at, within, [Some(ttft), tpot, Some(e2e)]);
        }
        let end = if within { End::WithinSlo } else { End::Late };
        self.record(job, ttft, e2e, end);
    }

    #[inline]
    fn record(&mut self, job: &Job, ttft: Span, e2e: Span, end: End) {
        if let Some(log) = &mut self.log {
            let Job { arrived, prompt, output, class, .. } = *job;
            log.enter(&Request { arrived, ttft, e2e, prompt, output, class, end });
        }
    }

    /// Enters a completed request in the book of its class.
    #[cold]
    fn complete_in_class(&mut self, job: &Job, at: SimTime, within: bool, latencies: [Option<Span>; 3]) {
        let [prompt, output] = self.work;
        let work = prompt * u64::from(job.prompt) + output * u64::from(job.output);
        self.book.work(job.class, at, work);
        self.book.class_mut(job.class).complete(within, [job.prompt, job.output], latencies);
    }
}

/// Picoseconds of a replica that a prompt token and an output token take, by the step model at the batch at which the service meets its
/// limit, or at the largest that memory and engine allow: `d`, and the time of a step over its batch.
fn token_work(plan: &ServicePlan) -> [u64; 2] {
    let lengths = mean_lengths(&plan.arrivals);
    let limits = BatchLimits { max_batch: plan.max_batch, kv_tokens: plan.kv_tokens };
    let tpot = plan.slo.map_or(Span::DAY, |slo| slo.tpot);
    let batch = f64::from(plan.step.batch_within(tpot, lengths, limits, plan.slowdown).max(1));
    let cached = batch * (lengths.prompt + lengths.output / 2.0);
    let step = plan.step.time(StepLoad { batch, cached, prompt: 0.0, attended: 0.0 });
    [plan.step.d_ms * 1e9, step.as_secs_f64() / batch * 1e12].map(|pico| pico.round() as u64)
}
