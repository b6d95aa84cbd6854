//! Time, order, logical processes, windows and random streams. Knows no GPU, watt or dollar.
//!
//! Control decides at instants; logical processes advance in between, in parallel. Start reading at [`run()`]; a process keeps
//! its events in a [`Calendar`] (or in [`Slots`], where each entity has one) in the order of their [`EventKey`], and draws
//! from a [`Stream`].

mod calendar;
mod firsts;
mod key;
mod radix;
mod run;
mod slots;
mod stream;
pub mod variate;

pub use calendar::Calendar;
pub use firsts::FIRSTS;
pub use key::EventKey;
pub use radix::RadixHeap;
pub use run::{Control, Process, RunStats, run};
pub use slots::Slots;
pub use stream::{Entity, Seed, Stream};
pub use variate::{QuantileTable, gamma_quantile, lognormal, normal_quantile, weibull};
