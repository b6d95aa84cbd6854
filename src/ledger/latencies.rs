//! Latencies of requests: three histograms with integer counts that add up in any order. A histogram is log-linear: each
//! octave of nanoseconds is cut into 128 equal buckets, so that a quantile, read at the middle of its bucket, is within
//! 1/256 = 0.4 % of a value recorded. Sums are exact, and so are means to the nanosecond.

use crate::units::{Share, Span};

/// Times to first token, times per output token and end-to-end times of the requests that completed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latencies {
    ttft: Histogram,
    tpot: Histogram,
    e2e: Histogram,
}

impl Latencies {
    /// Records one time from arrival to first output token.
    #[inline]
    pub fn record_ttft(&mut self, latency: Span) {
        self.ttft.record(latency);
    }

    /// Records one mean time between output tokens; a request with a single output token has none.
    #[inline]
    pub fn record_tpot(&mut self, latency: Span) {
        self.tpot.record(latency);
    }

    /// Records one time from arrival to last output token.
    #[inline]
    pub fn record_e2e(&mut self, latency: Span) {
        self.e2e.record(latency);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Latencies) {
        self.merge_scaled(other, 1);
    }

    /// Adds all of `other`, each value `weight` times.
    pub fn merge_scaled(&mut self, other: &Latencies, weight: u64) {
        self.ttft.merge_scaled(&other.ttft, weight);
        self.tpot.merge_scaled(&other.tpot, weight);
        self.e2e.merge_scaled(&other.e2e, weight);
    }

    /// Each value `count` times.
    pub(super) fn multiply(&mut self, count: u64) {
        for histogram in [&mut self.ttft, &mut self.tpot, &mut self.e2e] {
            histogram.buckets.iter_mut().for_each(|number| *number *= count);
            histogram.count *= count;
            histogram.nanos *= u128::from(count);
        }
    }

    /// Times to first token.
    #[must_use]
    pub fn ttft(&self) -> &Histogram {
        &self.ttft
    }

    /// Times per output token.
    #[must_use]
    pub fn tpot(&self) -> &Histogram {
        &self.tpot
    }

    /// End-to-end times.
    #[must_use]
    pub fn e2e(&self) -> &Histogram {
        &self.e2e
    }
}

/// Buckets of an octave, as a power of two.
const SUB_BITS: u32 = 7;

/// How often each latency occurred: at most 7,424 buckets (59 kB), as many as the longest needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    nanos: u128,
}

impl Histogram {
    /// Records one latency.
    #[inline]
    pub fn record(&mut self, latency: Span) {
        let index = bucket(latency.nanos());
        if index >= self.buckets.len() {
            self.grow(index);
        }
        self.buckets[index] += 1;
        self.count += 1;
        self.nanos += u128::from(latency.nanos());
    }

    /// Adds all of `other`, each value `weight` times.
    pub fn merge_scaled(&mut self, other: &Histogram, weight: u64) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs * weight);
        self.count += other.count * weight;
        self.nanos += other.nanos * u128::from(weight);
    }

    /// How many latencies were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean, rounded down to the nanosecond; none where nothing was recorded.
    #[must_use]
    pub fn mean(&self) -> Option<Span> {
        self.nanos.checked_div(u128::from(self.count)).map(|nanos| Span::from_nanos(nanos as u64))
    }

    /// The smallest latency that at least the part `p` of all do not exceed, within 0.4 %; none where nothing was recorded.
    #[must_use]
    pub fn quantile(&self, p: Share) -> Option<Span> {
        let rank = ((p.as_f64() * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = 0;
        let reaches = |&(_, &count): &(usize, &u64)| {
            below += count;
            below >= rank
        };
        self.buckets.iter().enumerate().find(reaches).map(|(index, _)| middle(index))
    }

    /// Room for `index`, by whole octaves.
    #[cold]
    fn grow(&mut self, index: usize) {
        self.buckets.resize((index | ((1 << SUB_BITS) - 1)) + 1, 0);
    }
}

/// The bucket of a value: exact below 128, then 128 to the octave.
#[inline]
fn bucket(nanos: u64) -> usize {
    let octave = 63 - (nanos | ((1 << SUB_BITS) - 1)).leading_zeros();
    let shift = octave.saturating_sub(SUB_BITS);
    ((u64::from(shift) << SUB_BITS) + (nanos >> shift)) as usize
}

/// The middle of a bucket.
fn middle(index: usize) -> Span {
    let index = index as u64;
    let octave = (index >> SUB_BITS).saturating_sub(1);
    let lowest = (index - (octave << SUB_BITS)) << octave;
    Span::from_nanos(lowest + ((1 << octave) >> 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|&nanos| histogram.record(Span::from_nanos(nanos)));
        histogram
    }

    #[test]
    fn buckets_are_consecutive() {
        let edges = [
            (0, 0),
            (1, 1),
            (127, 127),
            (128, 128),
            (255, 255),
            (256, 256),
            (257, 256),
            (258, 257),
            (511, 383),
            (512, 384),
        ];
        for (nanos, index) in edges {
            assert_eq!(bucket(nanos), index, "of {nanos} ns");
        }
        assert_eq!(bucket(u64::MAX), 7_423);
    }

    #[test]
    fn a_hundred_milliseconds_and_one_second() {
        let histogram = of(&[100_000_000, 100_000_000, 100_000_000, 1_000_000_000]);
        assert_eq!(histogram.mean(), Some(Span::from_nanos(325_000_000)));
        let median = histogram.quantile(Share::new(0.5)).expect("four values").as_secs_f64();
        assert!((median / 0.1 - 1.0).abs() < 0.004, "{median}");
        let slowest = histogram.quantile(Share::new(0.99)).expect("four values").as_secs_f64();
        assert!((slowest - 1.0).abs() < 0.004, "{slowest}");
        assert_eq!(Histogram::default().mean(), None);
        assert_eq!(Histogram::default().quantile(Share::new(0.5)), None);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_half_a_percent(mut values in prop::collection::vec(1_u64..u64::MAX >> 1, 1..60), p in 0.0_f64..1.0) {
            let read = of(&values).quantile(Share::new(p)).expect("at least one value").nanos() as f64;
            values.sort_unstable();
            let rank = ((p * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1] as f64;
            prop_assert!((read / exact - 1.0).abs() <= 0.005, "{} against {}", read, exact);
        }

        #[test]
        fn weights_repeat_values(values in prop::collection::vec(0_u64..1_u64 << 40, 0..20), weight in 0_u64..5) {
            let mut scaled = Histogram::default();
            scaled.merge_scaled(&of(&values), weight);
            let repeated: Vec<u64> = values.iter().flat_map(|&value| (0..weight).map(move |_| value)).collect();
            let repeated = of(&repeated);
            prop_assert_eq!((scaled.count(), scaled.mean()), (repeated.count(), repeated.mean()));
            let p90 = Share::new(0.9);
            prop_assert_eq!(scaled.quantile(p90), repeated.quantile(p90));
        }
    }
}
