//! Price and carbon by the hour.

use crate::units::{DollarsPerKwh, GramsPerKwh};

/// Price and carbon of one site's energy by hour of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Market {
    /// Energy price of each hour of the run; the last holds on.
    price: Vec<DollarsPerKwh>,
    /// Stack CO2 of each hour of the run; the last holds on.
    direct: Vec<GramsPerKwh>,
}

impl Market {
    /// One price and intensity all year.
    #[must_use]
    pub fn flat(price: DollarsPerKwh, direct: GramsPerKwh) -> Market {
        Market { price: vec![price], direct: vec![direct] }
    }

    /// Energy price in the `hour`-th hour of the run.
    #[must_use]
    pub fn price(&self, hour: usize) -> DollarsPerKwh {
        self.price[hour.min(self.price.len() - 1)]
    }

    /// Location-based carbon intensity in the `hour`-th hour of the run.
    #[must_use]
    pub fn direct(&self, hour: usize) -> GramsPerKwh {
        self.direct[hour.min(self.direct.len() - 1)]
    }
}
