//! Tariff and grid of a site, and the files and time zones that they name.

use super::Check;
use super::header::Header;
use crate::catalog::{CarbonSeries, GRIDS, GridSheet, PriceSeries, TARIFFS, TariffSheet, TimeOfUse};
use crate::market::{
    Contracts, ContractsSection, Given, MarginalSeries, Market, SupplySection, implausible_carbon, implausible_prices,
};
use crate::scenario::file::SiteSection;
use crate::units::Watts;
use jiff::tz::TimeZone;

/// The largest plant there is has 22,500 MW (Three Gorges).
const MOST_MEGAWATTS: f64 = 100_000.0;

impl Check<'_> {
    /// Price, carbon and water of a site by the hour.
    pub(super) fn market(&mut self, site: &str, section: &SiteSection, header: Option<&Header>) -> Option<Market> {
        let tariff = self.sheet(&["site", site, "tariff"], &section.tariff, TARIFFS, "tariffs");
        let grid = self.sheet(&["site", site, "grid"], &section.grid, GRIDS, "grids");
        let (tariff, grid, header) = (tariff?, grid?, header?);
        let mut given = Given::default();
        let contracts = match &section.contracts {
            Some(contracts) => Some(self.contracts(site, contracts, header)?),
            None => None,
        };
        let marginal = match &section.marginal {
            Some(marginal) => self.marginal(site, marginal, header)?,
            None => Vec::new(),
        };
        let sound = [self.tariff(site, &tariff, header, &mut given), self.grid(site, &grid, header, &mut given)];
        let compile =
            || Market::compile(header.start, header.hours(), &tariff, &grid, &given).with_contracts(contracts);
        let compile = || compile().with_marginal(&marginal);
        sound.iter().all(Option::is_some).then(compile)
    }

    fn tariff(&mut self, site: &str, tariff: &TariffSheet, header: &Header, given: &mut Given) -> Option<()> {
        match tariff {
            TariffSheet::Flat(_) => Some(()),
            TariffSheet::Series(file) => self.prices(&["site", site, "tariff", "series"], file, header, given),
            TariffSheet::TimeOfUse(table) => self.time_of_use(&["site", site, "tariff", "time_of_use"], table, given),
        }
    }

    fn prices(&mut self, at: &[&str], file: &PriceSeries, header: &Header, given: &mut Given) -> Option<()> {
        let dollars = file.usd_per_unit.as_f64();
        if dollars <= 0.0 || file.unit.is_dollars() != (dollars == 1.0) {
            let why = format!("cannot turn {} into dollars at a `usd_per_unit` of {dollars}", file.unit.name());
            let help = "say how many US dollars one unit of the file's currency is, such as usd_per_unit = 1.082";
            self.refuse(at, why, help.to_owned());
            return None;
        }
        let series = self.column(at, &file.path, "column", &file.column)?;
        if let Some(why) = implausible_prices(file, series.values()) {
            self.refuse(at, why, None);
            return None;
        }
        given.prices = self.covers(at, series.by_class_of_day(header.start, header.hours()))?;
        Some(())
    }

    fn time_of_use(&mut self, at: &[&str], table: &TimeOfUse, given: &mut Given) -> Option<()> {
        let Ok(zone) = TimeZone::get(&table.zone) else {
            let help = "use a name of the IANA time zone database, such as \"America/Los_Angeles\"".to_owned();
            self.refuse(&[at, &["zone"]].concat(), format!("names no time zone: {:?}", table.zone), help);
            return None;
        };
        for period in &table.periods {
            let months = period.months.iter().all(|month| (1..=12).contains(month));
            if !months || period.from > 23 || !(1..=24).contains(&period.to) || period.from == period.to {
                let why = format!("has a period in months {:?} from {} to {}", period.months, period.from, period.to);
                let help = "months are 1 to 12, `from` is 0 to 23 and `to` another hour from 1 to 24".to_owned();
                self.refuse(&[at, &["periods"]].concat(), why, help);
                return None;
            }
        }
        given.zone = Some(zone);
        Some(())
    }

    fn contracts(&mut self, site: &str, section: &ContractsSection, header: &Header) -> Option<Contracts> {
        let at = ["site", site, "contracts", "list"];
        let mut list = Vec::with_capacity(section.list.len());
        for contract in &section.list {
            let supply = match &contract.supply {
                SupplySection::Flat(power) => vec![*power],
                SupplySection::Series(file) => {
                    let series = self.column(&at, &file.path, "supply", &file.column)?;
                    if let Some(value) = series.values().iter().find(|value| !(0.0..=MOST_MEGAWATTS).contains(*value)) {
                        let why = format!("has a supply of {value} MW in {}", file.column);
                        self.refuse(&at, why, format!("a supply lies between 0 and {MOST_MEGAWATTS} MW"));
                        return None;
                    }
                    let laid = self.covers(&at, series.by_date(header.start, header.hours()))?;
                    laid.into_iter().map(|megawatts| Watts::from_f64(megawatts * 1e6)).collect()
                }
            };
            list.push((supply, contract.intensity));
        }
        Some(Contracts::new(section.matching, section.residual, list))
    }

    /// Marginal intensities of the run's hours.
    fn marginal(&mut self, site: &str, file: &MarginalSeries, header: &Header) -> Option<Vec<f64>> {
        let at = ["site", site, "marginal"];
        let series = self.column(&at, &file.path, "column", &file.column)?;
        if let Some(why) = implausible_carbon(series.values(), &[]) {
            self.refuse(&at, why, None);
            return None;
        }
        self.covers(&at, series.by_class_of_day(header.start, header.hours()))
    }

    fn grid(&mut self, site: &str, grid: &GridSheet, header: &Header, given: &mut Given) -> Option<()> {
        match grid {
            GridSheet::Flat(_) | GridSheet::Constant(_) | GridSheet::Monthly(_) => Some(()),
            GridSheet::Series(file) => self.intensities(&["site", site, "grid", "series"], file, header, given),
        }
    }

    fn intensities(&mut self, at: &[&str], file: &CarbonSeries, header: &Header, given: &mut Given) -> Option<()> {
        let direct = self.column(at, &file.path, "direct", &file.direct)?;
        let lca = match &file.lca {
            Some(column) => Some(self.column(at, &file.path, "lca", column)?),
            None => None,
        };
        let known = lca.as_ref().map_or(&[][..], |lca| lca.values());
        if let Some(why) = implausible_carbon(direct.values(), known) {
            self.refuse(at, why, None);
            return None;
        }
        given.direct = self.covers(at, direct.by_class_of_day(header.start, header.hours()))?;
        if let Some(lca) = lca {
            given.lca = self.covers(at, lca.by_class_of_day(header.start, header.hours()))?;
        }
        Some(())
    }
}
