//! Requests of many tenants, each with a rate, a burstiness and lengths of its own (shapes after ServeGen, NSDI 2026).
//!
//! A few clients send most of the requests, and each client's lengths lie close together, so that one client's burst is a burst
//! of long prompts, or of short ones. Mean rates are lognormal, normalised to the service's; gaps are Gamma or Weibull renewal
//! with the client's own coefficient of variation. A length is its law's quantile at `Phi(sqrt(b) z + sqrt(1 - b) e)`, with z
//! the client's own standard normal, drawn once, and e the request's: over all clients the law is the given one, and the share
//! b of the variance lies between clients.
//!
//! Every cell walks the same clients and takes its slice of their requests by hash; a change of the slices holds from each
//! cell's next request on.

use super::lengths::{Lengths, Lognormal, Measured, Part, normal_share, whole};
use super::renewal::{Gaps, gamma_gaps};
use crate::engine::{Entity, QuantileTable, Seed, Stream, gamma_quantile, normal_quantile};
use crate::units::{PerSecond, Ratio, Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

/// `arrivals = { clients = { rate = "20 /s" } }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// Mean requests a second of all clients together.
    pub rate: PerSecond,
    /// How many clients there are.
    #[serde(default = "default_clients")]
    pub clients: u32,
    /// Standard deviation of the logarithm of the clients' mean rates.
    #[serde(default = "default_spread")]
    pub spread: Ratio,
    /// Median over clients of the coefficient of variation of their gaps.
    #[serde(default = "default_burstiness")]
    pub burstiness: Ratio,
    /// Standard deviation of the logarithm of that coefficient; it is kept between 0.5 and 20.
    #[serde(default = "default_burstiness_spread")]
    pub burstiness_spread: Ratio,
    /// Share of the clients with Gamma gaps; the others have Weibull gaps.
    #[serde(default = "default_gamma")]
    pub gamma: Share,
    /// Prompt lengths over all clients.
    #[serde(default = "default_prompt")]
    pub prompt: Lengths,
    /// Output lengths over all clients.
    #[serde(default = "default_output")]
    pub output: Lengths,
    /// Share of the variance of prompt lengths that lies between clients.
    #[serde(default = "default_prompt_between")]
    pub prompt_between: Share,
    /// Share of the variance of output lengths that lies between clients.
    #[serde(default = "default_output_between")]
    pub output_between: Share,
    /// Standard deviation of slow log-rate noise that all clients share.
    #[serde(default)]
    pub noise: Ratio,
    /// Correlation time of that noise.
    #[serde(default = "default_noise_time")]
    pub noise_time: Span,
}

/// `arrivals = { reasoning = { rate = "5 /s" } }`: clients and lengths as measured of a reasoning model.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reasoning {
    /// Mean requests a second of all clients together.
    pub rate: PerSecond,
    /// How many clients there are.
    #[serde(default = "reasoning_clients")]
    pub clients: u32,
    /// Standard deviation of the logarithm of the clients' mean rates.
    #[serde(default = "reasoning_spread")]
    pub spread: Ratio,
    /// Prompt lengths over all clients.
    #[serde(default = "deepseek")]
    pub prompt: Lengths,
    /// Output lengths over all clients, thoughts included.
    #[serde(default = "deepseek")]
    pub output: Lengths,
    /// Standard deviation of slow log-rate noise that all clients share.
    #[serde(default)]
    pub noise: Ratio,
    /// Correlation time of that noise.
    #[serde(default = "default_noise_time")]
    pub noise_time: Span,
}

// Defaults of clients: our fits to ServeGen's client archives. Sds of log length between and within clients: prompts 1.3 and
// .4, outputs 1.1 and .5; so of prompts 1.69/1.85 of the variance lies between, of outputs 1.21/1.46.
fn default_clients() -> u32 {
    60
}
fn default_spread() -> Ratio {
    Ratio::new(2.2)
}
fn default_burstiness() -> Ratio {
    // exp(.45)
    Ratio::new(1.568)
}
fn default_burstiness_spread() -> Ratio {
    Ratio::new(0.75)
}
fn default_gamma() -> Share {
    Share::new(0.7)
}
fn default_prompt() -> Lengths {
    // exp(5.7), sqrt(1.85)
    Lengths::Lognormal(Lognormal { median: 299.0, sigma: 1.36, max: Some(131_072) })
}
fn default_output() -> Lengths {
    // exp(4.5), sqrt(1.46)
    Lengths::Lognormal(Lognormal { median: 90.0, sigma: 1.21, max: Some(32_768) })
}
fn default_prompt_between() -> Share {
    Share::new(0.914)
}
fn default_output_between() -> Share {
    Share::new(0.829)
}
fn default_noise_time() -> Span {
    Span::from_secs(600)
}
// Defaults of reasoning: our fits to ServeGen's deepseek-r1.
fn reasoning_clients() -> u32 {
    73
}
fn reasoning_spread() -> Ratio {
    Ratio::new(1.84)
}
fn deepseek() -> Lengths {
    Lengths::Like(Measured::DeepseekR1)
}

impl Reasoning {
    /// The clients that it stands for.
    pub(super) fn clients(&self) -> Clients {
        Clients {
            rate: self.rate,
            clients: self.clients,
            spread: self.spread,
            // Window CVs lognormal .30, .66; Gamma by rate .74; sds of log length between and within clients: prompts 1.49 and
            // .44, outputs .70 and .43 (ServeGen's deepseek-r1).
            burstiness: Ratio::new(1.35),
            burstiness_spread: Ratio::new(0.66),
            gamma: Share::new(0.74),
            prompt: self.prompt.clone(),
            output: self.output.clone(),
            prompt_between: Share::new(0.92),
            output_between: Share::new(0.726),
            noise: self.noise,
            noise_time: self.noise_time,
        }
    }
}

/// The gaps of one client, mean 1.
#[derive(Debug, Clone)]
pub(super) enum Law {
    Gamma {
        gaps: Arc<Gaps>,
        cv: f64,
    },
    /// `scale e^power` of an exponential e.
    Weibull {
        scale: f64,
        power: f64,
    },
}

impl Law {
    /// Weibull gaps of that coefficient of variation: with p = 1 / shape, 1 + CV^2 = Gamma(1 + 2p) / Gamma(1 + p)^2, which
    /// grows with p.
    pub(super) fn weibull(cv: f64) -> Law {
        let squares = |power: f64| libm::lgamma(1.0 + 2.0 * power) - 2.0 * libm::lgamma(1.0 + power);
        let wanted = libm::log1p(cv * cv);
        let (mut low, mut high) = (0.01, 20.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if squares(middle) < wanted { low = middle } else { high = middle }
        }
        let power = (low + high) / 2.0;
        Law::Weibull { scale: libm::exp(-libm::lgamma(1.0 + power)), power }
    }

    /// Gamma gaps of that coefficient of variation.
    pub(super) fn gamma(cv: f64) -> Law {
        Law::Gamma { gaps: gamma_gaps(cv), cv }
    }

    /// From any instant to the first request: a uniform part of a gap that is drawn with its length as weight, as long gaps hold
    /// more instants. A Gamma law so weighted is one of shape 1 more, which is a gap and an exponential; a Weibull law of e^p is
    /// that of a Gamma e of shape 1 + p.
    pub(super) fn first(&self, stream: &mut Stream) -> f64 {
        let (e, other, part) = (stream.exponential(), stream.uniform(), stream.uniform());
        part * match self {
            Law::Gamma { gaps, cv } => gaps.at(e) - libm::log(other) * cv * cv,
            Law::Weibull { scale, power } => scale * libm::pow(gamma_quantile(1.0 + power, other), *power),
        }
    }

    pub(super) fn gap(&self, e: f64) -> f64 {
        match self {
            Law::Gamma { gaps, .. } => gaps.at(e),
            Law::Weibull { scale, power } => scale * libm::pow(e, *power),
        }
    }
}

/// One client.
#[derive(Debug, Clone)]
struct Client {
    /// Its gaps, in rescaled time in which all clients together send one request a unit.
    mean_gap: f64,
    law: Law,
    gaps: Stream,
    lengths: Stream,
    /// What it adds to the standard normals of its prompts and outputs.
    prompt: f64,
    output: f64,
}

/// All clients, walked in rescaled time.
#[derive(Debug, Clone)]
pub(super) struct Population {
    clients: Vec<Client>,
    /// When each client's next request comes: the bits of a positive float, which are in its order.
    next: BinaryHeap<Reverse<(u64, u32)>>,
    now: f64,
    drawn: u64,
    salt: u64,
    prompts: QuantileTable,
    outputs: QuantileTable,
    /// What a request adds to the standard normal of its length.
    prompt_within: f64,
    output_within: f64,
}

impl Population {
    pub(super) fn new(section: &Clients, service: Entity, seed: Seed) -> Population {
        let mut traits = seed.stream(service, "clients");
        let weights: Vec<f64> =
            (0..section.clients).map(|_| libm::exp(section.spread.as_f64() * traits.normal())).collect();
        let total: f64 = weights.iter().sum();
        let (prompt_between, output_between) = (section.prompt_between.as_f64(), section.output_between.as_f64());
        let mut client = |(index, weight): (u32, &f64)| {
            let spread = section.burstiness_spread.as_f64() * traits.normal();
            let cv = (section.burstiness.as_f64() * libm::exp(spread)).clamp(0.5, 19.9);
            let is_gamma = traits.uniform() < section.gamma.as_f64();
            let law = if is_gamma { Law::gamma(cv) } else { Law::weibull(cv) };
            let [prompt, output] = [prompt_between, output_between].map(|between| between.sqrt() * traits.normal());
            let entity = service.part(index);
            let (gaps, lengths) = (seed.stream(entity, "client-gap"), seed.stream(entity, "client-length"));
            Client { mean_gap: total / weight, law, gaps, lengths, prompt, output }
        };
        let clients: Vec<Client> = (0..).zip(&weights).map(&mut client).collect();
        let mut population = Population {
            clients,
            next: BinaryHeap::new(),
            now: 0.0,
            drawn: 0,
            salt: seed.stream(service, "front").bits(),
            prompts: section.prompt.compile(Part::Prompt),
            outputs: section.output.compile(Part::Output),
            prompt_within: (1.0 - prompt_between).sqrt(),
            output_within: (1.0 - output_between).sqrt(),
        };
        for index in 0..section.clients {
            let client = &mut population.clients[index as usize];
            let first = client.mean_gap * client.law.first(&mut client.gaps);
            population.next.push(Reverse((first.to_bits(), index)));
        }
        population
    }

    /// Walks on to the next request of the slice: the rescaled time since the last, prompt and output.
    pub(super) fn next(&mut self, slice: &Range<f64>) -> (f64, u32, u32) {
        let before = self.now;
        loop {
            let mut top = self.next.peek_mut().expect("a service has clients");
            let Reverse((bits, index)) = *top;
            let client = &mut self.clients[index as usize];
            self.now = f64::from_bits(bits);
            let after = self.now + client.mean_gap * client.law.gap(client.gaps.exponential());
            *top = Reverse((after.to_bits(), index));
            drop(top);
            let length = |own: f64, within: f64, e: f64| normal_share(own + within * normal_quantile(e));
            let prompt = length(client.prompt, self.prompt_within, client.lengths.uniform());
            let output = length(client.output, self.output_within, client.lengths.uniform());
            self.drawn += 1;
            if slice.contains(&super::arrivals::hashed(self.salt, self.drawn)) {
                let inside = |u: f64| u.clamp(1e-16, 1.0 - 1e-15);
                let (prompt, output) = (self.prompts.draw(inside(prompt)), self.outputs.draw(inside(output)));
                return (self.now - before, whole(prompt), whole(output));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weibull_gaps_have_their_coefficient_of_variation() {
        for cv in [0.5, 1.0, 3.0] {
            let law = Law::weibull(cv);
            // Midpoints of u; the tail beyond 1e-6 holds less than a thousandth of the second moment up to CV 3.
            const POINTS: u32 = 1_000_000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for point in 0..POINTS {
                let gap = law.gap(-libm::log((f64::from(point) + 0.5) / f64::from(POINTS)));
                sum += gap;
                squares += gap * gap;
            }
            let mean = sum / f64::from(POINTS);
            let found = (squares / f64::from(POINTS) / (mean * mean) - 1.0).sqrt();
            assert!((mean - 1.0).abs() < 1e-3 && (found / cv - 1.0).abs() < 5e-3, "CV {cv}: mean {mean}, CV {found}");
        }
    }

    #[test]
    fn a_share_of_the_variance_lies_between_clients_and_the_whole_is_the_given_law() {
        let section = |between| Clients {
            clients: 400,
            spread: Ratio::new(0.0),
            prompt_between: Share::new(between),
            output_between: Share::new(0.0),
            ..toml::from_str("rate = '1 /s'").unwrap()
        };
        let sds = |between: f64| {
            let service = Entity::named("service.test");
            let mut population = Population::new(&section(between), service, Seed { seed: 3, replication: 0 });
            let mut logs = vec![Vec::new(); 400];
            for _ in 0..80_000 {
                let client = population.next.peek().unwrap().0.1;
                logs[client as usize].push(libm::log1p(f64::from(population.next(&(0.0..1.0)).1)));
            }
            let all: Vec<f64> = logs.iter().flatten().copied().collect();
            let moments = |values: &[f64]| {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                (mean, values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / values.len() as f64)
            };
            // A client of rare bursts may not have asked yet.
            let each: Vec<f64> = logs.iter().filter(|of| of.len() > 20).map(|of| moments(of).1).collect();
            let within = each.iter().sum::<f64>() / each.len() as f64;
            (moments(&all).1.sqrt(), 1.0 - within / moments(&all).1)
        };
        for between in [0.0, 0.5, 0.914] {
            let (sd, share) = sds(between);
            // 400 clients: the sd of the means is known to 1 / sqrt(800) = 3.5 %; three of those.
            assert!((sd / 1.36 - 1.0).abs() < 0.11, "sd of log prompts {sd}, of which {between} between");
            assert!((share - between).abs() < 0.06, "{share} between clients, asked {between}");
        }
    }
}
