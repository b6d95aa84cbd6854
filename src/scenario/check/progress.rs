//! How fast a training job runs: the one way in which its speed was given, at its scale, in phases, and what slows it.

use super::Check;
use crate::catalog::ModelSheet;
use crate::training::{Phase, PhaseSection, Progress, StepTime, TrainingSection};
use crate::units::{Span, Tokens};
use crate::world::ClusterPlan;

/// What the GPUs of a job can do, and what a token asks of them.
#[derive(Clone, Copy)]
struct Scale<'a> {
    gpus: u32,
    cluster: &'a ClusterPlan,
    /// 6 FLOPs a parameter and token: arXiv:2001.08361 section 2.1.
    flops: f64,
}

impl Check<'_> {
    /// The one way in which the speed was given; that of a `step_model` is still to be computed.
    pub(super) fn progress(&mut self, name: &str, section: &TrainingSection) -> Option<Progress> {
        let path = ["training", name];
        let modelled = section.step_model.as_ref().map(|model| StepTime { time: Span::HOUR, tokens: model.tokens });
        let ways = [
            ("mfu", section.mfu.map(Progress::Mfu)),
            ("tokens_per_second", section.tokens_per_second.map(Progress::TokensPerSecond)),
            ("step", section.step.map(Progress::Step)),
            ("ideal", section.ideal.map(Progress::Ideal)),
            ("step_model", modelled.map(Progress::Step)),
        ];
        if ways.iter().any(|(key, _)| !self.typed.sound(&["training", name, key])) {
            return None;
        }
        let given: Vec<(&str, Progress)> = ways.into_iter().filter_map(|(key, way)| Some((key, way?))).collect();
        match &given[..] {
            [] => {
                let help = "give one of mfu = 0.40, tokens_per_second = \"…/s\", step = { time = …, tokens = … } or ideal = \"… d\"";
                self.refuse(&path, "does not say how fast it trains", help.to_owned());
                None
            }
            [(key, progress)] => {
                let is_moving = is_moving(progress) || self.no(&["training", name, key], "must be above zero");
                is_moving.then(|| progress.clone())
            }
            [.., (last, _)] => {
                let keys: Vec<String> = given.iter().map(|(key, _)| format!("`{key}`")).collect();
                let message = format!("`{}` gives its speed in several ways: {}", path.join("."), keys.join(", "));
                self.complain(&["training", name, last], message, "keep exactly one of them".to_owned());
                None
            }
        }
    }

    /// The speed at the job's number of GPUs, phase by phase, and what slows it.
    pub(super) fn at_scale(
        &mut self,
        name: &str,
        section: &TrainingSection,
        cluster: &ClusterPlan,
        model: &ModelSheet,
        progress: Progress,
    ) -> Option<Progress> {
        let gpus = section.nodes * cluster.node.gpus;
        let scale = Scale { gpus, cluster, flops: 6.0 * model.active_parameters };
        let own = self.own_speed(name, section, scale, progress.clone())?;
        let mut phases = self.phases(name, section, scale, &progress)?;
        let taken: u64 = phases.iter().map(|phase| phase.tokens.count()).sum();
        let fine = [
            self.loss_has_an_effect(name, section),
            phases.is_empty()
                || section.ideal.is_none()
                || self
                    .no(&["training", name, "ideal"], "is the time of all tokens, which leaves nothing to the phases"),
            taken < section.tokens.count()
                || self.no(
                    &["training", name, "phases"],
                    "take all tokens: the job's own speed is that of the last phase",
                ),
        ];
        let rate = self.rate(name, section)?;
        if fine.contains(&false) {
            return None;
        }
        if phases.is_empty() && rate == 1.0 {
            return Some(own);
        }
        phases.push(Phase { tokens: Tokens::new(section.tokens.count() - taken), nodes: section.nodes, progress: own });
        Some(Progress::Phased { phases, rate })
    }

    fn own_speed(
        &mut self,
        name: &str,
        section: &TrainingSection,
        scale: Scale<'_>,
        progress: Progress,
    ) -> Option<Progress> {
        let mut own = at_loss(section, scale.gpus, progress);
        if let Some(model) = &section.step_model {
            let at = |key| ["training", name, "step_model", key];
            let fine = [
                model.tokens > Tokens::ZERO || self.no(&at("tokens"), "must be above zero"),
                model.pipeline > 0 || self.no(&at("pipeline"), "must be above zero"),
                model.micro_batches > 0 || self.no(&at("micro_batches"), "must be above zero"),
                model.virtual_stages > 0 || self.no(&at("virtual_stages"), "must be above zero"),
                (0.0..=1.0).contains(&model.loss) || self.no(&at("loss"), "must lie between 0 and 1"),
                (model.measured.gpus > 0
                    && model.measured.tokens != Some(Tokens::ZERO)
                    && model.measured.micro_batches != Some(0))
                    || self.no(&at("measured"), "needs `gpus`, `tokens` and `micro_batches` above zero"),
            ];
            if fine.contains(&false) {
                return None;
            }
            match model.step(scale.flops, scale.gpus, scale.cluster.gpu.peak_16bit) {
                Ok(time) => own = Progress::Step(StepTime { time, tokens: model.tokens }),
                Err(words) => {
                    self.refuse(&["training", name, "step_model"], words, None);
                    return None;
                }
            }
        }
        self.is_within_peak(name, section.tokens, scale, &own).then_some(own)
    }

    fn phases(
        &mut self,
        name: &str,
        section: &TrainingSection,
        scale: Scale<'_>,
        own: &Progress,
    ) -> Option<Vec<Phase>> {
        let path = ["training", name, "phases"];
        if !self.typed.sound(&path) {
            return None;
        }
        let mut phases = Vec::with_capacity(section.phases.len());
        for (index, phase) in section.phases.iter().enumerate() {
            let number = index + 1;
            let nodes = phase.nodes.unwrap_or(section.nodes);
            let scale = Scale { gpus: nodes.saturating_mul(scale.cluster.node.gpus), ..scale };
            let has_none = phase.mfu.is_none() && phase.tokens_per_second.is_none() && phase.step.is_none();
            let scales = section.mfu.is_some() || section.step_model.is_some();
            let given = if has_none && phase.nodes.is_some() && scales {
                Some(self.own_speed(name, section, scale, own.clone())?)
            } else {
                speed_of(phase).map(|progress| at_loss(section, scale.gpus, progress))
            };
            let Some(progress) = given else {
                let help =
                    "give exactly one of mfu, tokens_per_second and step; or only its `nodes`, where the job has mfu or step_model"
                        .to_owned();
                self.refuse(&path, format!("does not say in one way how fast phase {number} trains"), help);
                return None;
            };
            if phase.tokens == Tokens::ZERO || nodes == 0 || !is_moving(&progress) {
                self.refuse(&path, format!("has a phase {number} without tokens, nodes or speed"), None);
                return None;
            }
            if !self.is_within_peak(name, phase.tokens, scale, &progress) {
                return None;
            }
            phases.push(Phase { tokens: phase.tokens, nodes, progress });
        }
        Some(phases)
    }

    /// The product of all that slows the job.
    fn rate(&mut self, name: &str, section: &TrainingSection) -> Option<f64> {
        let mut product = 1.0;
        for (what, share) in &section.rate {
            let path = ["training", name, "rate", what.as_str()];
            if !(share.as_f64() > 0.0 || self.no(&path, "stops the job: it must be above zero")) {
                return None;
            }
            product *= share.as_f64();
        }
        self.typed.sound(&["training", name, "rate"]).then_some(product)
    }

    fn loss_has_an_effect(&mut self, name: &str, section: &TrainingSection) -> bool {
        let Some(loss) = section.scale_loss else { return true };
        let at = |key| ["training", name, "scale_loss", key];
        let has_mfu = section.mfu.is_some() || section.phases.iter().any(|phase| phase.mfu.is_some());
        let fine = [
            has_mfu || self.no(&at("gpus")[..3], "has no `mfu` to scale"),
            loss.gpus > 0 || self.no(&at("gpus"), "must be above zero"),
            (0.0..=1.0).contains(&loss.exponent) || self.no(&at("exponent"), "must lie between 0 and 1"),
        ];
        !fine.contains(&false)
    }

    /// True where the speed asks for no more than the GPUs' peak; else complains.
    fn is_within_peak(&mut self, name: &str, tokens: Tokens, scale: Scale<'_>, progress: &Progress) -> bool {
        let (key, tokens_per_second) = match progress {
            Progress::Mfu(_) | Progress::Phased { .. } => return true,
            Progress::TokensPerSecond(rate) => ("tokens_per_second", rate.as_f64()),
            Progress::Step(step) => ("step", step.tokens.count() as f64 / step.time.as_secs_f64()),
            Progress::Ideal(ideal) => ("ideal", tokens.count() as f64 / ideal.as_secs_f64()),
        };
        let asked = scale.flops * tokens_per_second;
        // 8-bit training reaches past the 16-bit peak, never past the 8-bit one.
        let gpu = &scale.cluster.gpu;
        let peak = f64::from(scale.gpus) * gpu.peak_8bit.as_f64().max(gpu.peak_16bit.as_f64());
        if asked <= peak {
            return true;
        }
        let message = format!("asks {:.0} % of the peak of its {} GPUs", 100.0 * asked / peak, scale.gpus);
        self.refuse(&["training", name, key], message, "use more nodes, or a lower speed".to_owned());
        false
    }
}

fn is_moving(progress: &Progress) -> bool {
    match progress {
        Progress::Mfu(mfu) => mfu.as_f64() > 0.0,
        Progress::TokensPerSecond(rate) => rate.as_f64() > 0.0,
        Progress::Step(step) => step.time > Span::ZERO && step.tokens > Tokens::ZERO,
        Progress::Ideal(ideal) => *ideal > Span::ZERO,
        Progress::Phased { .. } => true,
    }
}

/// The one speed of a phase; none where it has none or several.
fn speed_of(phase: &PhaseSection) -> Option<Progress> {
    match (phase.mfu, phase.tokens_per_second, phase.step) {
        (Some(mfu), None, None) => Some(Progress::Mfu(mfu)),
        (None, Some(rate), None) => Some(Progress::TokensPerSecond(rate)),
        (None, None, Some(step)) => Some(Progress::Step(step)),
        _ => None,
    }
}

/// A utilisation at the job's number of GPUs.
fn at_loss(section: &TrainingSection, gpus: u32, progress: Progress) -> Progress {
    match (section.scale_loss, progress) {
        (Some(loss), Progress::Mfu(mfu)) if loss.gpus > 0 => Progress::Mfu(loss.at(mfu, gpus)),
        (_, progress) => progress,
    }
}
