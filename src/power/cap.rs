//! Cap to speed: what a power limit or a lock of the clocks does to each phase of the work.
//!
//! A table (`catalog::CAPS`) says how time and energy answer a cap of `c` x TDP. Under a **limit** a load that would draw less is
//! left alone; any other draws `energy / time` of what it drew, and never more than the cap. A **lock** holds the clocks where a
//! fully loaded GPU would meet the cap, and so every load draws less. Either way prefill and training take `time`, decode takes
//! `decode`. The **brake** drops the clocks as far as they go. Worked value (Zeus median): training at 600 W on a GPU of 700 W,
//! limited to 490 W, takes 1.063 of the time at 477 W.

use super::{NodePower, PerGpu, ServingPower, State};
use crate::catalog::{CapSheet, GpuSheet};
use crate::units::Watts;

/// How much longer a phase takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slowdown {
    /// Prefill and training; at least 1.
    pub prefill: f64,
    /// Decode; at least 1.
    pub decode: f64,
}

impl Slowdown {
    /// None.
    pub const NONE: Slowdown = Slowdown { prefill: 1.0, decode: 1.0 };

    fn and(self, other: Slowdown) -> Slowdown {
        Slowdown { prefill: self.prefill.max(other.prefill), decode: self.decode.max(other.decode) }
    }
}

/// One way of holding an accelerator down.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hold {
    slowdown: Slowdown,
    /// Of what is drawn without it.
    power: f64,
    ceiling: Watts,
    /// Leaves loads alone that draw less than the ceiling.
    spares_light: bool,
}

/// What holds the accelerators of a cluster down: a standing limit, and a lever of the power control on top.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Hand {
    limit: Option<Hold>,
    lever: Option<Hold>,
}

impl Hand {
    /// With a standing limit of `watts` on each GPU.
    #[must_use]
    pub fn limited(watts: Watts, sheet: &CapSheet, gpu: &GpuSheet) -> Hand {
        let share = watts.fraction_of(gpu.tdp);
        Hand { limit: Some(Hold::at(share, sheet, gpu, true)), lever: None }
    }

    /// And with the clocks locked where a fully loaded GPU draws `share` of its design power.
    #[must_use]
    pub fn locked(self, share: f64, sheet: &CapSheet, gpu: &GpuSheet) -> Hand {
        Hand { lever: Some(Hold::at(share, sheet, gpu, false)), ..self }
    }

    /// And with the clocks dropped to `share` of their maximum. Dynamic power is assumed to fall with the clock.
    #[must_use]
    pub fn braked(self, share: f64, gpu: &GpuSheet) -> Hand {
        let still = gpu.resident.as_f64();
        let ceiling = Watts::from_f64(still + (gpu.tdp.as_f64() - still) * share);
        let slow = Slowdown { prefill: 1.0 / share, decode: 1.0 / share };
        Hand { lever: Some(Hold { slowdown: slow, power: 1.0, ceiling, spares_light: false }), ..self }
    }

    /// How much longer training at `uncapped` takes.
    #[must_use]
    pub fn training_time(&self, uncapped: Watts) -> f64 {
        let felt = |hold: &Hold| if hold.spares(uncapped) { 1.0 } else { hold.slowdown.prefill };
        self.holds().map(|hold| felt(&hold)).fold(1.0, f64::max)
    }

    /// How much longer the phases of serving take.
    #[must_use]
    pub fn serving_time(&self, prefill: Watts) -> Slowdown {
        let felt = self.holds().filter(|hold| !hold.spares(prefill)).map(|hold| hold.slowdown);
        felt.fold(Slowdown::NONE, Slowdown::and)
    }

    /// What a GPU draws that would draw `uncapped`.
    #[must_use]
    pub fn power(&self, uncapped: Watts) -> Watts {
        let held = self.holds().filter(|hold| !hold.spares(uncapped));
        held.map(|hold| Watts::from_f64(uncapped.as_f64() * hold.power).min(hold.ceiling)).fold(uncapped, Watts::min)
    }

    /// A node that trains under it, for one GPU.
    #[must_use]
    pub fn training(&self, node: &NodePower) -> PerGpu {
        node.at(self.power(node.draw(State::Training).accelerator))
    }

    /// `power` under it.
    #[must_use]
    pub fn serving(&self, node: &NodePower, power: &ServingPower) -> ServingPower {
        power.held(node, |watts| self.power(watts))
    }

    fn holds(&self) -> impl Iterator<Item = Hold> {
        self.limit.into_iter().chain(self.lever)
    }
}

impl Hold {
    fn at(share: f64, sheet: &CapSheet, gpu: &GpuSheet, spares_light: bool) -> Hold {
        let factors = sheet.at(share);
        Hold {
            slowdown: Slowdown { prefill: factors.time.max(1.0), decode: factors.decode.max(1.0) },
            power: factors.energy / factors.time,
            ceiling: Watts::from_f64(gpu.tdp.as_f64() * share),
            spares_light,
        }
    }

    fn spares(&self, uncapped: Watts) -> bool {
        self.spares_light && uncapped <= self.ceiling
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{CAPS, GPUS, find};

    #[test]
    fn a_cap_slows_and_saves_as_its_table_says() {
        let (gpu, sheet) = (find(GPUS, "h100-sxm").unwrap(), find(CAPS, "zeus-median").unwrap());
        let limit = Hand::limited(Watts::new(490), sheet, gpu);
        assert_eq!(limit.training_time(Watts::new(600)), 1.063);
        assert_eq!(format!("{:.0}", limit.power(Watts::new(600)).as_f64()), "477");
        // A light load does not feel a limit, but a lock of the clocks.
        assert_eq!((limit.power(Watts::new(480)), limit.training_time(Watts::new(480))), (Watts::new(480), 1.0));
        let lock = Hand::default().locked(0.7, sheet, gpu);
        assert_eq!(format!("{:.1}", lock.power(Watts::new(480)).as_f64()), "381.6");
        // Decode runs on at half the design power, prefill takes 1.173 of its time.
        let half = Hand::limited(Watts::new(350), sheet, gpu);
        assert_eq!(half.serving_time(gpu.prefill), Slowdown { prefill: 1.173, decode: 1.0 });
        assert_eq!(half.power(Watts::new(546)), Watts::new(350), "never above the cap");
        // The harder of the two holds counts.
        let both = half.locked(0.8, sheet, gpu);
        assert_eq!((both.training_time(Watts::new(600)), both.power(Watts::new(600))), (1.173, Watts::new(350)));
        // 288 of 1,410 MHz: a fifth of the speed, and a fifth of the way from resident to the design power.
        let brake = Hand::default().braked(288.0 / 1_410.0, gpu);
        assert_eq!(
            format!("{:.2} {:.0}", brake.training_time(gpu.training), brake.power(gpu.training).as_f64()),
            "4.90 240"
        );
        assert_eq!(Hand::default().power(Watts::new(600)), Watts::new(600));
    }
}
