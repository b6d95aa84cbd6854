//! Losses, cooling and water of each hour from one heat balance, so that PUE and WUE cannot contradict each other.
//!
//! With P the IT load of the hour, P_rated the site's rated IT power and T the outdoor temperatures: the UPS and PDUs lose
//! 0.01 P_rated + 0.03 P, the hall gives off the heat Q = P + losses, and a part f of it leaves without a compressor:
//!
//! | design | free part f | compressor C | fans, pumps | tower fans | litres of water for each kWh |
//! |---|---|---|---|---|---|
//! | `air` | (20 - dry) / 8 | (1-f) Q / (5.0 - 0.1 (dry - 25)) | 0.04 P | 0.015 Q | 0 |
//! | `tower` | (16 - wet) / 6 | (1-f) Q / (6.5 - 0.15 (wet - 18)) | 0.04 P | 0.015 Q | 1.47 x 1.25 x 0.85 (Q + C) |
//! | `adiabatic` | 1 - need (1 - use) | (1-f) Q / 4.5 | 0.05 P | 0 | 1.47 x 1.15 x (dry - 23) / 12 x use x Q |
//! | `liquid` | (32 - dry) / 4 | 0.8 (1-f) Q / 6.0 + 0.2 C of `air` | 0.028 P | 0.015 Q | 0 |
//!
//! with need = (dry - 23) / 4 and use = (25 - wet) / 2, fractions held to 0..1 and the coefficients of performance to 2.5..8 and
//! 4..9; the base of the latter is from HewlettPackard/dc-rl utils/dc_config.json, the other constants are ours.
//! PUE = (P + losses + C + fans) / P, WUE = water / P. Worked values at P = 0.7 P_rated: `air` at 10 C 1.0999 and at 30 C 1.3320;
//! `tower` at 25 C wet-bulb 1.2916 and 1.930 L/kWh.

use super::{ConversionSection, Losses, Overhead};
use crate::units::{Joules, LitresPerKwh, Span, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `facility = { weather = { design = "tower", series = { path = "weather.csv", dry_bulb = "db_c", wet_bulb = "wb_c" } } }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeatherSection {
    /// How heat leaves the hall.
    pub design: Design,
    /// The outdoor air of each hour, of any year: paired by month, day and hour (UTC).
    pub series: WeatherSeries,
    /// What is lost between the meter and the nodes.
    #[serde(default)]
    pub conversion: ConversionSection,
}

/// Where hourly temperatures stand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeatherSeries {
    /// Comma-separated file, first column `utc`; the path starts from the scenario's folder.
    pub path: String,
    /// Column of the dry-bulb temperature, in degrees Celsius.
    pub dry_bulb: String,
    /// Column of the wet-bulb temperature, in degrees Celsius.
    pub wet_bulb: String,
}

/// How heat leaves the hall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Air-cooled chiller and dry economiser.
    Air,
    /// Cooling tower and waterside economiser.
    Tower,
    /// Outside air, wetted when it is warm; 27 C at the inlet.
    Adiabatic,
    /// Four fifths of the heat into liquid at 40 C and dry coolers, the rest as `air`.
    Liquid,
}

/// Outdoor air of one hour, in degrees Celsius.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Air {
    dry_bulb: f64,
    wet_bulb: f64,
}

impl Air {
    /// Air of these temperatures; none where no weather station ever saw them (-89.2 to 56.7 C are the WMO's records), or where
    /// the wet bulb is the warmer, half a degree of rounding apart.
    #[must_use]
    pub fn new(dry_bulb: f64, wet_bulb: f64) -> Option<Air> {
        let earthly = (-90.0..=60.0).contains(&dry_bulb) && (-90.0..=60.0).contains(&wet_bulb);
        (earthly && wet_bulb <= dry_bulb + 0.5).then_some(Air { dry_bulb, wet_bulb })
    }
}

/// A site's cooling through the hours of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Weather {
    design: Design,
    conversion: ConversionSection,
    /// Rated power of all nodes, and how many they are.
    rated: Watts,
    nodes: u32,
    /// One an hour; the last holds on.
    air: Vec<Air>,
}

// 3.6 MJ of heat evaporate 3.6 / 2.45 = 1.47 kg of water.
const EVAPORATION: f64 = 1.47;
// Blow-down of a tower at five cycles of concentration, 5 / 4; share of its heat that leaves as vapour.
const BLOW_DOWN: f64 = 1.25;
const LATENT: f64 = 0.85;
// Water that wetted pads lose beside evaporation.
const PAD_BLEED: f64 = 1.15;
// Fans of towers and dry coolers, of the heat.
const TOWER_FANS: f64 = 0.015;

impl Weather {
    /// A site of `rated` nodes whose UPS and PDUs lose what is usual; at least one hour.
    #[must_use]
    pub fn new(design: Design, rated: Watts, air: Vec<Air>) -> Weather {
        assert!(!air.is_empty(), "a run has at least one hour of weather");
        Weather { design, conversion: ConversionSection::default(), rated, nodes: 0, air }
    }

    /// The same site with another way from the meter to its `nodes` nodes.
    #[must_use]
    pub fn converted(self, conversion: ConversionSection, nodes: u32) -> Weather {
        Weather { conversion, nodes, ..self }
    }

    /// Hours that differ.
    pub(super) fn hours(&self) -> usize {
        self.air.len()
    }

    /// What the facility adds to `it`, drawn over `span` of the `hour`-th hour. Nodes that draw nothing are off, and their UPS too.
    pub(super) fn overhead(&self, it: Joules, hour: usize, span: Span) -> Overhead {
        if it.is_zero() {
            return Overhead { losses: Some(Losses::default()), ..Overhead::default() };
        }
        let losses = self.conversion.losses(it, span, self.rated, self.nodes);
        let lost = losses.total();
        let heat = it + lost;
        let air = self.air[hour.min(self.air.len() - 1)];
        let compressor = heat.scale(self.design.compressor(air));
        let (fans, tower) = self.design.fans();
        let water = per_kwh(self.design.evaporation(air)) * (heat + compressor.scale(self.design.tower_heat()));
        Overhead { energy: lost + compressor + it.scale(fans) + heat.scale(tower), losses: Some(losses), water }
    }
}

impl Design {
    /// Compressor energy for each unit of heat.
    fn compressor(self, Air { dry_bulb, wet_bulb }: Air) -> f64 {
        let air = || (1.0 - fraction((20.0 - dry_bulb) / 8.0)) / (5.0 - 0.1 * (dry_bulb - 25.0)).clamp(2.5, 8.0);
        match self {
            Design::Air => air(),
            Design::Tower => {
                (1.0 - fraction((16.0 - wet_bulb) / 6.0)) / (6.5 - 0.15 * (wet_bulb - 18.0)).clamp(4.0, 9.0)
            }
            Design::Adiabatic => fraction((dry_bulb - 23.0) / 4.0) * (1.0 - pads(wet_bulb)) / 4.5,
            Design::Liquid => 0.8 * (1.0 - fraction((32.0 - dry_bulb) / 4.0)) / 6.0 + 0.2 * air(),
        }
    }

    /// Fans and pumps for each unit of IT energy; fans of towers and dry coolers for each unit of heat.
    fn fans(self) -> (f64, f64) {
        match self {
            Design::Air | Design::Tower => (0.04, TOWER_FANS),
            Design::Adiabatic => (0.05, 0.0),
            Design::Liquid => (0.028, TOWER_FANS),
        }
    }

    /// Litres for each kilowatt-hour of heat, and of what [`tower_heat`](Design::tower_heat) adds to it.
    fn evaporation(self, Air { dry_bulb, wet_bulb }: Air) -> f64 {
        match self {
            Design::Tower => EVAPORATION * BLOW_DOWN * LATENT,
            Design::Adiabatic => EVAPORATION * PAD_BLEED * fraction((dry_bulb - 23.0) / 12.0) * pads(wet_bulb),
            Design::Air | Design::Liquid => 0.0,
        }
    }

    /// Part of the compressor's energy that evaporates water, too.
    fn tower_heat(self) -> f64 {
        if self == Design::Tower { 1.0 } else { 0.0 }
    }
}

/// How far wetted pads can still cool the air.
fn pads(wet_bulb: f64) -> f64 {
    fraction((25.0 - wet_bulb) / 2.0)
}

fn fraction(value: f64) -> f64 {
    value.clamp(0.0, 1.0)
}

fn per_kwh(litres: f64) -> LitresPerKwh {
    LitresPerKwh::from_micro((litres * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::HourlySeries;
    use std::path::Path;

    /// PUE and WUE at `load` of the rated power.
    fn at(design: Design, load: f64, air: Air) -> (f64, f64) {
        let rated = Watts::new(1_000_000);
        let it = (rated * Span::HOUR).scale(load);
        let overhead = Weather::new(design, rated, vec![air]).overhead(it, 0, Span::HOUR);
        ((it + overhead.energy).kwh() / it.kwh(), overhead.water.as_f64() / it.kwh())
    }

    #[test]
    fn points_of_the_document() {
        // (design, dry-bulb, wet-bulb, PUE, WUE), worked out by hand from the formulas.
        for (design, dry, wet, pue, wue) in [
            (Design::Air, 10.0, 8.0, "1.0999", "0.000"),
            (Design::Air, 30.0, 20.0, "1.3320", "0.000"),
            (Design::Tower, 12.0, 10.0, "1.0999", "1.631"),
            (Design::Tower, 30.0, 25.0, "1.2916", "1.930"),
            (Design::Adiabatic, 35.0, 22.0, "1.0943", "1.765"),
            (Design::Adiabatic, 35.0, 26.0, "1.3263", "0.000"),
            (Design::Liquid, 10.0, 8.0, "1.0879", "0.000"),
            (Design::Liquid, 20.0, 15.0, "1.1259", "0.000"),
            (Design::Liquid, 35.0, 25.0, "1.2794", "0.000"),
        ] {
            let (p, w) = at(design, 0.7, Air::new(dry, wet).unwrap());
            assert_eq!((format!("{p:.4}"), format!("{w:.3}")), (pue.into(), wue.into()), "{design:?} {dry}/{wet}");
        }
    }

    #[test]
    fn air_that_nobody_breathed_is_refused() {
        for (dry, wet) in [(293.0, 290.0), (70.0, 50.0), (10.0, 12.0), (f64::NAN, 0.0)] {
            assert_eq!(Air::new(dry, wet), None, "{dry}/{wet}");
        }
    }

    /// The air of a city in 2022, where the measured series lies beside the checkout.
    fn year(city: &str) -> Option<Vec<Air>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/series/weather_2022_hourly.csv");
        if !path.exists() {
            println!("skipped: ../shared/data/series/weather_2022_hourly.csv is not there");
            return None;
        }
        let column = |suffix: &str| HourlySeries::read(&path, &format!("{city}_{suffix}")).expect("a readable series");
        let (dry, wet) = (column("db_c"), column("wb_c"));
        let air = dry.values().iter().zip(wet.values()).map(|(&dry, &wet)| Air::new(dry, wet).expect("earthly"));
        Some(air.collect())
    }

    #[test]
    fn a_year_in_seven_cities() {
        let cities = ["frankfurt", "toronto", "philadelphia", "san_jose", "dallas", "sydney", "singapore"];
        for (design, means) in [
            (Design::Air, [1.166, 1.157, 1.187, 1.179, 1.242, 1.206, 1.318]),
            (Design::Tower, [1.147, 1.147, 1.169, 1.159, 1.206, 1.192, 1.290]),
            (Design::Adiabatic, [1.094, 1.095, 1.098, 1.094, 1.113, 1.094, 1.254]),
            (Design::Liquid, [1.104, 1.100, 1.111, 1.106, 1.142, 1.109, 1.141]),
        ] {
            for (city, mean) in cities.into_iter().zip(means) {
                let Some(air) = year(city) else { return };
                let pue = air.iter().map(|&air| at(design, 0.7, air).0).sum::<f64>() / air.len() as f64;
                assert!((pue - mean).abs() <= 0.002, "{design:?} {city}: {pue:.4}, not {mean}");
            }
        }
    }

    #[test]
    fn water_and_the_worst_hour_of_a_year() {
        let cities = ["frankfurt", "toronto", "philadelphia", "san_jose", "dallas", "sydney", "singapore"];
        // Least and most annual WUE, and the worst hour's PUE, over the seven cities, computed apart from this program.
        for (design, least, most, worst) in [
            (Design::Air, "0.00", "0.00", "1.45"),
            (Design::Tower, "1.70", "1.93", "1.31"),
            (Design::Adiabatic, "0.02", "0.30", "1.33"),
            (Design::Liquid, "0.00", "0.00", "1.30"),
        ] {
            let (mut waters, mut hottest) = (Vec::new(), 0.0_f64);
            for city in cities {
                let Some(air) = year(city) else { return };
                let hours: Vec<(f64, f64)> = air.iter().map(|&air| at(design, 0.7, air)).collect();
                waters.push(hours.iter().map(|hour| hour.1).sum::<f64>() / hours.len() as f64);
                hottest = hours.iter().map(|hour| hour.0).fold(hottest, f64::max);
            }
            let range = (waters.iter().copied().fold(f64::MAX, f64::min), waters.iter().copied().fold(0.0, f64::max));
            let printed = [range.0, range.1, hottest].map(|value| format!("{value:.2}"));
            assert_eq!(printed, [least, most, worst], "{design:?}");
        }
    }

    #[test]
    fn a_half_empty_hall_is_less_efficient() {
        let Some(air) = year("philadelphia") else { return };
        for (load, mean) in [(0.3, 1.190), (0.5, 1.175), (0.9, 1.166)] {
            let pue = air.iter().map(|&air| at(Design::Tower, load, air).0).sum::<f64>() / air.len() as f64;
            assert!((pue - mean).abs() <= 0.002, "at {load}: {pue:.4}, not {mean}");
        }
    }
}
