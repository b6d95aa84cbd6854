//! A job mix like that of the Acme cluster Kalos, drawn from its published statistics: `jobs = { kalos = { rate = "180 /d" } }`.
//!
//! Class, GPUs, run time and end of a job are independent draws: GPUs and run time from the class's quantiles, the end from the
//! class's shares. Two million draws give a mean run of 1,315 s (published 1,260), a median of 124 s (124), 24.1 GPUs (26.8),
//! 268,600 GPU-seconds a job (267,905) and a share of Pretrain in the GPU time of 96.4 % (95.5 %).
//! About 3 % of the jobs use 95 % of the GPU time, so that a sample of 20,000 jobs scatters by 14 % in GPU-seconds.
//!
//! When jobs arrive is not in the data. Evaluations come in sweeps of `sweep` jobs on average, geometric; sweeps and single jobs are
//! Poisson, faster and slower by the day of the week.

use crate::engine::{Entity, Seed, Stream};
use crate::trace::{JobEnd, TraceJob};
use crate::units::{PerSecond, Ratio, SimTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `kalos = { rate = "180 /d" }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kalos {
    /// Jobs submitted, on average over a week.
    pub rate: PerSecond,
    /// Mean number of evaluations that are submitted together, at least 1.
    #[serde(default = "sweep")]
    pub sweep: Ratio,
    /// Whether submissions follow the days of the week.
    #[serde(default = "week")]
    pub weekly: bool,
}

impl Kalos {
    /// Most GPUs of a job (acme_kalos_cluster_summary.csv).
    pub const MOST_GPUS: u32 = 1_024;

    /// Names of its classes.
    pub fn classes() -> impl Iterator<Item = &'static str> {
        CLASSES.iter().map(|class| class.name)
    }
}

fn sweep() -> Ratio {
    // Assumed: one checkpoint, ten benchmarks.
    Ratio::new(10.0)
}

fn week() -> bool {
    true
}

/// A class of jobs.
#[derive(Debug)]
struct Class {
    /// Name in the outputs.
    name: &'static str,
    /// Share of the jobs.
    share: f64,
    /// Per cent of the run times at or below 8, 16, 32, … 1,048,576 s.
    run_cdf: [f64; 18],
    /// First quartile, median and third quartile of the GPUs.
    gpus: [f64; 3],
    /// Shares that complete and that are cancelled; the rest fails.
    ends: [f64; 2],
}

/// The longest run, in seconds (acme_kalos_cluster_summary.csv).
const LONGEST_RUN: f64 = 625_740.0;

/// The classes of Kalos, from the figures of Hu et al., NSDI 2024 (InternLM/AcmeTrace, CC BY 4.0:
/// acme_kalos_job_cdfs.csv); end states solved there so that the shares by jobs and by GPU time both hold.
const CLASSES: [Class; 4] = [
    Class {
        name: "evaluation",
        share: 0.928,
        run_cdf: [
            0.01, 1.53, 19.51, 39.92, 52.67, 71.82, 81.16, 87.03, 93.80, 98.06, 99.60, 99.84, 99.98, 99.98, 100.0,
            100.0, 100.0, 100.0,
        ],
        gpus: [1.0, 1.0, 1.0],
        ends: [0.549, 0.043],
    },
    Class {
        name: "pretrain",
        share: 0.032,
        run_cdf: [
            0.0, 0.0, 4.21, 9.83, 14.35, 25.74, 43.84, 57.10, 65.37, 71.92, 76.91, 82.37, 87.83, 93.29, 96.72, 98.91,
            99.84, 100.0,
        ],
        gpus: [256.0, 512.0, 512.0],
        ends: [0.304, 0.628],
    },
    Class {
        name: "debug",
        share: 0.027,
        run_cdf: [
            0.0, 1.30, 8.38, 17.32, 25.88, 38.73, 70.76, 88.83, 97.21, 99.07, 99.63, 99.81, 100.0, 100.0, 100.0, 100.0,
            100.0, 100.0,
        ],
        gpus: [32.0, 128.0, 512.0],
        ends: [0.549, 0.043],
    },
    Class {
        name: "other",
        share: 0.013,
        run_cdf: [
            0.0, 2.00, 20.40, 29.20, 35.20, 46.40, 64.80, 75.20, 79.20, 84.00, 85.20, 87.60, 90.00, 92.80, 95.60,
            98.80, 98.80, 100.0,
        ],
        gpus: [2.0, 8.0, 32.0],
        ends: [0.549, 0.043],
    },
];

/// Submissions Monday to Sunday over their mean: the Philly list (gaow0007/TitanSched).
const WEEK: [f64; 7] = [0.87, 1.08, 1.15, 1.22, 1.37, 0.66, 0.65];

impl Class {
    /// The run time at probability `u`: between two points of the distribution its logarithm is linear in the probability.
    fn run(&self, u: f64) -> Span {
        let percent = 100.0 * u;
        let above = self.run_cdf.iter().position(|&cdf| percent < cdf).unwrap_or(self.run_cdf.len() - 1);
        let low = if above == 0 { 0.0 } else { self.run_cdf[above - 1] };
        let part = (percent - low) / (self.run_cdf[above] - low);
        // The first point is 2^3 s; what lies below it is taken to lie above 2^2 s.
        Span::from_secs_f64(libm::exp2(2.0 + above as f64 + part).min(LONGEST_RUN))
    }

    /// The GPUs at probability `u`, a power of two.
    fn gpus(&self, u: f64) -> u32 {
        let [first, median, third] = self.gpus;
        let anchors = [(first / 2.0).max(1.0), first, median, third, (2.0 * third).min(f64::from(Kalos::MOST_GPUS))]
            .map(libm::log2);
        let quarter = ((4.0 * u) as usize).min(3);
        let part = 4.0 * u - quarter as f64;
        let exponent = anchors[quarter] + (anchors[quarter + 1] - anchors[quarter]) * part;
        1 << libm::round(exponent) as u32
    }

    fn end(&self, u: f64) -> JobEnd {
        let [complete, cancel] = self.ends;
        match u {
            u if u < complete => JobEnd::Completed,
            u if u < complete + cancel => JobEnd::Cancelled,
            _ => JobEnd::Failed,
        }
    }
}

/// Jobs one after the other, for ever.
#[derive(Debug, Clone)]
pub struct Generator {
    mix: Kalos,
    /// The day of the week on which the run begins, 0 for Monday, and how far into it.
    first_day: usize,
    into_day: Span,
    arrivals: Stream,
    traits: Stream,
    /// Instant of the sweep or job under way.
    at: SimTime,
    /// Jobs of it still to come.
    left: u64,
    in_sweep: bool,
}

impl Generator {
    /// The jobs of `workload` (`workload.<name>`) in a run that begins `start_hour` hours after a Monday began.
    #[must_use]
    pub fn new(mix: Kalos, start_hour: u32, workload: Entity, seed: Seed) -> Generator {
        Generator {
            mix,
            first_day: (start_hour / 24) as usize % 7,
            into_day: Span::HOUR * u64::from(start_hour % 24),
            arrivals: seed.stream(workload, "arrivals"),
            traits: seed.stream(workload, "jobs"),
            at: SimTime::ZERO,
            left: 0,
            in_sweep: false,
        }
    }

    /// The next job.
    pub fn next_job(&mut self) -> TraceJob {
        if self.left == 0 {
            self.next_sweep();
        }
        self.left -= 1;
        let [class, gpus, run, end] = std::array::from_fn(|_| self.traits.uniform());
        let index = if self.in_sweep { 0 } else { single(class) };
        let class = &CLASSES[index];
        TraceJob {
            submit: self.at,
            gpus: class.gpus(gpus),
            run: class.run(run),
            end: class.end(end),
            class: index as u32,
            owner: 0,
        }
    }

    /// Moves to the next sweep or single job. With sweeps of mean b, a share e of the jobs in sweeps and a rate r, sweeps come at
    /// r e / b and single jobs at r (1 - e).
    fn next_sweep(&mut self) {
        let mean = self.mix.sweep.as_f64();
        let (sweeps, singles) = (CLASSES[0].share / mean, 1.0 - CLASSES[0].share);
        let [gap, kind, size] = std::array::from_fn(|_| self.arrivals.uniform());
        self.at = self.after(-libm::log(gap) / (self.mix.rate.as_f64() * (sweeps + singles)));
        self.in_sweep = kind * (sweeps + singles) < sweeps;
        // Geometric on 1, 2, …: P(size > n) = (1 - 1/b)^n.
        let beside = if mean > 1.0 { (libm::log(size) / libm::log1p(-1.0 / mean)) as u64 } else { 0 };
        self.left = 1 + if self.in_sweep { beside } else { 0 };
    }

    /// The instant until which `gap` seconds at the mean rate have passed since the last one.
    fn after(&self, gap: f64) -> SimTime {
        if !self.mix.weekly {
            return self.at + Span::from_secs_f64(gap);
        }
        let (mut at, mut left) = (self.at, gap);
        loop {
            let since = at.since(SimTime::ZERO) + self.into_day;
            let day = since.nanos() / Span::DAY.nanos();
            let pace = WEEK[(self.first_day + (day % 7) as usize) % 7];
            let rest = (Span::DAY * (day + 1)).saturating_sub(since);
            let holds = rest.as_secs_f64() * pace;
            if left < holds || at == SimTime::NEVER {
                return at + Span::from_secs_f64(left / pace);
            }
            left -= holds;
            at += rest;
        }
    }
}

/// The class of a job outside sweeps, at probability `u`.
fn single(u: f64) -> usize {
    let mut left = u * (1.0 - CLASSES[0].share);
    for (index, class) in CLASSES.iter().enumerate().skip(1) {
        left -= class.share;
        if left < 0.0 {
            return index;
        }
    }
    CLASSES.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIX: Kalos = Kalos { rate: PerSecond::per_day(180.0), sweep: Ratio::new(10.0), weekly: true };

    fn generator(mix: Kalos, seed: u64) -> Generator {
        Generator::new(mix, 0, Entity::named("workload.kalos"), Seed { seed, replication: 0 })
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        let [evaluation, pretrain, debug, other] = &CLASSES;
        // 52.67 % of the evaluations run for at most 128 s, 71.82 % for at most 256 s; half way between, 128 sqrt(2) s.
        for (class, u, seconds) in [
            (evaluation, 0.5267, 128.0),
            (evaluation, (0.5267 + 0.7182) / 2.0, 128.0 * std::f64::consts::SQRT_2),
            (pretrain, 0.5710, 1_024.0),
            (pretrain, 0.999_999, LONGEST_RUN),
            (debug, 0.7076, 512.0),
        ] {
            assert!((class.run(u).as_secs_f64() / seconds - 1.0).abs() < 1e-6, "{} at {u}", class.name);
        }
        for (class, u, gpus) in [
            (evaluation, 0.5, 1),
            (evaluation, 0.99, 2),
            (pretrain, 0.0, 128),
            (pretrain, 0.25, 256),
            (pretrain, 0.6, 512),
            (pretrain, 0.999, 1_024),
            (debug, 0.5, 128),
            (other, 0.001, 1),
            (other, 0.5, 8),
        ] {
            assert_eq!(class.gpus(u), gpus, "{} at {u}", class.name);
        }
    }

    #[test]
    fn a_million_draws_have_the_moments_of_the_document() {
        let jobs = 1_000_000;
        let mut generator = generator(MIX, 1);
        let (mut runs, mut gpus, mut gpu_seconds, mut large, mut larger) = (Vec::new(), 0.0, 0.0, 0.0, 0.0);
        let mut of_class = [(0.0, 0.0); 4];
        let mut of_end = [(0.0, 0.0); 5];
        for _ in 0..jobs {
            let job = generator.next_job();
            let run = job.run.as_secs_f64();
            let spent = run * f64::from(job.gpus);
            runs.push(run);
            gpus += f64::from(job.gpus);
            gpu_seconds += spent;
            large += if job.gpus > 128 { spent } else { 0.0 };
            larger += if job.gpus > 256 { spent } else { 0.0 };
            for sums in [&mut of_class[job.class as usize], &mut of_end[job.end as usize]] {
                sums.0 += 1.0;
                sums.1 += spent;
            }
        }
        runs.sort_by(f64::total_cmp);
        let n = f64::from(jobs);
        // The published figures of the trace, each within 5 %; a share of a million jobs in a thousand sweeps scatters by less.
        for (what, value, expected) in [
            ("mean run", runs.iter().sum::<f64>() / n, 1_315.0),
            ("median run", runs[jobs as usize / 2], 124.0),
            ("GPUs", gpus / n, 24.1),
            ("GPU-seconds a job", gpu_seconds / n, 268_600.0),
            ("pretrain of the GPU time", of_class[1].1 / gpu_seconds, 0.964),
            ("above 128 GPUs of the GPU time", large / gpu_seconds, 0.94),
            ("above 256 GPUs of the GPU time", larger / gpu_seconds, 0.81),
            ("evaluations", of_class[0].0 / n, 0.928),
            ("pretrain", of_class[1].0 / n, 0.032),
            ("debug", of_class[2].0 / n, 0.027),
            ("other", of_class[3].0 / n, 0.013),
            ("complete by jobs", of_end[0].0 / n, 0.541),
            ("cancelled by jobs", of_end[1].0 / n, 0.062),
            ("failed by jobs", of_end[2].0 / n, 0.397),
            ("complete by GPU time", of_end[0].1 / gpu_seconds, 0.313),
            ("cancelled by GPU time", of_end[1].1 / gpu_seconds, 0.607),
            ("failed by GPU time", of_end[2].1 / gpu_seconds, 0.080),
        ] {
            assert!((value / expected - 1.0).abs() < 0.05, "{what}: {value}, not {expected}");
        }
    }

    #[test]
    fn jobs_come_at_the_rate_of_the_week_and_in_sweeps() {
        let (weeks, mut generator) = (400.0_f64, generator(MIX, 2));
        let end = SimTime::ZERO + Span::DAY * 7 * 400;
        let mut days = [0.0; 7];
        let (mut jobs, mut instants, mut last) = (0.0_f64, 0.0_f64, SimTime::NEVER);
        loop {
            let job = generator.next_job();
            if job.submit >= end {
                break;
            }
            jobs += 1.0;
            days[(job.submit.nanos() / Span::DAY.nanos() % 7) as usize] += 1.0;
            if job.class == 0 && job.submit != last {
                instants += 1.0;
                last = job.submit;
            }
        }
        // 400 weeks hold 504,000 jobs, of which 467,712 in 46,771 sweeps: their count scatters by 0.65 %.
        assert!((jobs / (weeks * 7.0 * 180.0) - 1.0).abs() < 0.02, "{jobs} jobs");
        assert!((0.928 * jobs / instants / 10.0 - 1.0).abs() < 0.02, "sweeps of {}", 0.928 * jobs / instants);
        for (day, pace) in days.iter().zip(WEEK) {
            assert!((day / jobs * 7.0 / pace - 1.0).abs() < 0.06, "{days:?}");
        }
    }
}
