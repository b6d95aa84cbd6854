//! Hourly files of sites: weather, PUE and WUE, laid over the hours of the run. What no such file can say (kelvin for Celsius)
//! is refused here, with the first hour that cannot be.

use super::Check;
use super::header::Header;
use crate::facility::{Air, ConversionSection, Facility, SeriesSection, Weather, WeatherSection, measured};
use crate::trace::{HourlySeries, Uncovered};
use crate::units::Watts;

impl Check<'_> {
    /// The column that the value at `path` names, of the file that `path`'s sibling `path` names; entered once among the inputs.
    pub(super) fn column(&mut self, section: &[&str], file: &str, key: &str, column: &str) -> Option<HourlySeries> {
        let at = if self.typed.was_written(&[section, &[key]].concat()) { key } else { "path" };
        let read = |path: &std::path::Path| HourlySeries::read(path, column);
        let series = self.data(&[section, &[at]].concat(), file, read, HourlySeries::hash)?;
        let input = self.inputs.pop().expect("a file that was read is an input");
        if !self.inputs.contains(&input) {
            self.inputs.push(input);
        }
        Some(series)
    }

    /// What a series gives for the hours of the run; complains at `section` where it does not cover them.
    pub(super) fn covers<T>(&mut self, section: &[&str], laid: Result<T, Uncovered>) -> Option<T> {
        laid.map_err(|why| self.refuse(section, why, None)).ok()
    }

    /// A facility whose PUE and WUE a file gives by hour.
    pub(super) fn measured_facility(
        &mut self,
        site: &str,
        section: &SeriesSection,
        header: &Header,
    ) -> Option<Facility> {
        let at = ["site", site, "facility", "series"];
        let pue = self.column(&at, &section.path, "pue", &section.pue)?;
        let wue = self.column(&at, &section.path, "wue", &section.wue)?;
        let pue = self.covers(&at, pue.by_date(header.start, header.hours()))?;
        let wue = self.covers(&at, wue.by_date(header.start, header.hours()))?;
        let mut hours = Vec::with_capacity(pue.len());
        for (pue, wue) in pue.into_iter().zip(wue) {
            let Some(hour) = measured(pue, wue) else {
                let why = format!("says PUE {pue} and WUE {wue} L/kWh, which no facility has");
                let help = "PUE lies between 1 and 5, WUE between 0 and 20 L/kWh of IT energy".to_owned();
                self.refuse(&at, why, help);
                return None;
            };
            hours.push(hour);
        }
        Some(Facility::Series(hours))
    }

    /// A cooling design in the weather of a file.
    pub(super) fn weather(
        &mut self,
        site: &str,
        section: &WeatherSection,
        (rated, nodes): (Watts, u32),
        header: &Header,
    ) -> Option<Facility> {
        let at = ["site", site, "facility", "weather", "series"];
        let series = &section.series;
        let dry = self.column(&at, &series.path, "dry_bulb", &series.dry_bulb)?;
        let wet = self.column(&at, &series.path, "wet_bulb", &series.wet_bulb)?;
        let dry = self.covers(&at, dry.by_date(header.start, header.hours()))?;
        let wet = self.covers(&at, wet.by_date(header.start, header.hours()))?;
        let mut hours = Vec::with_capacity(dry.len());
        for (dry, wet) in dry.into_iter().zip(wet) {
            let Some(air) = Air::new(dry, wet) else {
                let why = format!("says {dry} C dry-bulb and {wet} C wet-bulb, which no place has");
                let help = "temperatures are in degrees Celsius, and the wet bulb is never the warmer".to_owned();
                self.refuse(&at, why, help);
                return None;
            };
            hours.push(air);
        }
        let weather = Weather::new(section.design, rated, hours).converted(section.conversion, nodes);
        self.conversion_is_sound(site, &section.conversion).then_some(Facility::Weather(weather))
    }
    fn conversion_is_sound(&mut self, site: &str, conversion: &ConversionSection) -> bool {
        let ConversionSection::Chain(chain) = conversion else { return true };
        let stages = [
            ("psu", chain.psu),
            ("rectifier", chain.rectifier),
            ("pdu", chain.pdu),
            ("ups", chain.ups),
            ("transformer", chain.transformer),
        ];
        let mut sound = true;
        for (key, stage) in stages {
            let path = ["site", site, "facility", "weather", "conversion", "chain", key, "efficiency"];
            let works = stage.is_none_or(|stage| stage.efficiency.as_f64() >= 0.5);
            sound &= works || self.no(&path, "is below 0.5: more is lost than arrives");
        }
        sound
    }
}
