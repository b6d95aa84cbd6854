//! Power limits, the control that keeps them, and demand response.

use super::Check;
use super::header::Header;
use crate::catalog::{CAPS, CapSheet, GpuSheet};
use crate::cluster::CappingPlan;
use crate::power::{CappingSection, DemandResponse, Hand, Ladder, Lever, Window};
use crate::scenario::file::{ClusterSection, SiteSection};
use crate::units::{SimTime, Span, Watts};
use crate::world::ClusterPlan;

/// Windows of demand response that one run may have.
const MOST_WINDOWS: u64 = 100_000;

/// A limit of the site's meter and from when on it holds.
type Step = (SimTime, Watts);

impl Check<'_> {
    /// The power control of each site; `None` inside where nothing caps it, outside where something is wrong.
    pub(super) fn capping(
        &mut self,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
    ) -> Vec<Option<Option<CappingPlan>>> {
        self.at_each_site(clusters, |check, site, here| check.site_capping(site, here, header, clusters))
    }

    fn site_capping(
        &mut self,
        (name, section): (&str, &SiteSection),
        here: &[&ClusterPlan],
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
    ) -> Option<Option<CappingPlan>> {
        let limited = here.iter().find(|cluster| cluster.power.rack_limit.or(cluster.power.row_limit).is_some());
        let Some(capping) = &section.capping else {
            if let Some(cluster) = limited {
                let path = ["cluster", &cluster.name, "power"];
                let help = format!("add site.{name}.capping, such as capping = {{ polca = {{}} }}");
                self.refuse(&path, "limits racks or rows, which nothing keeps", help);
                return None;
            }
            if section.demand_response.is_some() {
                let help = format!("add site.{name}.capping, such as capping = {{ track = {{}} }}");
                self.refuse(&["site", name, "demand_response"], "asks for less power, which nothing keeps", help);
                return None;
            }
            return Some(None);
        };
        if section.power_limit.is_none() && (limited.is_none() || section.demand_response.is_some()) {
            let help = "add power_limit, what the meter may show".to_owned();
            self.refuse(&["site", name, "capping"], "has no limit to keep", help);
            return None;
        }
        let sound = self.levers_are_sound(name, capping, here);
        let (header, ladder) = (header?, Ladder::new(capping));
        let steps = match (&section.demand_response, section.power_limit) {
            (Some(response), Some(limit)) => self.steps(name, response, limit, header)?,
            _ => Vec::new(),
        };
        // POLCA reads row meters every 2 s; runs of more than a week look once a minute.
        let long = header.horizon > SimTime::ZERO + Span::DAY * 7;
        let tick = ladder.tick().unwrap_or(if long { Span::MINUTE } else { Span::from_secs(2) });
        let slow =
            tick >= Span::from_nanos(100_000_000) || self.no(&["site", name, "capping"], "has a `tick` below 0.1 s");
        self.note("site", name, "capping", format!("meters are read every {tick}"));
        let factors = clusters.iter().map(|cluster| cluster.as_ref().map_or(Vec::new(), |plan| factors(&ladder, plan)));
        let factors = factors.collect();
        let hosts = clusters.iter().map(|cluster| cluster.as_ref().map_or(0.0, host_slope)).collect();
        (sound && slow).then_some(Some(CappingPlan { ladder, tick, limit: section.power_limit, steps, factors, hosts }))
    }

    fn levers_are_sound(&mut self, site: &str, section: &CappingSection, clusters: &[&ClusterPlan]) -> bool {
        let path = ["site", site, "capping"];
        let (ordered, brake, release) = match section {
            CappingSection::Polca(polca) => {
                let falling = polca.first < polca.second && polca.low_second <= polca.low_first;
                (falling, polca.brake_clock, polca.release < polca.first)
            }
            CappingSection::Track(track) => {
                let falling = !track.caps.is_empty() && track.caps.windows(2).all(|pair| pair[0] > pair[1]);
                (falling, track.brake_clock, track.release < track.target)
            }
        };
        let fine = [
            ordered || self.no(&path, "must go from the mild to the hard: thresholds rise, clocks fall"),
            release || self.no(&path, "takes its levers back below zero power"),
            brake.as_f64() > 0.0 || self.no(&path, "has a brake that stops all clocks: give `brake_clock` above zero"),
        ];
        let hardest = Ladder::new(section).levers().iter().fold(1.0_f64, |hardest, lever| match lever {
            Lever::Lock(share) => hardest.min(*share),
            Lever::Brake(_) => hardest,
        });
        let deep = clusters.iter().find(|cluster| cluster.response.lowest() > hardest + 1e-12);
        if let Some(cluster) = deep {
            let lowest = cluster.response.lowest();
            let why = format!(
                "locks clocks at {hardest}, below {lowest}, the lowest that cluster.{} was measured at",
                cluster.name
            );
            self.refuse(&path, why, None);
        }
        !fine.contains(&false) && deep.is_none()
    }

    /// From when on the site may draw how much.
    fn steps(&mut self, site: &str, response: &DemandResponse, limit: Watts, header: &Header) -> Option<Vec<Step>> {
        match response {
            DemandResponse::Windows(windows) => self.windows(site, windows, limit, header),
            DemandResponse::Signal(signal) => {
                let at = ["site", site, "demand_response", "signal"];
                let series = self.column(&at, &signal.path, "column", &signal.column)?;
                let hours = self.covers(&at, series.by_date(header.start, header.hours()))?;
                let possible = hours.iter().all(|kilowatts| (0.0..=1e7).contains(kilowatts));
                let kilowatts = possible || self.no(&at, "must say between 0 and 10,000,000 kW in every hour");
                let asked = hours.into_iter().map(|kilowatts| Watts::from_f64(kilowatts * 1e3).min(limit));
                let steps = asked.enumerate().map(|(hour, watts)| (SimTime::ZERO + Span::HOUR * hour as u64, watts));
                kilowatts.then(|| changes(steps.collect(), limit))
            }
        }
    }

    fn windows(&mut self, site: &str, windows: &[Window], limit: Watts, header: &Header) -> Option<Vec<Step>> {
        let path = ["site", site, "demand_response", "windows"];
        let fine = windows.iter().all(|window| {
            let again =
                window.every.is_none_or(|every| every > Span::ZERO && every >= window.to.saturating_sub(window.from));
            window.from < window.to && again
        });
        if !fine {
            return self.no(&path, "must end after they begin, and come again after they end").then(Vec::new);
        }
        let horizon = header.horizon.since(SimTime::ZERO);
        let mut all = Vec::new();
        for window in windows {
            let times = window.every.map_or(1, |every| horizon.saturating_sub(window.from).nanos() / every.nanos() + 1);
            if times > MOST_WINDOWS {
                return self.no(&path, "come again more than 100000 times").then(Vec::new);
            }
            let every = window.every.unwrap_or_default();
            all.extend((0..times).map(|time| (window.from + every * time, window.to + every * time, window.limit)));
        }
        let mut edges: Vec<Span> = all.iter().flat_map(|&(from, to, _)| [from, to]).collect();
        edges.sort_unstable();
        edges.dedup();
        let asked = |at: Span| {
            let open = all.iter().filter(|&&(from, to, _)| from <= at && at < to).map(|&(.., watts)| watts);
            open.fold(limit, Watts::min)
        };
        Some(changes(edges.into_iter().map(|at| (SimTime::ZERO + at, asked(at))).collect(), limit))
    }

    /// True where the limits of a cluster are possible; else complains.
    pub(super) fn limits_are_sound(
        &mut self,
        name: &str,
        section: &ClusterSection,
        gpu: &GpuSheet,
        sheet: &CapSheet,
    ) -> bool {
        let at = |key| ["cluster", name, "power", key];
        let rising = sheet.points.windows(2).all(|pair| pair[0].cap < pair[1].cap);
        let slower = sheet.points.iter().all(|point| point.time.as_f64() >= 1.0 && point.decode.as_f64() >= 1.0);
        let within = section.power.gpu_limit.is_none_or(|limit| limit <= gpu.tdp);
        let measured = section.power.gpu_limit.is_none_or(|limit| limit.fraction_of(gpu.tdp) >= sheet.lowest() - 1e-12);
        let fine = [
            (!sheet.points.is_empty() && rising && slower)
                || self.no(&at("response"), "needs points in order of their caps, none of which makes work faster"),
            within || self.no(&at("gpu_limit"), &format!("is above the design power of {}", gpu.tdp)),
            measured || {
                let lowest = Watts::from_f64(gpu.tdp.as_f64() * sheet.lowest());
                self.no(&at("gpu_limit"), &format!("is below {lowest}, the lowest that `response` was measured at"))
            },
        ];
        !fine.contains(&false)
    }

    /// The table of answers that a cluster names.
    pub(super) fn response(&mut self, name: &str, section: &ClusterSection) -> Option<CapSheet> {
        self.sheet(&["cluster", name, "power", "response"], &section.power.response, CAPS, "caps")
    }

    /// What holds the accelerators of `cluster`: first its standing limit, then that with each lever of its site; empty where
    /// there is neither.
    pub(super) fn hands(&self, cluster: &ClusterPlan) -> Vec<Hand> {
        let site = self.typed.file.site.values().nth(cluster.site);
        let ladder = site.and_then(|site| site.capping.as_ref()).map(Ladder::new);
        if ladder.is_none() && cluster.power.gpu_limit.is_none() {
            return Vec::new();
        }
        let levers = ladder.iter().flat_map(|ladder| ladder.levers().iter().map(|lever| hand(cluster, Some(*lever))));
        [hand(cluster, None)].into_iter().chain(levers).collect()
    }
}

/// A standing limit, and a lever on top.
fn hand(cluster: &ClusterPlan, lever: Option<Lever>) -> Hand {
    let (sheet, gpu) = (&cluster.response, &cluster.gpu);
    let standing = cluster.power.gpu_limit.map_or(Hand::default(), |watts| Hand::limited(watts, sheet, gpu));
    match lever {
        None => standing,
        Some(Lever::Lock(share)) => standing.locked(share, sheet, gpu),
        Some(Lever::Brake(share)) => standing.braked(share, gpu),
    }
}

/// Of what its accelerators draw without a lever, what they draw at each level, training as the example.
fn factors(ladder: &Ladder, cluster: &ClusterPlan) -> Vec<f64> {
    let draw = |lever| hand(cluster, lever).power(cluster.gpu.training).as_f64().max(f64::MIN_POSITIVE);
    let free = draw(None);
    [1.0].into_iter().chain(ladder.levers().iter().map(|lever| draw(Some(*lever)) / free)).collect()
}

/// Watts that a host draws more for each watt of its accelerators, between idle and training.
fn host_slope(cluster: &ClusterPlan) -> f64 {
    let accelerators = f64::from(cluster.node.gpus) * cluster.gpu.training.saturating_sub(cluster.gpu.idle).as_f64();
    cluster.node.host_busy.saturating_sub(cluster.node.host_idle).as_f64() / accelerators.max(f64::MIN_POSITIVE)
}

/// The steps at which the limit, first `limit`, changes.
fn changes(steps: Vec<Step>, limit: Watts) -> Vec<Step> {
    let mut before = limit;
    steps.into_iter().filter(|&(_, watts)| std::mem::replace(&mut before, watts) != watts).collect()
}
