//! A test bench: one replica under a closed loop or a recorded run, observed, so that each latency becomes a sum of what its steps
//! held, and coefficients of the step time can be fitted to measured latencies.
//!
//! In a closed loop without pauses which step holds what does not depend on how long steps take; in a recorded run it does.

use super::job::Job;
use super::replica::{BLOCK, Replica, Rules};
use super::step::Pace;
use super::{StepLoad, StepModel};
use crate::power::Slowdown;
use crate::trace::Request;
use crate::units::{SimTime, Span};
use std::collections::VecDeque;

/// One replica, and what it obeys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rig {
    /// How long its steps take.
    pub step: StepModel,
    /// Tokens that one step may process.
    pub token_budget: u32,
    /// Sequences that may run at once.
    pub max_batch: u32,
    /// Key-value capacity.
    pub kv_tokens: u64,
}

/// A run on a rig.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    laps: Vec<Lap>,
    /// Requests, in order of arrival.
    pub served: Vec<Served>,
}

/// A request that was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// When it came.
    pub at: SimTime,
    /// Prompt tokens.
    pub prompt: u32,
    /// Output tokens.
    pub output: u32,
    /// When its first token came.
    pub first: SimTime,
    /// When its last came.
    pub last: SimTime,
}

impl Served {
    /// Time per output token after the first; none of a single token.
    #[must_use]
    pub fn tpot_ms(&self) -> Option<f64> {
        (self.output > 1).then(|| self.last.since(self.first).as_secs_f64() * 1e3 / f64::from(self.output - 1))
    }

    /// From its coming to its first token.
    #[must_use]
    pub fn ttft_ms(&self) -> f64 {
        self.first.since(self.at).as_secs_f64() * 1e3
    }
}

/// Steps in which nobody joined or left.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lap {
    from: SimTime,
    to: SimTime,
    steps: f64,
    /// Tokens of each step: sequences that decode, and prompt chunks.
    batch: f64,
    chunk: f64,
    /// Sums over the steps.
    cached: f64,
    attended: f64,
}

/// What steps held, each step as often as it counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exposure {
    /// Steps by their tokens, the fewest first.
    floors: Vec<(f64, f64)>,
    batch: f64,
    cached: f64,
    attended: f64,
}

impl Exposure {
    /// Of one step.
    #[must_use]
    pub fn of_step(load: StepLoad) -> Exposure {
        let StepLoad { batch, cached, prompt, attended } = load;
        Exposure { floors: vec![(batch + prompt, 1.0)], batch, cached, attended }
    }

    /// The same without the context that prompts attend to: where nobody knows how long prompts were.
    #[must_use]
    pub fn without_context(self) -> Exposure {
        Exposure { attended: 0.0, ..self }
    }

    /// What p0, d, b, c and e multiply, at a floor of `t0` tokens.
    #[must_use]
    pub fn multiplied(&self, t0: u32) -> [f64; 5] {
        let steps = self.floors.iter().map(|(_, steps)| steps).sum();
        let tokens = self.floors.iter().map(|(tokens, steps)| tokens.max(f64::from(t0)) * steps).sum();
        [steps, tokens, self.batch, self.cached, self.attended]
    }
}

impl Rig {
    /// `clients` that ask anew as soon as they have their answer, until `requests` were sent; `lengths` gives prompt and output
    /// tokens of each.
    #[must_use]
    pub fn closed_loop(&self, clients: u32, requests: u32, lengths: impl Fn(u32) -> (u32, u32)) -> Observed {
        let mut sent = 0;
        let mut request = |at| {
            let (prompt, output) = lengths(sent);
            sent += 1;
            (sent <= requests).then_some(Request { at, prompt, output })
        };
        let first = (0..clients).map_while(|_| request(SimTime::ZERO)).collect();
        self.drive(first, request)
    }

    /// Requests that come as they came, in order.
    #[must_use]
    pub fn replay(&self, requests: impl IntoIterator<Item = Request>) -> Observed {
        self.drive(requests.into_iter().collect(), |_| None)
    }

    fn drive(&self, mut coming: VecDeque<Request>, mut asks: impl FnMut(SimTime) -> Option<Request>) -> Observed {
        let step = StepModel { e_ms: self.step.e_ms.max(LEAST_E_MS), ..self.step };
        let pace = Pace::slowed(&step, Slowdown::NONE);
        let (budget, max_batch) = (u64::from(self.token_budget), u64::from(self.max_batch));
        let rules = Rules::chunked(vec![pace.clone()], budget, max_batch, self.kv_tokens / BLOCK);
        let mut replica = Replica::new(&rules);
        let (mut laps, mut served, mut done) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let arrival = coming.front().map_or(SimTime::NEVER, |request| request.at);
            if replica.next() == SimTime::NEVER && arrival == SimTime::NEVER {
                break;
            }
            if replica.next() >= arrival {
                let request = coming.pop_front().expect("an arrival is due");
                if rules.can_hold(&request) {
                    replica.arrive(request.at, Job::from(request), &rules);
                }
                continue;
            }
            let (steps, cached, series) = replica.planned();
            let stretch = replica.turn(&rules, &mut done);
            if steps > 0 {
                let (batch, chunk) = (u64::from(stretch.batch), u64::from(stretch.chunk));
                let (attended, deepening) = pace.context(series, batch, cached, chunk);
                let pairs = steps as f64 * (steps - 1) as f64 / 2.0;
                laps.push(Lap {
                    from: stretch.from,
                    to: stretch.to,
                    steps: steps as f64,
                    batch: batch as f64,
                    chunk: chunk as f64,
                    cached: cached as f64 * steps as f64 + batch as f64 * pairs,
                    attended: attended as f64 * steps as f64 + deepening as f64 * pairs,
                });
            }
            for done in done.drain(..) {
                let Job { arrived, first, prompt, output, .. } = done.job;
                served.push(Served { at: arrived, prompt, output, first, last: done.at });
                coming.extend(asks(done.at));
            }
        }
        served.sort_unstable();
        Observed { laps, served }
    }
}

/// Small enough to cost nothing, and large enough to tell the context of a step from its time.
const LEAST_E_MS: f64 = 1e-9;

impl Observed {
    /// What the mean time to first token of all requests is made of.
    #[must_use]
    pub fn ttft(&self) -> Exposure {
        let share = 1.0 / self.served.len() as f64;
        self.exposure(self.served.iter().map(|served| (served.at, served.first, share)))
    }

    /// What the mean time per output token is made of, over the requests that have one.
    #[must_use]
    pub fn tpot(&self) -> Exposure {
        let count = self.served.iter().filter(|served| served.output > 1).count() as f64;
        let several = self.served.iter().filter(|served| served.output > 1);
        self.exposure(several.map(|served| (served.first, served.last, 1.0 / count / f64::from(served.output - 1))))
    }

    /// What the time per output token of one request is made of.
    #[must_use]
    pub fn tpot_of(&self, served: &Served) -> Exposure {
        self.exposure(std::iter::once((served.first, served.last, 1.0 / f64::from(served.output - 1))))
    }

    /// What a step of the usual kind holds: as many tokens as half of the steps have at most, each step as often as sequences
    /// wait for it.
    #[must_use]
    pub fn usual_step(&self) -> Exposure {
        let Exposure { floors, batch, cached, attended } = self.tpot();
        let steps: f64 = floors.iter().map(|(_, steps)| steps).sum();
        let mut below = 0.0;
        let half = floors.iter().find(|(_, more)| {
            below += more;
            below >= steps / 2.0
        });
        let (batch, cached, attended) = (batch / steps, cached / steps, attended / steps);
        let tokens = half.map_or(batch, |(tokens, _)| *tokens);
        // Without prompt tokens nothing is attended to.
        let attended = if tokens > batch { attended } else { 0.0 };
        Exposure { floors: vec![(tokens, 1.0)], batch, cached, attended }
    }

    /// What the time between these instants is made of, each stretch of it as often as its weight says.
    fn exposure(&self, stretches: impl Iterator<Item = (SimTime, SimTime, f64)>) -> Exposure {
        // Changes of the weight at the beginning of each lap.
        let mut changes = vec![0.0; self.laps.len() + 1];
        for (from, to, weight) in stretches {
            self.change(&mut changes, from, weight);
            self.change(&mut changes, to, -weight);
        }
        let (mut weight, mut exposure) = (0.0, Exposure::default());
        let mut floors = Vec::with_capacity(self.laps.len());
        for (lap, change) in self.laps.iter().zip(changes) {
            weight += change;
            floors.push((lap.batch + lap.chunk, lap.steps * weight));
            exposure.batch += lap.batch * lap.steps * weight;
            exposure.cached += lap.cached * weight;
            exposure.attended += lap.attended * weight;
        }
        floors.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (tokens, steps) in floors {
            match exposure.floors.last_mut() {
                Some(last) if last.0 == tokens => last.1 += steps,
                _ => exposure.floors.push((tokens, steps)),
            }
        }
        exposure
    }

    /// From `at` on laps count `weight` more; the lap in which it lies counts for the part after it.
    fn change(&self, changes: &mut [f64], at: SimTime, weight: f64) {
        let lap = self.laps.partition_point(|lap| lap.to <= at);
        let part = self
            .laps
            .get(lap)
            .map_or(1.0, |lap| lap.to.since(at.max(lap.from)).as_secs_f64() / lap.to.since(lap.from).as_secs_f64());
        changes[lap] += weight * part;
        if lap + 1 < changes.len() {
            changes[lap + 1] += weight * (1.0 - part);
        }
    }

    /// From the first arrival to the last token.
    #[must_use]
    pub fn makespan(&self) -> Span {
        let end = self.served.iter().map(|served| served.last).max().unwrap_or(SimTime::ZERO);
        end.since(self.served.first().map_or(SimTime::ZERO, |served| served.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: StepModel = StepModel { p0_ms: 5.0, d_ms: 0.02, t0: 96, b_ms: 0.03, c_ms: 4e-5, e_ms: 8e-7 };

    fn rig(step: StepModel) -> Rig {
        Rig { step, token_budget: 2_048, max_batch: 256, kv_tokens: 1 << 30 }
    }

    /// Latencies are the sums of what the steps held times the coefficients, whatever these are.
    #[test]
    fn what_steps_held_gives_the_latencies() {
        let plain = StepModel { p0_ms: 1.0, d_ms: 0.0, t0: 0, b_ms: 0.0, c_ms: 0.0, e_ms: 0.0 };
        for (clients, prompt, output) in [(1, 100, 5), (16, 3_000, 40), (40, 700, 200)] {
            let of = |step| rig(step).closed_loop(clients, clients * 4, |_| (prompt, output));
            let (held, timed) = (of(plain), of(STEP));
            assert_eq!(timed.served.len() as u32, clients * 4);
            let coefficients = [STEP.p0_ms, STEP.d_ms, STEP.b_ms, STEP.c_ms, STEP.e_ms];
            let sum = |exposure: &Exposure| {
                exposure.multiplied(STEP.t0).iter().zip(coefficients).map(|(held, each)| held * each).sum::<f64>()
            };
            let mean =
                |of: &dyn Fn(&Served) -> f64| timed.served.iter().map(of).sum::<f64>() / timed.served.len() as f64;
            let (ttft, tpot) = (mean(&Served::ttft_ms), mean(&|served| served.tpot_ms().expect("several tokens")));
            assert!((sum(&held.ttft()) / ttft - 1.0).abs() < 1e-6, "{clients} clients: TTFT {ttft}");
            assert!((sum(&held.tpot()) / tpot - 1.0).abs() < 1e-6, "{clients} clients: TPOT {tpot}");
        }
    }

    /// A lone request of a recorded run: 100 tokens at once, then four steps.
    #[test]
    fn a_lone_request_holds_its_own_steps() {
        let at = SimTime::ZERO + Span::from_secs(3);
        let seen = rig(STEP).replay([Request { at, prompt: 100, output: 5 }]);
        assert_eq!(seen.ttft().multiplied(0), [1.0, 100.0, 0.0, 0.0, 4_950.0]);
        // Caches of 100, 101, 102 and 103 tokens.
        assert_eq!(seen.tpot_of(&seen.served[0]).multiplied(96), [1.0, 96.0, 1.0, 101.5, 0.0]);
        // 5 + 0.02 x 100 + 8e-7 x 4,950, and four times 5 + 0.02 x 96 + 0.03 + 4e-5 x 101.5 ms.
        let expected = 7.003_96 + 4.0 * 6.954_06;
        assert!((seen.makespan().as_secs_f64() * 1e3 - expected).abs() < 1e-5, "{:?}", seen.makespan());
    }
}
