//! What a number means. The only room where units multiply or convert, and where a quantity is read from text ("80 GiB",
//! "700 W", "30 min", "$2.10/h", "0.35 kgCO2e/kWh") or printed. Amounts that must add up are integers; rates and model
//! coefficients are `f64`.

mod amounts;
mod quantity;
mod rates;
mod split;
mod time;

pub use amounts::{Bytes, Dollars, GpuTime, GramsCo2e, Joules, Litres, Tokens, Watts};
pub use quantity::{QuantityError, canonical};
pub use rates::{
    BytesPerSecond, DollarsPerHour, DollarsPerKw, DollarsPerKwh, FlopsPerSecond, GramsPerHour, GramsPerKwh,
    LitresPerKwh, PerSecond, Ratio, Share,
};
pub use split::Weights;
pub use time::{SimTime, Span};
