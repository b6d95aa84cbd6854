//! Which model turns a replica's batch into watts, and where its values come from.

use super::Check;
use crate::catalog::{PowerRow, RooflineRow, power_row, power_table, roofline_row, step_power_row};
use crate::power::{
    Logistic, NodePower, Piecewise, PowerSection, Range, Roofline, RooflineTerms, ServingPower, StepTime, between,
};
use crate::serving::{Deployment, MeanLengths, StepLoad, StepModel};
use crate::units::{PerSecond, Ratio, Share, Span, Watts};

/// A replica in the steady state that power models speak of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steady<'a> {
    pub on: &'a Deployment<'a>,
    pub step: &'a StepModel,
    pub lengths: MeanLengths,
    pub max_batch: u32,
}

impl Steady<'_> {
    /// Time of a step at a steady `batch` of at least one: as many sequences begin as end.
    fn step_time(&self, batch: f64) -> Span {
        let MeanLengths { prompt, output } = self.lengths;
        self.step.time(StepLoad {
            batch,
            cached: batch * (prompt + output / 2.0),
            prompt: batch * prompt / output.max(1.0),
            attended: 0.0,
        })
    }

    /// Compiled from `watts` by batch.
    fn compile(&self, node: &NodePower, watts: impl Fn(u32) -> Watts) -> ServingPower {
        let gpu = self.on.gpu;
        ServingPower::compile(node, self.max_batch, gpu.resident, gpu.prefill, watts)
    }

    fn logistic(&self, node: &NodePower, row: &PowerRow) -> ServingPower {
        ServingPower::measured(node, self.on.gpu, row, self.max_batch)
    }

    fn roofline(&self, node: &NodePower, row: &RooflineRow) -> (ServingPower, String) {
        let on = self.on;
        let experts = on.model.active_parameters < on.model.parameters;
        let outside = if experts { "; dense curve used for a mixture of experts" } else { "" };
        let roofline = Roofline {
            row,
            gpu: on.gpu,
            gpus: on.gpus,
            model: on.model,
            precision: on.precision,
            prompt: self.lengths.prompt,
            output: self.lengths.output.max(1.0),
        };
        let power = ServingPower::roofline(node, &roofline, self.max_batch, |batch| {
            let batch = f64::from(batch);
            PerSecond::new(batch / self.step_time(batch).as_secs_f64())
        });
        (power, format!("roofline fitted on {}{outside}", row.gpu))
    }

    /// From empty to full along `rise`, which goes from 0 to 1.
    fn range(&self, node: &NodePower, range: Range, rise: fn(f64) -> f64) -> (ServingPower, String) {
        let (low, high) = (range.low.unwrap_or(self.on.gpu.resident), range.high.unwrap_or(self.on.gpu.prefill));
        let full = f64::from(self.max_batch);
        let watts = |batch: u32| {
            let part = rise((f64::from(batch) / full).min(1.0));
            Watts::from_f64(low.as_f64() + (high.as_f64() - low.as_f64()) * part)
        };
        (self.compile(node, watts), format!("scenario, from {low} to {high}"))
    }
}

impl Check<'_> {
    /// Power of a replica by batch as `section` of the service says, and its source.
    pub(super) fn serving_power(
        &mut self,
        service: &str,
        section: &PowerSection,
        node: &NodePower,
        steady: &Steady<'_>,
    ) -> Option<(ServingPower, String)> {
        let (gpu, model, tp) = (steady.on.gpu_name, steady.on.model_name, steady.on.gpus);
        let at = |form| ["service", service, "power", form];
        match section {
            PowerSection::Measured {} => Some(match power_row(gpu, model, tp) {
                Some(row) => (steady.logistic(node, row), format!("measured, {}", row.source)),
                None => steady.roofline(node, roofline_row(gpu)),
            }),
            PowerSection::Table {} => {
                let Some(row) = power_table(gpu, model, tp) else { return self.unmeasured(&at("table"), steady) };
                let watts = |batch: u32| between(row.points, batch.max(1), libm::log2);
                Some((steady.compile(node, watts), format!("table, {}", row.source)))
            }
            PowerSection::Logistic(own) => self.logistic(service, own, node, steady),
            PowerSection::StepTime(own) => self.by_step_time(service, own, node, steady),
            PowerSection::Roofline(own) => self.roofline(service, own, node, steady),
            PowerSection::Piecewise(own) => self.piecewise(service, own, node, steady),
            PowerSection::Linear(range) => Some(steady.range(node, *range, |part| part)),
            PowerSection::SquareRoot(range) => Some(steady.range(node, *range, f64::sqrt)),
            PowerSection::Cubic(range) => Some(steady.range(node, *range, |part| part * part * part)),
        }
    }

    fn logistic(
        &mut self,
        service: &str,
        own: &Logistic,
        node: &NodePower,
        steady: &Steady<'_>,
    ) -> Option<(ServingPower, String)> {
        let known = power_row(steady.on.gpu_name, steady.on.model_name, steady.on.gpus);
        let ratio = |own: Option<Ratio>, row: fn(&PowerRow) -> f64| own.map(|own| own.as_f64()).or(known.map(row));
        let low = own.low.or(known.map(|row| row.low));
        let high = own.high.or(known.map(|row| row.high));
        let (mid, width) = (ratio(own.mid, |row| row.mid), ratio(own.width, |row| row.width));
        let at = ["service", service, "power", "logistic"];
        let (Some(low), Some(high), Some(mid), Some(width)) = (low, high, mid, width) else {
            return self.unmeasured(&at, steady);
        };
        let source = known.map_or("scenario", |row| row.source);
        let row = PowerRow { gpu: "", model: "", tp: 0, low, high, mid, width, error: Share::new(0.0), source };
        let fine = [
            width > 0.0 || self.no(&[&at[..], &["width"]].concat(), "must be above zero"),
            low <= high || self.no(&at, "has a `low` above its `high`"),
        ];
        (!fine.contains(&false)).then(|| (steady.logistic(node, &row), format!("logistic, {source}")))
    }

    fn by_step_time(
        &mut self,
        service: &str,
        own: &StepTime,
        node: &NodePower,
        steady: &Steady<'_>,
    ) -> Option<(ServingPower, String)> {
        let known = step_power_row(steady.on.gpu_name, steady.on.model_name, steady.on.gpus);
        let p0 = own.p0.or(known.map(|row| row.p0));
        let p1 = own.p1_w_ms.or(known.map(|row| row.p1_w_ms));
        let p2 = own.p2_w_ms.or(known.map(|row| row.p2_w_ms));
        let (Some(p0), Some(p1), Some(p2)) = (p0, p1, p2) else {
            return self.unmeasured(&["service", service, "power", "step_time"], steady);
        };
        let watts = |batch: u32| {
            let batch = f64::from(batch.max(1));
            let milliseconds = steady.step_time(batch).as_secs_f64() * 1e3;
            Watts::from_f64((p0.as_f64() + (p1 + p2 * batch) / milliseconds).min(steady.on.gpu.tdp.as_f64()))
        };
        let source = known.map_or("scenario", |row| row.source);
        Some((steady.compile(node, watts), format!("by step time, {source}")))
    }

    fn roofline(
        &mut self,
        service: &str,
        own: &RooflineTerms,
        node: &NodePower,
        steady: &Steady<'_>,
    ) -> Option<(ServingPower, String)> {
        let known = roofline_row(steady.on.gpu_name);
        let ratio = |own: Option<Ratio>, row: f64| own.map_or(row, |own| own.as_f64());
        let (s, k, g) = (ratio(own.s, known.s), ratio(own.k, known.k), ratio(own.g, known.g));
        let sound = s > 0.0 || self.no(&["service", service, "power", "roofline", "s"], "must be above zero");
        sound.then(|| steady.roofline(node, &RooflineRow { s, k, g, ..*known }))
    }

    fn piecewise(
        &mut self,
        service: &str,
        own: &Piecewise,
        node: &NodePower,
        steady: &Steady<'_>,
    ) -> Option<(ServingPower, String)> {
        let path = ["service", service, "power", "piecewise", "points"];
        let rising = own.points.windows(2).all(|pair| pair[0].batch < pair[1].batch);
        let fine = [
            !own.points.is_empty() || self.no(&path, "is empty: give at least one batch and its power"),
            rising || self.no(&path, "must be in order of their batches, each batch once"),
        ];
        if fine.contains(&false) {
            return None;
        }
        let points: Vec<(u32, f64)> = own.points.iter().map(|point| (point.batch, point.power.as_f64())).collect();
        Some((steady.compile(node, |batch| between(&points, batch, |batch| batch)), "scenario, piecewise".to_owned()))
    }

    /// Complains that nobody measured this deployment.
    fn unmeasured<T>(&mut self, path: &[&str], steady: &Steady<'_>) -> Option<T> {
        let on = steady.on;
        let message = format!("has no measurement of {} on {} x {}", on.model_name, on.gpus, on.gpu_name);
        let help = "use `measured`, `roofline` or `piecewise`; `logistic` and `step_time` also take values of your own"
            .to_owned();
        self.refuse(path, message, help);
        None
    }
}
