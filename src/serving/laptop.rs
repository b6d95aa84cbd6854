//! A device that answers one prompt at a time: the smallest service, one replica with a batch of 1.
//!
//! Decoding reads all weights for each token: tokens/s = efficiency x bandwidth / weight bytes; prompts are processed at the
//! sheet's rate. Power counts only above idle and only while it works: its owner's machine is on anyway. Worked value: base M4
//! class, Llama-3.1-8B at 4.5 bit: 17 tokens/s.

use super::{
    ArrivalPlan, Cell, Chat, Clientele, DevicePlan, Fidelity, Front, Lengths, Poisson, ReplicaOptions, Router,
    ScalePolicy, ScaleSection, ServicePlan, Source, StepModel,
};
use crate::catalog::{GpuSheet, Named, NodeSheet};
use crate::engine::{Entity, Process, Seed};
use crate::fault::FailureLaw;
use crate::ledger::{Book, Grid, ServiceFacts};
use crate::power::{NodePower, Priority, ServingPower, Slowdown};
use crate::trace::Request;
use crate::units::{BytesPerSecond, Dollars, FlopsPerSecond, PerSecond, Ratio, SimTime, Span, Watts};
use crate::world::NodeSet;
use std::sync::Arc;

/// A device and its owner's prompts.
#[derive(Debug, Clone)]
pub struct Laptop {
    cell: Cell,
}

impl Laptop {
    /// `device` with prompts of the lengths that `service` sees, at its owner's own rate, from the start of the run.
    #[must_use]
    pub fn new(device: &DevicePlan, service: &ServicePlan, seed: Seed, grid: Grid) -> Laptop {
        let plan = device.as_service(service, seed, grid.horizon);
        let source = Source::new(&plan, 0, seed);
        let mut cell = Cell::fed(Arc::new(plan), 0, seed, grid, source, Span::ZERO);
        cell.add_replica(SimTime::ZERO, SimTime::ZERO, NodeSet::default());
        cell.open(SimTime::ZERO);
        Laptop { cell }
    }

    /// Ends the run at `horizon`.
    #[must_use]
    pub fn close(self, horizon: SimTime) -> (Book, ServiceFacts) {
        self.cell.close(horizon)
    }
}

impl Process for Laptop {
    fn next_time(&self) -> SimTime {
        self.cell.next_time()
    }

    fn run_until(&mut self, edge: SimTime) -> u64 {
        self.cell.run_until(edge)
    }
}

impl DevicePlan {
    /// The device as a service of one replica; its name keeps its chance apart from every service's.
    fn as_service(&self, service: &ServicePlan, seed: Seed, horizon: SimTime) -> ServicePlan {
        let name = format!("device.{}", self.name);
        let weights = self.model.parameters * self.sheet.bytes_per_parameter.as_f64();
        let spare = (self.sheet.memory.count() as f64 - weights).max(0.0);
        ServicePlan {
            cluster: 0,
            opens_after: None,
            opens_at: Span::ZERO,
            gpus: 1,
            nodes: 0,
            options: ReplicaOptions::default(),
            step: self.step(weights),
            step_source: "data sheet".to_owned(),
            // A prompt is one chunk, whatever its length.
            token_budget: 1 << 20,
            max_batch: 1,
            kv_tokens: (spare / self.model.kv_bytes_per_token.count() as f64) as u64,
            start_up: Span::ZERO,
            power: self.power(),
            slowdown: Slowdown::NONE,
            levers: Vec::new(),
            power_priority: Priority::High,
            priority: 0,
            scale: ScaleSection { min: 1, max: 1, policy: ScalePolicy::Fixed {} },
            tick: service.tick,
            router: Router::default(),
            front: Front::default(),
            arrivals: self.prompts(&service.arrivals, seed.stream(Entity::named(&name), "prompt"), horizon),
            fidelity: Fidelity::default(),
            slo: None,
            prices: None,
            queue: u32::MAX,
            clientele: Clientele::default(),
            record: None,
            failures: FailureLaw::None,
            start_hour_of_week: service.start_hour_of_week,
            name,
        }
    }

    /// Time of a step of one sequence: either its prompt, or one token.
    fn step(&self, weight_bytes: f64) -> StepModel {
        let token_ms = 1e3 * weight_bytes / (self.sheet.efficiency.as_f64() * self.sheet.bandwidth.as_f64());
        let prompt_ms = 1e3 / self.sheet.prefill.as_f64();
        // A decoded token also counts as a token of the step.
        let (d_ms, b_ms) = if token_ms > prompt_ms { (prompt_ms, token_ms - prompt_ms) } else { (prompt_ms, 0.0) };
        StepModel { p0_ms: 0.0, d_ms, t0: 0, b_ms, c_ms: 0.0, e_ms: 0.0 }
    }

    /// The sheet's power at any work, none at rest, and no host: it is the host.
    fn power(&self) -> ServingPower {
        let none = Watts::ZERO;
        let gpu = GpuSheet {
            memory: self.sheet.memory,
            bandwidth: BytesPerSecond::new(0.0),
            peak_16bit: FlopsPerSecond::new(0.0),
            peak_8bit: FlopsPerSecond::new(0.0),
            tdp: self.sheet.power,
            idle: none,
            resident: none,
            training: none,
            checkpoint: none,
            decode: self.sheet.power,
            prefill: self.sheet.power,
        };
        let node = NodeSheet {
            gpu: Named::Inline(gpu.clone()),
            gpus: 1,
            host_idle: none,
            host_busy: none,
            rated: self.sheet.power,
            price: Dollars::from_nano(0),
        };
        let working = self.sheet.power;
        ServingPower::compile(&NodePower::new(&node, &gpu), 1, none, working, |_| working)
    }

    /// Poisson at the owner's rate, lengths as the service sees them.
    fn prompts(&self, service: &ArrivalPlan, mut stream: crate::engine::Stream, horizon: SimTime) -> ArrivalPlan {
        let rate = PerSecond::per_day(self.prompts_per_day);
        let plain = |prompt: &Lengths, output: &Lengths| {
            let (noise, burstiness) = (Ratio::new(0.0), Ratio::new(1.0));
            let (prompt, output) = (prompt.clone(), output.clone());
            ArrivalPlan::Chat(Chat { rate, noise, noise_time: Span::MINUTE, burstiness, weekly: false, prompt, output })
        };
        match service {
            ArrivalPlan::Chat(chat) => plain(&chat.prompt, &chat.output),
            ArrivalPlan::Poisson(poisson) => ArrivalPlan::Poisson(Poisson { rate, ..*poisson }),
            ArrivalPlan::Bursts(bursts) => plain(&bursts.prompt, &bursts.output),
            ArrivalPlan::Ramp(ramp) => plain(&ramp.prompt, &ramp.output),
            ArrivalPlan::FlashCrowd(crowd) => plain(&crowd.prompt, &crowd.output),
            ArrivalPlan::Clients(clients) => plain(&clients.prompt, &clients.output),
            ArrivalPlan::Reasoning(reasoning) => plain(&reasoning.prompt, &reasoning.output),
            // Its owner asks and is answered once.
            ArrivalPlan::Sessions(sessions) => plain(&sessions.prompt, &sessions.output),
            ArrivalPlan::Servegen(measured) => {
                let [prompt, output] = measured.lengths();
                plain(prompt, output)
            }
            ArrivalPlan::ClosedLoop(closed) => plain(&closed.prompt, &closed.output),
            ArrivalPlan::Trace(requests) => {
                let (mut at, mut cursor) = (SimTime::ZERO, requests.cursor());
                let mut draw = || {
                    at += Span::from_secs_f64(stream.exponential() / rate.as_f64());
                    let index = (stream.uniform() * requests.kept as f64) as u64;
                    cursor.get(index).filter(|_| at < horizon).map(|request| Request { at, ..request })
                };
                ArrivalPlan::Trace(std::iter::from_fn(&mut draw).collect::<Vec<_>>().into())
            }
        }
    }
}
