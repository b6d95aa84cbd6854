//! Who asks, when and how much: what of a service's arrivals stands on its own.

use super::Check;
use crate::serving::{ArrivalsSection, Fidelity, Lengths, ServiceSection};
use crate::units::{PerSecond, Ratio, Span};

/// More requests than mankind sends; keeps gaps between them far above the clock's nanosecond.
pub(super) const FASTEST_ARRIVALS: PerSecond = PerSecond::new(1e7);

/// More clients than one table of them is meant for.
const MOST_CLIENTS: u32 = 100_000;

impl Check<'_> {
    /// True where what the service says of its arrivals can be; else complains.
    pub(super) fn arrivals_are_sound(&mut self, name: &str, section: &ServiceSection) -> bool {
        let (key, sound) = match &section.arrivals {
            ArrivalsSection::Chat(chat) => {
                let slow = self.noise_is_sound(name, "chat", chat.noise_time);
                let gaps = self.gaps_are_sound(name, "chat", chat.burstiness);
                ("chat", self.rate_is_sound(name, "chat", chat.rate) & slow & gaps)
            }
            ArrivalsSection::Poisson(poisson) => {
                let at = |key| ["service", name, "arrivals", "poisson", key];
                let prompt = self.is_positive(&at("prompt"), poisson.prompt);
                let output = self.is_positive(&at("output"), poisson.output);
                ("poisson", self.rate_is_sound(name, "poisson", poisson.rate) & prompt & output)
            }
            ArrivalsSection::Bursts(bursts) => {
                let at = |key| ["service", name, "arrivals", "bursts", key];
                let on = bursts.on > Span::ZERO || self.no(&at("on"), "must be above zero");
                let off = bursts.off > Span::ZERO || self.no(&at("off"), "must be above zero");
                let gaps = self.gaps_are_sound(name, "bursts", bursts.burstiness);
                ("bursts", self.rate_is_sound(name, "bursts", bursts.rate) & on & off & gaps)
            }
            ArrivalsSection::Ramp(ramp) => {
                let at = ["service", name, "arrivals", "ramp", "points"];
                let ascend = ramp.points.windows(2).all(|pair| pair[0].at < pair[1].at) && !ramp.points.is_empty()
                    || self.no(&at, "needs points in order of time, each later than the one before");
                let most = ramp
                    .points
                    .iter()
                    .map(|point| point.rate)
                    .fold(PerSecond::new(0.0), |most, rate| if rate > most { rate } else { most });
                let gaps = self.gaps_are_sound(name, "ramp", ramp.burstiness);
                ("ramp", ascend && self.is_a_rate(&at, most, FASTEST_ARRIVALS) & gaps)
            }
            ArrivalsSection::FlashCrowd(crowd) => {
                let at = |key| ["service", name, "arrivals", "flash_crowd", key];
                let times = crowd.times.as_f64() > 0.0 || self.no(&at("times"), "must be above zero");
                let fastest = crowd.rate.as_f64() * crowd.times.as_f64().max(1.0) <= FASTEST_ARRIVALS.as_f64()
                    || self.no(&at("times"), "makes more than 10000000 requests a second");
                let slow = self.noise_is_sound(name, "flash_crowd", crowd.noise_time);
                let gaps = self.gaps_are_sound(name, "flash_crowd", crowd.burstiness);
                ("flash_crowd", self.rate_is_sound(name, "flash_crowd", crowd.rate) & times & fastest & slow & gaps)
            }
            ArrivalsSection::Clients(clients) => {
                let at = |key| ["service", name, "arrivals", "clients", key];
                let some = self.clients_are_sound(name, "clients", clients.clients);
                let gaps = clients.burstiness.as_f64() > 0.0 || self.no(&at("burstiness"), "must be above zero");
                let slow = self.noise_is_sound(name, "clients", clients.noise_time);
                ("clients", self.rate_is_sound(name, "clients", clients.rate) & some & gaps & slow)
            }
            ArrivalsSection::Reasoning(reasoning) => {
                let some = self.clients_are_sound(name, "reasoning", reasoning.clients);
                let slow = self.noise_is_sound(name, "reasoning", reasoning.noise_time);
                ("reasoning", self.rate_is_sound(name, "reasoning", reasoning.rate) & some & slow)
            }
            ArrivalsSection::Sessions(sessions) => {
                let at = |key| ["service", name, "arrivals", "sessions", key];
                let turns = sessions.turns.is_none_or(|turns| (1.0..=1e6).contains(&turns.as_f64()))
                    || self.no(&at("turns"), "must lie between 1 and 1000000");
                let gap = sessions.gap > Span::ZERO || self.no(&at("gap"), "must be above zero");
                let context = self.is_positive(&at("context"), sessions.context);
                let slow = self.noise_is_sound(name, "sessions", sessions.noise_time);
                let gaps = self.gaps_are_sound(name, "sessions", sessions.burstiness);
                ("sessions", self.rate_is_sound(name, "sessions", sessions.rate) & turns & gap & context & slow & gaps)
            }
            ArrivalsSection::ClosedLoop(closed) => (
                "closed_loop",
                self.is_positive(&["service", name, "arrivals", "closed_loop", "clients"], closed.clients),
            ),
            ArrivalsSection::Servegen(_) => ("servegen", true),
            ArrivalsSection::Trace(_) => ("trace", true),
        };
        sound & self.lengths_are_sound(name, key, &section.arrivals) & self.is_exact_where_it_must(name, key, section)
    }

    fn rate_is_sound(&mut self, name: &str, kind: &str, rate: PerSecond) -> bool {
        self.is_a_rate(&["service", name, "arrivals", kind, "rate"], rate, FASTEST_ARRIVALS)
    }

    fn noise_is_sound(&mut self, name: &str, kind: &str, time: Span) -> bool {
        time > Span::ZERO || self.no(&["service", name, "arrivals", kind, "noise_time"], "must be above zero")
    }

    fn gaps_are_sound(&mut self, name: &str, kind: &str, burstiness: Ratio) -> bool {
        let at = ["service", name, "arrivals", kind, "burstiness"];
        let cv = burstiness.as_f64();
        (cv > 0.0 || self.no(&at, "must be above zero")) && (cv < 20.0 || self.no(&at, "must be below 20"))
    }

    fn clients_are_sound(&mut self, name: &str, kind: &str, clients: u32) -> bool {
        let at = ["service", name, "arrivals", kind, "clients"];
        self.is_positive(&at, clients) && (clients <= MOST_CLIENTS || self.no(&at, "is more than 100000"))
    }

    fn lengths_are_sound(&mut self, name: &str, kind: &str, arrivals: &ArrivalsSection) -> bool {
        let Some(lengths) = lengths(arrivals) else { return true };
        let mut sound = true;
        for (part, law) in ["prompt", "output"].into_iter().zip(lengths) {
            if let Some(complaint) = law.complaint() {
                sound &= self.no(&["service", name, "arrivals", kind, part], complaint);
            }
        }
        sound
    }

    /// Response tables know one kind of request that comes at a slowly changing rate.
    fn is_exact_where_it_must(&mut self, name: &str, kind: &str, section: &ServiceSection) -> bool {
        let smooth = matches!(kind, "chat" | "poisson" | "ramp" | "flash_crowd");
        let fluid = matches!(section.fidelity, Fidelity::Fluid {});
        if fluid && !smooth {
            let with = match kind {
                "trace" => "a trace".to_owned(),
                _ => format!("`{kind}`"),
            };
            let help = "take `fidelity` out, or generate the traffic with `chat`".to_owned();
            self.refuse(&["service", name, "fidelity"], format!("cannot be fluid with {with}"), help);
        }
        smooth || !fluid
    }
}

/// Laws of prompts and outputs, where the section has them.
fn lengths(arrivals: &ArrivalsSection) -> Option<[&Lengths; 2]> {
    match arrivals {
        ArrivalsSection::Chat(chat) => Some([&chat.prompt, &chat.output]),
        ArrivalsSection::Bursts(bursts) => Some([&bursts.prompt, &bursts.output]),
        ArrivalsSection::Ramp(ramp) => Some([&ramp.prompt, &ramp.output]),
        ArrivalsSection::FlashCrowd(crowd) => Some([&crowd.prompt, &crowd.output]),
        ArrivalsSection::Clients(clients) => Some([&clients.prompt, &clients.output]),
        ArrivalsSection::Reasoning(reasoning) => Some([&reasoning.prompt, &reasoning.output]),
        ArrivalsSection::Sessions(sessions) => Some([&sessions.prompt, &sessions.output]),
        ArrivalsSection::ClosedLoop(closed) => Some([&closed.prompt, &closed.output]),
        ArrivalsSection::Poisson(_) | ArrivalsSection::Servegen(_) | ArrivalsSection::Trace(_) => None,
    }
}
