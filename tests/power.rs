//! Power models as a scenario chooses them: watts at a batch, and what the whole chain from the meter to the nodes adds.

use tollway::{scenario, simulate};

/// A scenario with a service of Llama-3.1-70B on 4 H100, and lines to add to its sections.
fn text(service: &str, cluster: &str, facility: &str) -> String {
    format!(
        r#"
        name = "power"
        start = "2026-01-01T00:00:00Z"
        duration = "1 h"
        [site.home]
        grid = "erco"
        tariff = {{ flat = "$0.08/kWh" }}
        {facility}
        [cluster.main]
        site = "home"
        node = "dgx-h100"
        nodes = 4
        failures = {{ none = {{}} }}
        {cluster}
        [service.chat]
        cluster = "main"
        model = "llama-3.1-70b"
        replica = {{ gpus = 4, max_batch = 256, step = {{ p0 = "15.7 ms", d_ms = 0.0, t0 = 0, b_ms = 0.104, c_ms = 0.0 }} }}
        scale = {{ min = 1, max = 2, policy = {{ fixed = {{}} }} }}
        arrivals = {{ poisson = {{ rate = "1 /s", prompt = 150, output = 350 }} }}
        {service}
        "#
    )
}

/// Watts of one GPU at a batch of 8 and of 128, and the source noted.
fn at_8_and_128(power: &str) -> (f64, f64, String) {
    let scenario = scenario::parse("power.toml", &text(power, "", "")).expect("a good scenario");
    let power = &scenario.services[0].power;
    let note = scenario.notes.iter().find(|note| note.key == "power_source").expect("a note");
    let watts = |batch| power.decoding(batch).accelerator.as_f64();
    (watts(8), watts(128), note.value.clone())
}

#[test]
fn each_model_gives_its_watts_and_says_where_they_come_from() {
    // The ML.ENERGY benchmark: measured 441 and 546 W; form A 542 W at 128; form B by steps of 16.5 and 29.0 ms.
    let logistic = |batch: f64| 434.0 + 210.0 / (1.0 + libm::exp(-(libm::log2(batch) - 6.93) / 1.05));
    for (power, at_8, at_128, source) in [
        ("", logistic(8.0), logistic(128.0), "measured, our fit"),
        ("power = { measured = {} }", logistic(8.0), logistic(128.0), "measured, our fit"),
        ("power = { logistic = {} }", logistic(8.0), logistic(128.0), "logistic, our fit"),
        ("power = { table = {} }", 441.0, 546.0, "table, our fit"),
        ("power = { step_time = {} }", 423.0 + 26.3 * 8.0 / 16.532, 423.0 + 26.3 * 128.0 / 29.012, "by step time"),
        ("power = { step_time = { p0 = \"100 W\", p1_w_ms = 1000, p2_w_ms = 0 } }", 160.5, 134.5, "by step time"),
        (
            "power = { piecewise = { points = [{ batch = 8, power = \"400 W\" }, { batch = 248, power = \"640 W\" }] } }",
            400.0,
            520.0,
            "scenario, piecewise",
        ),
        ("power = { linear = { low = \"100 W\", high = \"612 W\" } }", 116.0, 356.0, "scenario, from 100 W to 612 W"),
        (
            "power = { square_root = { low = \"100 W\", high = \"612 W\" } }",
            190.5,
            462.0,
            "scenario, from 100 W to 612 W",
        ),
        ("power = { cubic = { low = \"100 W\", high = \"612 W\" } }", 100.0, 164.0, "scenario, from 100 W to 612 W"),
    ] {
        let (low, high, noted) = at_8_and_128(power);
        assert!((low - at_8).abs() < 0.6 && (high - at_128).abs() < 0.6, "{power}: {low} and {high} W");
        assert!(noted.starts_with(source), "{power}: {noted}");
    }
    let (low, high, noted) = at_8_and_128("power = { roofline = { g = 1 } }");
    assert!(122.0 < low && low < high && high < 700.0, "{low} to {high} W");
    assert_eq!(noted, "roofline fitted on h100-sxm");
}

#[test]
fn a_network_and_nodes_that_are_off_show_at_the_meter() {
    let energy = |cluster: &str| {
        let scenario = scenario::parse("power.toml", &text("", cluster, "")).expect("a good scenario");
        simulate(&scenario, |_| ()).accounts.figure("site.home", "energy_it", "").expect("a figure")
    };
    let (plain, network) = (energy(""), energy("power = { network = { share = \"3 %\" } }"));
    assert!((network / plain - 1.03).abs() < 1e-4, "{plain} and {network} kWh");
    // Three of the four nodes are free: 3 x (8 x 72 + 1,300) W for an hour.
    let off = energy("power = { unheld = \"off\" }");
    assert!((plain - off - 3.0 * 1.876).abs() < 1e-3, "{plain} and {off} kWh");
}

#[test]
fn each_stage_of_the_chain_loses_what_it_should() {
    let facility = |conversion: &str| {
        format!(
            "facility = {{ weather = {{ design = \"liquid\", series = {{ path = \"tests/bad/base/air.csv\", dry_bulb = \"dry_c\", wet_bulb = \"wet_c\" }}, conversion = {conversion} }} }}"
        )
    };
    let losses = |conversion: &str| {
        let scenario = scenario::parse("power.toml", &text("", "", &facility(conversion))).expect("a good scenario");
        let accounts = simulate(&scenario, |_| ()).accounts;
        let figure = |metric| accounts.figure("site.home", metric, "").expect("a figure");
        (figure("energy_it"), figure("energy_losses"))
    };
    let (it, lost) =
        losses("{ chain = { ups = { standing = \"100 W\", efficiency = 0.97 }, psu = { efficiency = 0.94 } } }");
    // Four nodes behind power supplies of 0.94, the default rectifiers taken out by nobody, and a UPS.
    let rectified = (it / 0.94 + 4.0 * 0.017) / 0.96;
    assert!((lost - ((rectified + 0.4) / 0.97 - it)).abs() < 1e-6, "{lost} of {it} kWh");
    let (it, lost) = losses("{ lumped = { standing = 0.02, load = 0.05 } }");
    assert!((lost - (0.02 * 40.8 + 0.05 * it)).abs() < 1e-6, "{lost} of {it} kWh");
}
