//! IT watts to conversion losses, cooling, PUE and WUE.
//!
//! Site water = WUE x IT energy; water at the power plants belongs to the grid (`market`) and goes with facility energy. Worked
//! value: 1 kWh of IT, PUE 1.2, WUE 0.36 L/kWh and 4.52 L/kWh of the grid take 0.36 + 5.424 = 5.784 L.

mod constant;

pub use constant::Constant;

use crate::units::{Joules, Litres};
use schemars::JsonSchema;
use serde::Deserialize;

/// `facility = …` as written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Facility {
    /// The same PUE and WUE all year; PUE contains UPS and PDU losses.
    Constant(Constant),
}

impl Default for Facility {
    fn default() -> Facility {
        Facility::Constant(Constant::default())
    }
}

impl Facility {
    /// Energy that the facility adds to `it`.
    #[must_use]
    pub fn overhead(&self, it: Joules) -> Joules {
        match self {
            Facility::Constant(constant) => constant.overhead(it),
        }
    }

    /// Water that the site uses for `it`.
    #[must_use]
    pub fn water(&self, it: Joules) -> Litres {
        match self {
            Facility::Constant(constant) => constant.water(it),
        }
    }
}
