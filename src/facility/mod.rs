//! IT watts to conversion losses, cooling, PUE and WUE.
//!
//! Site water = WUE x IT energy; water at the power plants belongs to the grid (`market`) and goes with facility energy. Worked
//! value: 1 kWh of IT, PUE 1.2, WUE 0.36 L/kWh and 4.52 L/kWh of the grid take 0.36 + 5.424 = 5.784 L.

mod constant;
mod conversion;
mod series;
mod weather;

pub use constant::Constant;
pub use conversion::{Chain, ConversionSection, Converter, Losses, Lumped, Stage};
pub use series::{SeriesSection, measured};
pub use weather::{Air, Design, Weather, WeatherSection, WeatherSeries};

use crate::units::{Joules, Litres, Span, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `facility = …` as written.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FacilitySection {
    /// The same PUE and WUE all year; PUE contains UPS and PDU losses.
    Constant(Constant),
    /// PUE and WUE by hour from a file; PUE contains UPS and PDU losses.
    Series(SeriesSection),
    /// A cooling design in the weather of a file; UPS and PDU losses apart.
    Weather(WeatherSection),
}

impl Default for FacilitySection {
    fn default() -> FacilitySection {
        FacilitySection::Constant(Constant::default())
    }
}

/// A site's facility through the hours of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Facility {
    /// The same all year.
    Constant(Constant),
    /// One value an hour of the run, at least one; the last holds on.
    Series(Vec<Constant>),
    /// A heat balance in the weather of each hour.
    Weather(Weather),
}

/// What a facility adds to the energy of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overhead {
    /// Conversion losses and cooling.
    pub energy: Joules,
    /// Conversion losses in it, where the model tells them apart.
    pub losses: Option<Losses>,
    /// Water that the site evaporates.
    pub water: Litres,
}

impl Facility {
    /// What it adds to `it`, drawn over `span` of the `hour`-th hour of the run.
    #[must_use]
    pub fn overhead(&self, it: Joules, hour: usize, span: Span) -> Overhead {
        let constant = match self {
            Facility::Constant(constant) => constant,
            Facility::Series(hours) => &hours[hour.min(hours.len() - 1)],
            Facility::Weather(weather) => return weather.overhead(it, hour, span),
        };
        Overhead { energy: constant.overhead(it), losses: None, water: constant.water(it) }
    }

    /// What the meter shows in the `hour`-th hour while the nodes draw `it`.
    #[must_use]
    pub fn meter(&self, it: Watts, hour: usize) -> Watts {
        let nodes = it * Span::SECOND;
        (nodes + self.overhead(nodes, hour, Span::SECOND).energy).mean_over(Span::SECOND)
    }

    /// Whether conversion losses are told apart from cooling.
    #[must_use]
    pub fn tells_losses(&self) -> bool {
        matches!(self, Facility::Weather(_))
    }

    /// What the meter shows in the worst hour, with nodes that draw `it`.
    #[must_use]
    pub fn worst(&self, it: Watts) -> Watts {
        let hours = match self {
            Facility::Constant(_) => 1,
            Facility::Series(hours) => hours.len(),
            Facility::Weather(weather) => weather.hours(),
        };
        let nodes = it * Span::HOUR;
        let meter = |hour| (nodes + self.overhead(nodes, hour, Span::HOUR).energy).mean_over(Span::HOUR);
        (0..hours).map(meter).max().unwrap_or(it)
    }
}
