//! Generators of arrivals, against the moments of measured traces and closed forms; a closed loop and an overload
//! through a cell.

use std::sync::Arc;
use tollway::engine::{Process, Seed};
use tollway::ledger::{Count, Grid};
use tollway::scenario;
use tollway::serving::{Cell, Origin, ServicePlan, Source};
use tollway::trace::{PrefixCache, Request};
use tollway::units::{SimTime, Span};
use tollway::world::NodeSet;

const HOUR: u64 = 3_600;

/// The plan of a service with these keys; one 8B replica on each of `max` GPUs.
fn plan(keys: &str, max: u32) -> ServicePlan {
    let text = format!(
        "name = \"arrivals\"\nstart = \"2026-01-05T00:00:00Z\"\nduration = \"30 d\"\n\
         [site.hall]\ngrid = \"erco\"\ntariff = {{ flat = \"$0.08/kWh\" }}\n\
         [cluster.pool]\nsite = \"hall\"\nnode = \"dgx-h100\"\nnodes = 400\nfailures = {{ none = {{}} }}\n\
         [service.chat]\ncluster = \"pool\"\nmodel = \"llama-3.1-8b\"\nreplica.gpus = 1\n\
         scale = {{ min = 1, max = {max}, policy = {{ fixed = {{}} }} }}\n{keys}"
    );
    let scenario = scenario::parse("arrivals.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"));
    ServicePlan::clone(&scenario.services[0])
}

fn open(keys: &str, replication: u64) -> Source {
    let mut source = Source::new(&plan(keys, 4), 0, Seed { seed: 23, replication });
    source.open(SimTime::ZERO);
    source
}

/// Requests up to `seconds`.
fn requests(source: &mut Source, seconds: u64) -> Vec<Request> {
    let end = SimTime::ZERO + Span::from_secs(seconds);
    std::iter::from_fn(|| source.next()).take_while(|request| request.at < end).collect()
}

fn mean_and_cv(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, (values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt() / mean)
}

fn gap_cv(requests: &[Request]) -> f64 {
    mean_and_cv(requests.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs_f64())).1
}

/// Index of dispersion of counts in windows of `width` seconds.
fn dispersion(requests: &[Request], width: u64, seconds: u64) -> f64 {
    let mut counts = vec![0.0; (seconds / width) as usize];
    for request in requests {
        if let Some(count) = counts.get_mut((request.at.nanos() / (width * 1_000_000_000)) as usize) {
            *count += 1.0;
        }
    }
    let (mean, cv) = mean_and_cv(counts.iter().copied());
    cv * cv * mean
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    println!("{what}: {found:.4}, expected {expected}");
    assert!((found / expected - 1.0).abs() < tolerance, "{what}: {found}, expected {expected}");
}

#[test]
fn bursts_are_dense_and_silences_long() {
    // 600 hours at 1 a second: ON 30 s, OFF 60 s, CV 1.5 in a burst at 3 a second.
    let seconds = 600 * HOUR;
    let found = requests(&mut open("[service.chat.arrivals.bursts]\nrate = \"1 /s\"\nweekly = false", 0), seconds);
    close("rate", found.len() as f64 / seconds as f64, 1.0, 0.03);
    // Closed forms of src/serving/bursts.rs. Gaps: a silence of mean 60 s between some 90 gaps of a burst; the renewal of a burst
    // goes on after a silence, so a gap that spans one is a gap of a third of a second, CV 1.5, and with chance 1/90 a silence
    // more: mean 1, second moment 1.5^2/9 + 1/9 + (2 60^2 + 2 60/3)/90 and more, as long gaps meet silences more often.
    let cv = gap_cv(&found);
    assert!(cv > 8.0, "gaps vary far more than a Poisson process's: CV {cv}");
    // Long windows: 2 R off^2 / (on + off) = 80, less the part tau/w of it, and the renewal's own 1.5^2.
    let idc: Vec<f64> = [1, 10, 60, 300, 1_800].map(|width| dispersion(&found, width, seconds)).into();
    assert!(idc.windows(2).all(|pair| pair[0] < pair[1]), "dispersion rises with the window: {idc:?}");
    let keeps = |width: f64| 1.0 - 20.0 / width * (1.0 - libm::exp(-width / 20.0));
    close("dispersion in 300 s", idc[3], 2.25 + 80.0 * keeps(300.0), 0.1);
    close("dispersion in 1800 s", idc[4], 2.25 + 80.0 * keeps(1_800.0), 0.15);
    // Lengths: medians 1,000 (cut at 8,192) and 25.
    let lengths = |of: fn(&Request) -> u32| median(found.iter().map(|request| f64::from(of(request))).collect());
    close("prompt", lengths(|request| request.prompt), 1_000.0, 0.02);
    close("output", lengths(|request| request.output), 25.0, 0.03);
    assert_eq!(found.iter().map(|request| request.prompt).max(), Some(8_192));
}

#[test]
fn cells_share_the_bursts() {
    let plan = plan("[service.chat.arrivals.bursts]\nrate = \"40 /s\"", 128);
    let seed = Seed { seed: 23, replication: 0 };
    let by_second = |cell| {
        let mut source = Source::new(&plan, cell, seed);
        source.open(SimTime::ZERO);
        let mut seconds = vec![0.0; HOUR as usize];
        requests(&mut source, HOUR).iter().for_each(|request| seconds[request.at.as_secs_f64() as usize] += 1.0);
        seconds
    };
    let (one, other) = (by_second(0), by_second(1));
    let ((mean, cv), (mean_other, cv_other)) = (mean_and_cv(one.iter().copied()), mean_and_cv(other.iter().copied()));
    let together = one.iter().zip(&other).map(|(a, b)| (a - mean) * (b - mean_other)).sum::<f64>() / HOUR as f64;
    let correlation = together / (mean * cv * mean_other * cv_other);
    assert!(correlation > 0.7 && correlation < 0.999, "the same bursts, other requests: {correlation}");
}

#[test]
fn clients_have_the_measured_burstiness() {
    // By a prototype of the same law: there of 60 simulated hours at 20 a second; here of 240.
    let mut cvs = Vec::new();
    let mut idcs = [const { Vec::new() }; 4];
    for replication in 0..240 {
        let found = requests(&mut open("[service.chat.arrivals.clients]\nrate = \"20 /s\"", replication), HOUR);
        cvs.push(gap_cv(&found));
        for (idc, width) in idcs.iter_mut().zip([1, 10, 60, 300]) {
            idc.push(dispersion(&found, width, HOUR));
        }
    }
    close("median CV", median(cvs), 1.23, 0.1);
    // A median over 60 populations of a figure this heavy-tailed (its logarithm varies by about 1) is good to 16 %.
    for (idc, expected) in idcs.into_iter().zip([2.8, 3.5, 3.9, 3.9]) {
        close("median dispersion", median(idc), expected, 0.25);
    }
}

#[test]
fn reasoning_thinks_long() {
    // Many equal clients show the whole law: rate-weighted means and medians of ServeGen's deepseek-r1.
    let keys = "[service.chat.arrivals.reasoning]\nrate = \"50 /s\"\nclients = 4000\nspread = 0";
    let found = requests(&mut open(keys, 0), 4 * HOUR);
    let lengths = |of: fn(&Request) -> u32| found.iter().map(move |request| f64::from(of(request)));
    close("rate", found.len() as f64 / (4 * HOUR) as f64, 50.0, 0.1);
    close("prompt", median(lengths(|request| request.prompt).collect()), 208.0, 0.15);
    close("output", median(lengths(|request| request.output).collect()), 792.0, 0.08);
    close("mean prompt", mean_and_cv(lengths(|request| request.prompt)).0, 1_268.0, 0.15);
    close("mean output", mean_and_cv(lengths(|request| request.output)).0, 1_527.0, 0.08);
}

#[test]
fn each_request_of_the_clients_comes_to_one_cell() {
    let plan = plan("[service.chat.arrivals.clients]\nrate = \"20 /s\"", 192);
    let cell = |cell, slice: std::ops::Range<f64>| {
        let mut source = Source::new(&plan, cell, Seed { seed: 23, replication: 0 });
        source.set_slice(slice);
        source.open(SimTime::ZERO);
        requests(&mut source, HOUR).iter().map(|request| request.at).collect::<Vec<_>>()
    };
    let mut parts = [cell(0, 0.0..0.2), cell(1, 0.2..0.2), cell(2, 0.2..1.0)].concat();
    parts.sort_unstable();
    let whole = cell(0, 0.0..1.0);
    // Rescaled time is added up in other steps, so that instants differ by rounding.
    assert_eq!(parts.len(), whole.len());
    assert!(parts.iter().zip(&whole).all(|(part, whole)| part.nanos().abs_diff(whole.nanos()) < 1_000));
}

#[test]
fn sessions_bring_their_history_and_reuse_prefixes_as_measured() {
    // An hour of Mooncake's load: 3.4 requests a second, no noise.
    let keys = "[service.chat.arrivals.sessions]\nrate = \"3.4 /s\"\nnoise = 0\nweekly = false";
    let mut source = open(keys, 0);
    let mut found: Vec<(Request, Origin)> = Vec::new();
    // Two hours before, so that sessions are under way.
    while let Some(request) = source.next().filter(|request| request.at.as_secs_f64() < 3.0 * HOUR as f64) {
        found.push((request, source.origin()));
    }
    let last = found.iter().filter(|(request, _)| request.at.as_secs_f64() >= 2.0 * HOUR as f64);
    // Sessions end early where their context is full, so a little less than asked.
    close("rate", last.clone().count() as f64 / HOUR as f64, 3.4, 0.05);
    // Blocks of 512 tokens: those of the system prompt are the same for all, others belong to a session.
    let blocks = |request: &Request, origin: &Origin| -> Vec<u64> {
        let id = |block: u64| if block == 0 { 0 } else { origin.session.unwrap().wrapping_mul(1 << 20) + block };
        (0..u64::from(request.prompt / 512)).map(id).collect()
    };
    let hits = |capacity: Option<u64>| {
        let mut cache = PrefixCache::new(capacity);
        let (mut blocks_all, mut reused) = (0, 0);
        for (request, origin) in last.clone() {
            let blocks = blocks(request, origin);
            cache.serve(&blocks);
            blocks_all += blocks.len() as u64;
            reused += u64::from(origin.reused / 512);
        }
        assert!(cache.hits() <= reused, "no more is found than what was said before");
        (cache.hits() as f64, cache.hits() as f64 / blocks_all as f64)
    };
    let ((most, share), (three, _), (twenty, _)) = (hits(None), hits(Some(5_859)), hits(Some(39_062)));
    println!("{share:.3} of full blocks, 3 M {:.3}, 20 M {:.3} of the most", three / most, twenty / most);
    // Mooncake's conversation trace: hits follow from the cache's size, 3 M tokens about 37 %, 20 M about 96 % of the most.
    assert!((three / most - 0.37).abs() < 0.12, "3 M tokens: {}", three / most);
    assert!((twenty / most - 0.96).abs() < 0.06, "20 M tokens: {}", twenty / most);
}

#[test]
fn a_ramp_and_a_crowd_come_as_planned() {
    let ramp = "[service.chat.arrivals.ramp]\npoints = [{ at = \"0 s\", rate = \"0 /s\" }, { at = \"1 h\", rate = \"40 /s\" }, { at = \"2 h\", rate = \"0 /s\" }]";
    let mut source = open(ramp, 0);
    let found = requests(&mut source, 100 * HOUR);
    // 72,000 each way; a Gamma renewal of CV 1.04 counts to 0.4 %, five times that.
    let count = |from: u64, to: u64| {
        found.iter().filter(|request| (from..to).contains(&(request.at.nanos() / 1_000_000_000))).count() as f64
    };
    close("up", count(0, HOUR), 72_000.0, 0.02);
    close("the first half of it", count(0, HOUR / 2), 18_000.0, 0.04);
    close("down", count(HOUR, 2 * HOUR), 72_000.0, 0.02);
    assert_eq!(source.next(), None, "after the last point nobody comes");
    let crowd = "[service.chat.arrivals.flash_crowd]\nrate = \"10 /s\"\nat = \"1 h\"\ntimes = 8\nnoise = 0";
    let found = requests(&mut open(crowd, 0), 4 * HOUR);
    let count = |from: u64, to: u64| {
        found.iter().filter(|request| (from..to).contains(&(request.at.nanos() / 1_000_000_000))).count() as f64
    };
    close("before", count(0, HOUR), 36_000.0, 0.03);
    close("rise", count(HOUR, HOUR + 60), 60.0 * 45.0, 0.12);
    close("peak", count(HOUR + 60, HOUR + 960), 900.0 * 80.0, 0.02);
    close("ebb", count(HOUR + 960, 2 * HOUR + 960), 3_600.0 * 45.0, 0.02);
    close("after", count(2 * HOUR + 960, 3 * HOUR), 10.0 * (HOUR - 960) as f64, 0.04);
}

/// Hourly counts of a week from Sunday on: total, coefficient of variation, correlation with a day later, weekdays' highest over
/// lowest hour, and what weekends lack.
fn shape_of_a_week(found: &[Request]) -> [f64; 5] {
    let mut hours = vec![0.0; 168];
    found.iter().for_each(|request| hours[(request.at.nanos() / 3_600_000_000_000) as usize] += 1.0);
    let (mean, cov) = mean_and_cv(hours.iter().copied());
    let lagged = (0..144).map(|at| (hours[at] - mean) * (hours[at + 24] - mean)).sum::<f64>() / 144.0;
    let weekend = (hours[..24].iter().sum::<f64>() + hours[144..].iter().sum::<f64>()) / 48.0;
    let weekday = hours[24..144].iter().sum::<f64>() / 120.0;
    let by_hour: Vec<f64> = (0..24).map(|hour| (1..6).map(|day| hours[day * 24 + hour]).sum::<f64>()).collect();
    let peak = by_hour.iter().copied().fold(0.0, f64::max) / by_hour.iter().copied().fold(f64::MAX, f64::min);
    [mean * 168.0, cov, lagged / (mean * cov * mean * cov), peak, 1.0 - weekend / weekday]
}

/// Weeks of chat against Azure's week of 2024, by hours and minutes.
#[test]
fn a_week_of_chat_has_the_published_shape() {
    let chat = |rate: f64, noise: f64, replication| {
        let keys = format!("[service.chat.arrivals.chat]\nrate = \"{rate} /s\"\nnoise = {noise}");
        let mut plan = plan(&keys, 4);
        // From Sunday on.
        plan.start_hour_of_week = 0;
        let mut source = Source::new(&plan, 0, Seed { seed: 29, replication });
        source.open(SimTime::ZERO);
        requests(&mut source, 168 * HOUR)
    };
    let published =
        [("total", 604_800.0), ("CoV", 0.291), ("correlation at 24 h", 0.397), ("peak", 1.93), ("weekend", 0.433)];
    // Replaying the profile: 5 %; its two-digit digits alone put the correlation at .375.
    for (found, (what, expected)) in shape_of_a_week(&chat(1.0, 0.0, 0)).into_iter().zip(published) {
        close(what, found, expected, if what == "correlation at 24 h" { 0.06 } else { 0.05 });
    }
    // With noise 20 %, over 24 weeks. Noise of deviation .25 and 600 s leaves an hour's mean a deviation of .134, so that the CoV
    // is sqrt(.291^2 + .134^2) = .32, and the correlation .381 .29^2 / .32^2 = .31 and not the trace's .397.
    let mut mean = [0.0; 5];
    for replication in 0..24 {
        let shape = shape_of_a_week(&chat(0.5, 0.25, replication));
        mean.iter_mut().zip(shape).for_each(|(mean, found)| *mean += found / 24.0);
    }
    mean[0] *= 2.0;
    for (found, (what, expected)) in mean.into_iter().zip(published) {
        let expected = if what == "correlation at 24 h" { 0.31 } else { expected };
        close(what, found, expected, 0.2);
    }
    // Dispersion in minutes within a factor of two of what an hour of the measured trace has, 16.1 at 5.53 a second: it grows with
    // the rate, so at 3 a second (16.1 - 1.2) 3 / 5.53 + 1.2 = 9.3; inside hours, which the profile leaves alone.
    let found = chat(3.0, 0.25, 0);
    let mut inside = Vec::new();
    for hour in 0..168_u64 {
        let from = SimTime::ZERO + Span::HOUR * hour;
        let of = found.iter().filter(|request| request.at >= from && request.at < from + Span::HOUR);
        let of: Vec<Request> =
            of.map(|request| Request { at: SimTime::ZERO + request.at.since(from), ..*request }).collect();
        inside.push(dispersion(&of, 60, HOUR));
    }
    let mean = inside.iter().sum::<f64>() / 168.0;
    assert!((9.3 / 2.0..9.3 * 2.0).contains(&mean), "dispersion in minutes {mean}");
}

/// A cell of `replicas`, ready and open from the start, and its horizon.
fn cell(plan: ServicePlan, replicas: u32, seconds: u64) -> (Cell, SimTime) {
    let horizon = SimTime::ZERO + Span::from_secs(seconds);
    let grid = Grid { horizon, bin: Span::MINUTE };
    let mut cell = Cell::new(Arc::new(plan), 0, Seed { seed: 23, replication: 0 }, grid);
    (0..replicas).for_each(|_| cell.add_replica(SimTime::ZERO, SimTime::ZERO, NodeSet::default()));
    cell.open(SimTime::ZERO);
    (cell, horizon)
}

/// Steps of a millisecond, whatever they hold.
const MILLISECOND: &str = "\n[service.chat.replica.step]\np0 = \"1 ms\"\nd_ms = 0.0\nt0 = 0\nb_ms = 0.0\nc_ms = 0.0\n";

#[test]
fn a_closed_loop_asks_as_fast_as_it_is_answered() {
    let closed = |clients: u32, more: &str| {
        let lengths = "prompt = { tokens = 16 }\noutput = { tokens = 100 }";
        plan(&format!("[service.chat.arrivals.closed_loop]\nclients = {clients}\n{lengths}\n{more}{MILLISECOND}"), 4)
    };
    // An answer takes 100 steps of 1 ms, all clients at once: 24 clients make 240 requests a second; with 100 ms to think, half.
    for (clients, more, rate) in [(24, "", 240.0), (24, "think = \"100 ms\"", 120.0), (1, "", 10.0)] {
        let (mut cell, horizon) = cell(closed(clients, more), 3, 600);
        for edge in 1..=60 {
            cell.run_until(SimTime::ZERO + Span::from_secs(edge * 10));
            assert!(cell.telemetry().running + cell.telemetry().queued <= u64::from(clients));
        }
        let (book, facts) = cell.close(horizon);
        close("rate", book.counted(Count::Completed) as f64 / 600.0, rate, 0.011);
        assert!(facts.in_flight <= u64::from(clients));
        // Nobody waits for a place: the first token after one step, and 3 ms of API.
        let first = book.latencies().ttft().mean().unwrap().as_secs_f64();
        assert!(first < 0.0051, "first token after {first} s");
    }
    let (mut all, horizon) = cell(closed(5, "requests = 52"), 2, 60);
    all.run_until(horizon);
    assert_eq!(all.close(horizon).0.counted(Count::Completed), 52, "so many requests and no more");
}

#[test]
fn more_clients_than_places_wait_their_turn() {
    // A batch of 4, 10 clients, 100 ms an answer: 40 a second; by Little's law each cycle takes 10 / 40 s, all of it here.
    let keys = format!(
        "[service.chat.arrivals.closed_loop]\nclients = 10\nprompt = {{ tokens = 1 }}\noutput = {{ tokens = 100 }}{MILLISECOND}"
    );
    let mut plan = plan(&keys, 4);
    plan.max_batch = 4;
    let (mut cell, horizon) = cell(plan.clone(), 1, 600);
    cell.run_until(horizon);
    let (book, _) = cell.close(horizon);
    close("rate", book.counted(Count::Completed) as f64 / 600.0, 40.0, 0.01);
    close("end to end", book.latencies().e2e().mean().unwrap().as_secs_f64() - 0.003, 0.25, 0.01);
    // With room for 3 to wait, 3 clients are turned away, and ask again after a second.
    plan.queue = 3;
    let (mut cell, horizon) = self::cell(plan, 1, 600);
    cell.run_until(horizon);
    let (book, facts) = cell.close(horizon);
    let [arrived, rejected, completed] =
        [Count::Arrived, Count::Rejected, Count::Completed].map(|what| book.counted(what));
    assert_eq!(arrived, rejected + completed + facts.in_flight);
    assert!(rejected > 500 && rejected < 2_400, "{rejected} were turned away in 600 s");
}

/// Month-long overload at 1.5 times what the service can take, cut to a day: what waits never passes the bound that `queue` sets,
/// whatever the horizon, and every request is completed, turned away or in flight.
#[test]
fn overload_waits_within_bounds() {
    let lengths = "prompt = { tokens = 16 }\noutput = { tokens = 100 }\nburstiness = 1\nnoise = 0\nweekly = false";
    // A batch of 4 and 100 ms an answer: 40 a second and replica, 2 replicas.
    let keys = format!("queue = 32\n[service.chat.arrivals.chat]\nrate = \"120 /s\"\n{lengths}{MILLISECOND}");
    for router in ["least_loaded", "round_robin"] {
        let mut plan = plan(&format!("router = {{ {router} = {{}} }}\n{keys}"), 2);
        plan.max_batch = 4;
        let (mut cell, horizon) = cell(plan, 2, 24 * HOUR);
        let mut most = 0;
        for edge in 1..=24 * 60 {
            cell.run_until(SimTime::ZERO + Span::MINUTE * edge);
            most = most.max(cell.telemetry().queued);
        }
        assert!(most <= 2 * 32, "{router}: {most} wait, where 32 may for each of 2 replicas");
        let (book, facts) = cell.close(horizon);
        let [arrived, rejected, completed] =
            [Count::Arrived, Count::Rejected, Count::Completed].map(|what| book.counted(what));
        assert_eq!(arrived, rejected + completed + facts.in_flight);
        close("completed", completed as f64, 80.0 * 24.0 * 3_600.0, 0.01);
        close("rejected", rejected as f64 / arrived as f64, 1.0 / 3.0, 0.02);
    }
}
