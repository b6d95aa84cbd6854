//! Services.

use super::Check;
use super::arrivals::FASTEST_ARRIVALS;
use super::fidelity::{fidelity_note, recorded_share};
use super::header::Header;
use super::names::sheet_name;
use super::power::Steady;
use crate::catalog::{ModelSheet, step_row};
use crate::engine::Seed;
use crate::fault::FaultPlan;
use crate::power::{NodePower, Slowdown};
use crate::serving::{
    ArrivalPlan, ArrivalsSection, Deployment, Fidelity, HeldServing, MeasuredClients, Opens, PoolPlan, Precision,
    ReplicaOptions, ReplicaSection, ScalePolicy, Servegen, ServicePlan, ServiceSection, StepModel, StepSection,
    Touched, TraceSection, mean_lengths,
};
use crate::trace::{ColumnMap, RequestTrace, ServeGen};
use crate::units::{Bytes, Dollars, SimTime, Span};
use crate::world::ClusterPlan;

impl Check<'_> {
    /// The checked services; one that is wrong is `None`.
    pub(super) fn services(
        &mut self,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
        failures: &[Option<FaultPlan>],
    ) -> Vec<Option<ServicePlan>> {
        let typed = self.typed;
        let services = typed.file.service.iter();
        services.map(|(name, section)| self.service(name, section, header, clusters, failures)).collect()
    }

    fn service(
        &mut self,
        name: &str,
        section: &ServiceSection,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
        failures: &[Option<FaultPlan>],
    ) -> Option<ServicePlan> {
        let at = |key| ["service", name, key];
        let index = self.section(&at("cluster"), "cluster", &section.cluster);
        let model = self.model(&at("model"), &section.model);
        let opens_after = match &section.opens {
            Some(Opens::After(job)) => Some(self.section(&["service", name, "opens", "after"], "training", job)),
            _ => None,
        };
        let sound = self.service_is_sound(name, section, header);
        let cluster = index.and_then(|index| clusters[index].as_ref());
        let nodes = cluster.and_then(|cluster| self.replica_nodes(name, &section.replica, cluster));
        let fits = match (cluster, nodes) {
            (Some(cluster), Some(nodes)) => self.replicas_fit(name, section, nodes, cluster),
            _ => false,
        };
        let options = self.options(name, section);
        let recorded = self.record_is_sound(name, section);
        let clientele = self.clientele(name, section);
        let routed = self.routes_are_sound(name, section);
        let arrivals = self.arrivals(name, &section.arrivals);
        if !sound || !recorded || !fits || !routed || !self.typed.sound(&["service", name]) {
            return None;
        }
        let (index, cluster, nodes, model, header, arrivals) = (index?, cluster?, nodes?, model?, header?, arrivals?);
        let clientele = clientele?;
        let on = deployment(section, cluster, &model);
        let kv_tokens = self.cache(name, section, &on)?;
        if !self.requests_fit(name, &section.arrivals, kv_tokens) {
            return None;
        }
        let node = NodePower::new(&cluster.node, &cluster.gpu);
        let (step, mut step_source) = step_model(section.replica.step.as_ref(), &on);
        // Coefficients that were measured hold their experts.
        let experts = if on.is_measured(section.replica.step.as_ref()) { None } else { Touched::of(&model) };
        if experts.is_some() {
            step_source.push_str(", experts as they are touched");
        }
        let pools = section.pools.map(|section| PoolPlan { section, per_token: model.kv_bytes_per_token });
        let options = ReplicaOptions { experts, pools, ..options? };
        let steady =
            Steady { on: &on, step: &step, lengths: mean_lengths(&arrivals), max_batch: section.replica.max_batch };
        let (power, power_source) = self.serving_power(name, &section.power, &node, &steady)?;
        let hands = self.hands(cluster);
        if !self.fidelity_is_sound(name, section, cluster) {
            return None;
        }
        self.note("service", name, "model", sheet_name(&section.model));
        self.note("service", name, "fidelity", fidelity_note(section));
        self.note("service", name, "step_source", &step_source);
        self.note("service", name, "power_source", power_source);
        Some(ServicePlan {
            name: name.to_owned(),
            cluster: index,
            opens_after: opens_after.map_or(Some(None), |job| job.map(Some))?,
            opens_at: match section.opens {
                Some(Opens::At(at)) => at,
                _ => Span::ZERO,
            },
            gpus: section.replica.gpus,
            nodes,
            options,
            step,
            step_source,
            token_budget: section.replica.token_budget,
            max_batch: section.replica.max_batch,
            kv_tokens,
            start_up: on.start_up(section.replica.load_bandwidth, section.replica.warm_up),
            power: hands.first().map_or(power.clone(), |hand| hand.serving(&node, &power)),
            slowdown: hands.first().map_or(Slowdown::NONE, |hand| hand.serving_time(cluster.gpu.prefill)),
            levers: hands
                .iter()
                .skip(1)
                .map(|hand| HeldServing {
                    slowdown: hand.serving_time(cluster.gpu.prefill),
                    power: hand.serving(&node, &power),
                })
                .collect(),
            power_priority: section.power_priority,
            priority: section.priority,
            scale: section.scale,
            tick: tick(section.scale.policy, header),
            router: section.router,
            front: section.front,
            arrivals,
            fidelity: section.fidelity,
            slo: section.slo,
            prices: section.price,
            queue: section.queue,
            clientele,
            record: recorded_share(section),
            failures: failures[index].as_ref()?.of_one_node(),
            start_hour_of_week: hour_of_week(header.start),
        })
    }

    /// True where the requests that are to be recorded exist; else complains.
    fn record_is_sound(&mut self, name: &str, section: &ServiceSection) -> bool {
        let at = ["service", name, "record"];
        let Some(share) = section.record else { return true };
        if share.as_f64() <= 0.0 {
            return self.no(&at, "must be above zero: 1 records every request, 0.01 one in a hundred");
        }
        if matches!(section.fidelity, Fidelity::Fluid {}) {
            let help = "use fidelity = { requests = {} }, over a shorter duration".to_owned();
            self.refuse(&at, "asks for single requests, which a fluid service does not have", help);
            return false;
        }
        true
    }

    /// What the section's arrivals become; a trace is read here, once.
    fn arrivals(&mut self, name: &str, section: &ArrivalsSection) -> Option<ArrivalPlan> {
        match section {
            ArrivalsSection::Chat(chat) => Some(ArrivalPlan::Chat(chat.clone())),
            ArrivalsSection::Poisson(poisson) => Some(ArrivalPlan::Poisson(*poisson)),
            ArrivalsSection::Bursts(bursts) => Some(ArrivalPlan::Bursts(bursts.clone())),
            ArrivalsSection::Ramp(ramp) => Some(ArrivalPlan::Ramp(ramp.clone())),
            ArrivalsSection::FlashCrowd(crowd) => Some(ArrivalPlan::FlashCrowd(crowd.clone())),
            ArrivalsSection::Clients(clients) => Some(ArrivalPlan::Clients(clients.clone())),
            ArrivalsSection::Reasoning(reasoning) => Some(ArrivalPlan::Reasoning(reasoning.clone())),
            ArrivalsSection::Sessions(sessions) => Some(ArrivalPlan::Sessions(sessions.clone())),
            ArrivalsSection::ClosedLoop(closed) => Some(ArrivalPlan::ClosedLoop(closed.clone())),
            ArrivalsSection::Servegen(section) => self.measured_clients(name, section),
            ArrivalsSection::Trace(trace) => {
                let (format, file) = trace.file();
                if !self.trace_is_sound(name, trace) {
                    return None;
                }
                let seed = Seed { seed: self.typed.file.seed, replication: 0 };
                let path = ["service", name, "arrivals", "trace", format, "path"];
                let replay = self.data(&path, &file.path, |path| trace.read(path, name, seed), |replay| replay.hash)?;
                self.note("service", name, "trace_format", replay.format.name());
                self.note("service", name, "trace_rows", rows(&replay.trace));
                Some(ArrivalPlan::Trace(replay.trace))
            }
        }
    }

    /// The clients that ServeGen measured, as `section` asks.
    fn measured_clients(&mut self, name: &str, section: &Servegen) -> Option<ArrivalPlan> {
        let at = |key| ["service", name, "arrivals", "servegen", key];
        if !section.rate.is_none_or(|rate| self.is_a_rate(&at("rate"), rate, FASTEST_ARRIVALS)) {
            return None;
        }
        let read = self.clients(&at("path"), &section.path)?;
        let ServeGen { windows_read, kept, silent, without_lengths, .. } = read;
        let dropped = silent + without_lengths;
        let rows = format!(
            "{windows_read} read = {kept} kept + {dropped} dropped, {silent} without requests, {without_lengths} without lengths"
        );
        self.note("service", name, "trace_format", "servegen");
        self.note("service", name, "trace_rows", rows);
        let clients = MeasuredClients::new(read, section);
        if clients.is_none() {
            self.no(&at("from"), "lies behind the last request of the clients");
        }
        clients.map(ArrivalPlan::Servegen)
    }

    /// True where what is asked of a trace can be asked of any; else complains.
    fn trace_is_sound(&mut self, name: &str, trace: &TraceSection) -> bool {
        let (format, file) = trace.file();
        let at = |key| ["service", name, "arrivals", "trace", format, key];
        let columns = match (&file.columns, trace) {
            (None, TraceSection::Csv(_)) => {
                let help =
                    "such as columns = { time = \"arrived\", unit = \"s\", prompt = \"input\", output = \"output\" }";
                let path = ["service", name, "arrivals", "trace", format];
                self.refuse(&path, "needs `columns` that say which column is what", help.to_owned());
                false
            }
            (Some(_), trace) if !matches!(trace, TraceSection::Csv(_)) => {
                let help = format!("take `columns` out, or write `csv` instead of `{format}`");
                self.refuse(&at("columns"), "is for `csv` only: the other formats have their own", help);
                false
            }
            (Some(columns), _) if !ColumnMap::knows_unit(&columns.unit) => {
                let path = ["service", name, "arrivals", "trace", format, "columns", "unit"];
                let help = "use \"s\", \"ms\", \"us\", \"ns\", or \"date\" for a date and time of day".to_owned();
                self.refuse(&path, format!("is {:?}, no unit of time", columns.unit), help);
                false
            }
            _ => true,
        };
        let fine = [
            columns,
            file.speed.as_f64() > 0.0 || self.no(&at("speed"), "must be above zero"),
            file.share.as_f64() > 0.0 || self.no(&at("share"), "must be above zero"),
            file.length.is_none_or(|length| length > Span::ZERO) || self.no(&at("length"), "must be above zero"),
            file.rate.is_none_or(|rate| self.is_a_rate(&at("rate"), rate, FASTEST_ARRIVALS)),
        ];
        !fine.contains(&false)
    }

    /// Key-value capacity of a replica: as given, for measured replicas whose weights lie elsewhere too, else what memory
    /// leaves; `None`, with a complaint, where it leaves nothing.
    fn cache(&mut self, name: &str, section: &ServiceSection, on: &Deployment<'_>) -> Option<u64> {
        if section.replica.kv_tokens.is_some() {
            return section.replica.kv_tokens;
        }
        let usable = on.kv_tokens();
        if usable == 0 {
            let memory = Bytes::new(on.gpu.memory.count().saturating_mul(u64::from(on.gpus)));
            let message = format!(
                "does not fit its replica: {} of weights, {memory} of memory on {} GPUs, of which engines use 90 %",
                on.weights(),
                on.gpus
            );
            let help = match section.replica.precision {
                Precision::Bf16 => "use more `replica.gpus`, or replica.precision = \"fp8\"",
                Precision::Fp8 => "use more `replica.gpus`",
            };
            self.refuse(&["service", name, "model"], message, help.to_owned());
            return None;
        }
        Some(usable)
    }

    /// True where what the service section says stands on its own; else complains.
    fn service_is_sound(&mut self, name: &str, section: &ServiceSection, header: Option<&Header>) -> bool {
        let at = |key| ["service", name, key];
        let opens = match &section.opens {
            Some(Opens::At(span)) => {
                header.is_none_or(|header| self.is_inside(&["service", name, "opens", "at"], *span, header))
            }
            _ => true,
        };
        let slo = section.slo.is_none_or(|slo| {
            slo.ttft > Span::ZERO && slo.tpot > Span::ZERO || self.no(&at("slo"), "has a limit of zero time")
        });
        let fine = [
            self.is_plain_name(&["service", name], name),
            opens,
            slo,
            self.price_is_sound(name, section),
            self.replica_is_sound(name, &section.replica),
            self.scale_is_sound(name, section),
            self.arrivals_are_sound(name, section),
        ];
        !fine.contains(&false)
    }

    /// True where what its answers sell for makes sense; else complains.
    fn price_is_sound(&mut self, name: &str, section: &ServiceSection) -> bool {
        let at = |key| ["service", name, "price", key];
        let Some(price) = section.price else { return true };
        // A dollar a token is a hundred thousand times what anyone asks.
        let is_sane = |dollars: Dollars| (Dollars::ZERO..Dollars::from_f64(1e6)).contains(&dollars);
        for (key, dollars) in [("prompt", Some(price.prompt)), ("output", Some(price.output)), ("cached", price.cached)]
        {
            if let Some(dollars) = dollars.filter(|&dollars| !is_sane(dollars)) {
                let message = format!("is {dollars}, and a price is of a million tokens, from $0 to below $1000000");
                return self.no(&at(key), &message);
            }
        }
        let share = price.cached_share.as_f64();
        let has_cache = (0.0..=1.0).contains(&share) && (share == 0.0 || price.cached.is_some());
        let has_cache =
            has_cache || self.no(&at("cached_share"), "must lie between 0 and 1 and needs the price `cached`");
        let is_simulated = section.replica.prefix_cache.is_some() && share > 0.0;
        has_cache
            & (!is_simulated
                || self.no(&at("cached_share"), "is what the replicas' prefix_cache simulates: leave it out"))
    }

    fn requests_fit(&mut self, name: &str, arrivals: &ArrivalsSection, kv_tokens: u64) -> bool {
        let ArrivalsSection::Poisson(poisson) = arrivals else { return true };
        let tokens = u64::from(poisson.prompt) + u64::from(poisson.output);
        if tokens <= kv_tokens {
            return true;
        }
        let message =
            format!("has requests of {tokens} tokens, but a replica holds {kv_tokens} in its key-value cache");
        let help = "ask for shorter requests, or use more `replica.gpus`".to_owned();
        self.refuse(&["service", name, "arrivals", "poisson"], message, help);
        false
    }

    fn replica_is_sound(&mut self, name: &str, replica: &ReplicaSection) -> bool {
        let at = |key| ["service", name, "replica", key];
        let fine = [
            self.is_positive(&at("gpus"), replica.gpus),
            self.is_positive(&at("token_budget"), replica.token_budget),
            self.is_positive(&at("max_batch"), replica.max_batch),
            replica.max_batch <= 65_536 || self.no(&at("max_batch"), "is more than 65536 sequences"),
            replica.kv_tokens != Some(0) || self.no(&at("kv_tokens"), "must be at least 1, found 0"),
            replica.load_bandwidth.as_f64() > 0.0 || self.no(&at("load_bandwidth"), "must be above zero"),
            replica.step.is_none_or(|step| self.step_model_is_sound(name, &step)),
        ];
        !fine.contains(&false)
    }

    fn step_model_is_sound(&mut self, name: &str, step: &StepSection) -> bool {
        let rates = [("d_ms", step.d_ms), ("b_ms", step.b_ms), ("c_ms", step.c_ms), ("e_ms", step.e_ms)];
        let mut sound = true;
        for (key, rate) in rates {
            sound &= rate >= 0.0 || self.no(&["service", name, "replica", "step", key], "must not be negative");
        }
        let still = step.p0 == Span::ZERO && rates.iter().all(|&(_, rate)| rate <= 0.0);
        sound && (!still || self.no(&["service", name, "replica", "step"], "takes no time at all"))
    }

    /// Nodes of one replica on `cluster`; `None`, with a complaint, where its GPUs fill no whole nodes.
    fn replica_nodes(&mut self, name: &str, replica: &ReplicaSection, cluster: &ClusterPlan) -> Option<u32> {
        let in_node = cluster.node.gpus;
        if replica.gpus > in_node && !replica.gpus.is_multiple_of(in_node) {
            let message = format!("is {}, which fills no whole nodes of {in_node} GPUs", replica.gpus);
            let down = replica.gpus / in_node * in_node;
            let help = format!("use {down} or {}", u64::from(down) + u64::from(in_node));
            self.refuse(&["service", name, "replica", "gpus"], message, help);
            return None;
        }
        Some(replica.gpus.div_ceil(in_node))
    }

    /// True where `max` replicas of `nodes` nodes fit the cluster; else complains.
    fn replicas_fit(&mut self, name: &str, section: &ServiceSection, nodes: u32, cluster: &ClusterPlan) -> bool {
        let (gpus, in_node) = (section.replica.gpus, cluster.node.gpus);
        let asked = nodes_of(section.scale.max, gpus, in_node);
        if asked <= u64::from(cluster.nodes) {
            return true;
        }
        let message = format!("asks {asked} nodes, but cluster {:?} has {}", cluster.name, cluster.nodes);
        let help = match cluster.nodes / nodes {
            0 => format!("one replica takes {nodes} nodes"),
            most => format!("use max = {} or fewer", u64::from(most) * u64::from((in_node / gpus).max(1))),
        };
        self.refuse(&["service", name, "scale", "max"], message, help);
        false
    }

    /// Complains where tenants that must run at once ask more nodes than their cluster has: services that open at the start
    /// never give their nodes back, so a job that does not fit beside them never starts.
    pub(super) fn tenants_fit(&mut self, clusters: &[Option<ClusterPlan>]) {
        let typed = self.typed;
        let file = &typed.file;
        for cluster in clusters.iter().flatten() {
            let minimum: u64 = file
                .service
                .values()
                .filter(|service| always_open(service, &cluster.name))
                .map(|service| nodes_of(service.scale.min, service.replica.gpus, cluster.node.gpus))
                .sum();
            let nodes = u64::from(cluster.nodes);
            if minimum > nodes {
                let message = format!(
                    "the services of cluster {:?} need {minimum} nodes at once, but it has {nodes}",
                    cluster.name
                );
                self.complain(
                    &["cluster", &cluster.name, "nodes"],
                    message,
                    "lower their `scale.min`, or add nodes".to_owned(),
                );
                continue;
            }
            let jobs: Vec<(String, u64)> = file
                .training
                .iter()
                .filter(|(_, job)| job.cluster == cluster.name)
                .map(|(name, job)| (name.clone(), job.most_nodes() + job.spares.total()))
                .collect();
            for (name, asked) in jobs {
                if minimum > 0 && asked <= nodes && asked + minimum > nodes {
                    let message = format!(
                        "asks {asked} nodes with spares, but services keep {minimum} of the {nodes} nodes of cluster {:?} for ever",
                        cluster.name
                    );
                    let help = "ask fewer nodes, or let the service open after the job".to_owned();
                    self.refuse(&["training", &name, "nodes"], message, help);
                }
            }
        }
    }
}

/// Nodes of `in_node` GPUs that `replicas` of `gpus` need: those smaller than a node stand side by side.
fn nodes_of(replicas: u32, gpus: u32, in_node: u32) -> u64 {
    match in_node / gpus.max(1) {
        0 => u64::from(replicas) * u64::from(gpus.div_ceil(in_node)),
        beside => u64::from(replicas.div_ceil(beside)),
    }
}

fn deployment<'a>(section: &'a ServiceSection, cluster: &'a ClusterPlan, model: &'a ModelSheet) -> Deployment<'a> {
    Deployment {
        gpu_name: sheet_name(&cluster.node.gpu),
        gpu: &cluster.gpu,
        gpus: section.replica.gpus,
        engine: &section.replica.engine,
        precision: section.replica.precision,
        model_name: sheet_name(&section.model),
        model,
    }
}

/// How many rows of a trace were read, kept and dropped, and why.
fn rows(trace: &RequestTrace) -> String {
    let dropped = trace.dropped.reasons().into_iter().filter(|(_, count)| *count > 0);
    let reasons: String = dropped.map(|(reason, count)| format!(", {count} {reason}")).collect();
    format!("{} read = {} kept + {} dropped{reasons}", trace.rows_read, trace.kept, trace.dropped.total())
}

fn tick(policy: ScalePolicy, header: &Header) -> Span {
    let given = match policy {
        ScalePolicy::TargetLoad(target) => target.tick,
        ScalePolicy::Slo(slo) => slo.tick,
        ScalePolicy::Fixed {} | ScalePolicy::Schedule(_) => None,
    };
    // 15 s is the Kubernetes default (horizontal-pod-autoscaler-sync-period); runs of more than a week look once a minute.
    let long = header.horizon > SimTime::ZERO + Span::DAY * 7;
    given.unwrap_or(if long { Span::MINUTE } else { Span::from_secs(15) })
}

/// Hours since Sunday 00:00 UTC.
fn hour_of_week(start: jiff::Timestamp) -> u32 {
    let start = start.to_zoned(jiff::tz::TimeZone::UTC);
    let (day, hour) = (start.weekday().to_sunday_zero_offset(), start.hour());
    u32::from(day.unsigned_abs()) * 24 + u32::from(hour.unsigned_abs())
}

fn always_open(service: &ServiceSection, cluster: &str) -> bool {
    let from_the_start = match service.opens {
        None => true,
        Some(Opens::At(at)) => at == Span::ZERO,
        Some(Opens::After(_)) => false,
    };
    from_the_start && service.cluster == cluster
}

/// Step time: the scenario's own coefficients, else a catalog row fitted to this deployment, else first principles.
fn step_model(own: Option<&StepSection>, on: &Deployment<'_>) -> (StepModel, String) {
    match step_row(on.gpu_name, on.engine, on.precision, on.model_name, on.gpus) {
        Some(row) if own.is_none() => {
            let (p0_ms, d_ms, t0, b_ms, c_ms, e_ms) = (row.p0_ms, row.d_ms, row.t0, row.b_ms, row.c_ms, row.e_ms);
            (StepModel { p0_ms, d_ms, t0, b_ms, c_ms, e_ms }, row.words())
        }
        _ => StepModel::resolve(own, on),
    }
}
