//! What the benchmarks share: CPU time as criterion's measurement, which a busy machine spoils little.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use std::time::Duration;

/// Time on the processor of the calling thread, from the kernel's scheduler statistics.
pub(crate) struct CpuTime;

impl CpuTime {
    fn now() -> Duration {
        // Yielding brings the kernel's account of this thread up to date.
        std::thread::yield_now();
        let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps statistics");
        let nanos = statistics.split(' ').next().and_then(|field| field.parse().ok());
        Duration::from_nanos(nanos.expect("the first field is nanoseconds on the processor"))
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;
    fn start(&self) -> Duration {
        CpuTime::now()
    }
    fn end(&self, start: Duration) -> Duration {
        CpuTime::now() - start
    }
    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }
    fn zero(&self) -> Duration {
        Duration::ZERO
    }
    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
