//! From the meter to the nodes: what transformers, UPS, PDUs, rectifiers and power supplies lose on the way.
//!
//! `lumped`: UPS and PDUs together lose `standing P_rated + load P` at an IT load of P. Worked values at 0.01 and 0.03: 4.43 % of
//! P at 70 % load, 6.33 % at 30 %. `chain`: stage by stage from the nodes outwards, each takes `(P_out + c) / efficiency`, with a
//! standing draw of c for each node. Worked value: 7,600 W behind a converter of 13 W and 0.98 and a rectifier of 17 W and 0.96
//! take 8,109.8 W.

use crate::units::{Joules, Share, Span, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `conversion = { lumped = {} }` or `conversion = { chain = { ups = { efficiency = 0.97 } } }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ConversionSection {
    /// UPS and PDUs in one linear form.
    Lumped(Lumped),
    /// Stage by stage, each loss in a column of its own.
    Chain(Chain),
}

impl Default for ConversionSection {
    fn default() -> ConversionSection {
        ConversionSection::Lumped(Lumped::default())
    }
}

/// Two terms.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lumped {
    /// Of the rated power, whatever the load.
    pub standing: Share,
    /// Of the load.
    pub load: Share,
}

impl Default for Lumped {
    fn default() -> Lumped {
        // UPS and PDU, assumed: 4.43 % of IT at 70 % load, 6.33 % at 30 %.
        Lumped { standing: Share::new(0.01), load: Share::new(0.03) }
    }
}

/// The stages between nodes and meter. One that is left out loses nothing, but for the two of the default.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chain {
    /// Power supplies of the nodes.
    pub psu: Option<Converter>,
    /// Rectifiers of the racks.
    pub rectifier: Option<Converter>,
    /// Power distribution units.
    pub pdu: Option<Converter>,
    /// Uninterruptible power supplies.
    pub ups: Option<Converter>,
    /// Transformers.
    pub transformer: Option<Converter>,
}

impl Default for Chain {
    fn default() -> Chain {
        let stage =
            |watts, efficiency| Some(Converter { standing: Watts::new(watts), efficiency: Share::new(efficiency) });
        // SIVOC and rectifier of Frontier: ExaDigiT/RAPS raps/power.py.
        Chain { psu: stage(13, 0.98), rectifier: stage(17, 0.96), pdu: None, ups: None, transformer: None }
    }
}

/// One stage.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Converter {
    /// What it draws by itself, for each node behind it.
    #[serde(default)]
    pub standing: Watts,
    /// Output over the rest of its input.
    pub efficiency: Share,
}

/// Where energy is lost between the meter and the nodes, the nodes' side first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Power supplies.
    Psu,
    /// Rectifiers.
    Rectifier,
    /// Power distribution units.
    Pdu,
    /// Uninterruptible power supplies; with `lumped`, they and the PDUs together.
    Ups,
    /// Transformers.
    Transformer,
}

impl Stage {
    /// Every stage, in the order of its discriminant.
    pub const ALL: [Stage; 5] = [Stage::Psu, Stage::Rectifier, Stage::Pdu, Stage::Ups, Stage::Transformer];
}

/// What each stage lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses([Joules; 5]);

impl Losses {
    /// What `stage` lost.
    #[must_use]
    pub fn of(&self, stage: Stage) -> Joules {
        self.0[stage as usize]
    }

    /// What all lost.
    #[must_use]
    pub fn total(&self) -> Joules {
        self.0.iter().copied().sum()
    }
}

impl std::ops::AddAssign for Losses {
    fn add_assign(&mut self, other: Losses) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

impl ConversionSection {
    /// What is lost on the way to `nodes` nodes of `rated` watts together that take `it` in `span`.
    #[must_use]
    pub fn losses(&self, it: Joules, span: Span, rated: Watts, nodes: u32) -> Losses {
        let mut losses = Losses::default();
        match self {
            ConversionSection::Lumped(lumped) => {
                let standing = (rated * span).scale(lumped.standing.as_f64());
                losses.0[Stage::Ups as usize] = standing + it.scale(lumped.load.as_f64());
            }
            ConversionSection::Chain(chain) => {
                let mut out = it;
                let stages = [chain.psu, chain.rectifier, chain.pdu, chain.ups, chain.transformer];
                for (lost, stage) in losses.0.iter_mut().zip(stages) {
                    let Some(Converter { standing, efficiency }) = stage else { continue };
                    let taken = (out + standing * u64::from(nodes) * span).scale(1.0 / efficiency.as_f64());
                    *lost = taken - out;
                    out = taken;
                }
            }
        }
        losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ups_and_pdus_lose_the_more_the_emptier_the_hall() {
        // 0.01 / load + 0.03.
        for (load, percent) in [(0.7, "4.43"), (0.3, "6.33")] {
            let rated = Watts::new(1_000_000);
            let it = (rated * Span::HOUR).scale(load);
            let lost = ConversionSection::default().losses(it, Span::HOUR, rated, 100);
            assert_eq!(format!("{:.2}", 100.0 * lost.total().fraction_of(it)), percent);
        }
    }

    #[test]
    fn a_chain_takes_more_at_each_stage() {
        let it = Watts::new(7_600) * Span::SECOND;
        let lost = ConversionSection::Chain(Chain::default()).losses(it, Span::SECOND, Watts::new(10_200), 1);
        // (7,600 + 13) / 0.98 = 7,768.37; (7,768.37 + 17) / 0.96 = 8,109.76.
        let watts = |stage| lost.of(stage).mean_over(Span::SECOND).as_f64();
        assert_eq!(format!("{:.1} {:.1}", watts(Stage::Psu), watts(Stage::Rectifier)), "168.4 341.4");
        assert_eq!(format!("{:.1}", (it + lost.total()).mean_over(Span::SECOND).as_f64()), "8109.8");
        assert_eq!(watts(Stage::Ups) + watts(Stage::Pdu) + watts(Stage::Transformer), 0.0);
    }
}
