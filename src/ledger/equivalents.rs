//! Energy and carbon in things that a person knows.

use super::accounts::{Accounts, Boundary, Sum};
use super::{Count, Facts};

/// CO2 of a car from New York to Boston: 215 miles at 22 miles a gallon and 8,887 g a gallon (EPA, epa.gov/greenvehicles, June
/// 2023; the arithmetic is ours).
const CAR_TRIP_KG: f64 = 87.0;

/// Electricity of a US home in a year, in kWh (EIA FAQ 97, 2020).
const HOME_YEAR_KWH: f64 = 10_715.0;

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// All training jobs.
    Training,
    /// All services.
    Inference,
}

/// What one side took inside B4, in things that a person knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivalents {
    /// Car trips from New York to Boston that emit as much, tailpipe against location-based stack CO2.
    pub car_trips: f64,
    /// Years of a US home's electricity.
    pub home_years: f64,
    /// Completed requests that emit as much as one car trip.
    pub requests_per_trip: Option<f64>,
}

impl Equivalents {
    /// Of `sum`, for which `requests` were completed.
    #[must_use]
    pub fn of(sum: &Sum, requests: u64) -> Equivalents {
        let car_trips = sum.carbon.kg() / CAR_TRIP_KG;
        Equivalents {
            car_trips,
            home_years: sum.energy.kwh() / HOME_YEAR_KWH,
            requests_per_trip: (requests > 0 && car_trips > 0.0).then(|| requests as f64 / car_trips),
        }
    }
}

impl Accounts {
    /// What `side` took, in things that a person knows; none without a tenant on it.
    #[must_use]
    pub fn equivalents(&self, side: Side) -> Option<Equivalents> {
        let (mut sum, mut requests, mut any) = (Sum::default(), 0, false);
        for (index, tenant) in self.tenants().iter().enumerate() {
            let mine = match &tenant.facts {
                Facts::Job(_) => side == Side::Training,
                Facts::Service(_) => side == Side::Inference,
                Facts::Workload(_) | Facts::Device(_) => false,
            };
            if mine {
                sum += *self.tenant(index).within(Boundary::B4);
                requests += tenant.book.counted(Count::Completed);
                any = true;
            }
        }
        any.then(|| Equivalents::of(&sum, requests))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{GramsCo2e, Joules};

    #[test]
    fn a_trip_and_a_home_are_themselves() {
        // 215 miles / 22 miles a gallon x 8.887 kg is 86.85 kg.
        assert!((215.0 / 22.0 * 8.887 - CAR_TRIP_KG).abs() < 0.2);
        let carbon = GramsCo2e::from_micro(870_000_000_000);
        let energy = Joules::from_pico(10_715 * 3_600_000 * 1_000_000_000_000);
        let all = Equivalents::of(&Sum { carbon, energy, ..Sum::default() }, 5_000);
        assert_eq!((all.car_trips, all.home_years, all.requests_per_trip), (10.0, 1.0, Some(500.0)));
        assert_eq!(Equivalents::of(&Sum::default(), 5).requests_per_trip, None);
    }
}
