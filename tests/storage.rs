//! Stores that jobs of a cluster share.

use crate::spares::{accounts, close, count, gpu_hours, hours, own_time};
use tollway::ledger::Use;
use tollway::{scenario, simulate};

/// 6 TB at 10 GB/s are 10 min. A job of four nodes and ten hours of work.
fn job(name: &str, tier: &str) -> String {
    format!(
        "[training.{name}]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 4\ntokens = 1e6\nideal = \"10 h\"\n\
         recovery = {{ detect = \"0 s\", localise = \"0 s\", restart = \"2 min\", attach_cold = \"0 s\" }}\n\
         checkpoint.remote = {{ every = \"1 h\", size = \"6 TB\", {tier} }}\n"
    )
}

const STORE: &str = "storage.lustre = { bandwidth = \"10 GB/s\" }\n";
const STOPS: &str = "blocking = \"10 min\", background = \"0 s\", store = \"lustre\"";
const BESIDE: &str = "blocking = \"0 s\", bandwidth = \"10 GB/s\", read_bandwidth = \"10 GB/s\", store = \"lustre\"";

#[test]
fn alone_a_job_gets_what_it_gets_without_a_store() {
    // Node 1 breaks at 05:30 and is back at once.
    let faults = "1,19800,19800,gpu,,false\n";
    for tier in [STOPS, BESIDE] {
        let apart = accounts(4, faults, &job("one", &tier.replace(", store = \"lustre\"", "")));
        let shared = accounts(4, faults, &format!("{STORE}{}", job("one", tier)));
        for metric in
            ["finished", "ettr", "checkpoint_gpu_hours", "recomputed_gpu_hours", "recovery_gpu_hours", "checkpoints"]
        {
            let of = |accounts: &tollway::ledger::Accounts| accounts.figure("training.one", metric, "");
            assert_eq!(of(&apart), of(&shared), "{tier}: {metric}");
        }
        assert_eq!(hours(&shared, "one", "storage_wait"), 0.0);
    }
}

#[test]
fn two_that_write_together_take_twice_as_long() {
    let accounts = accounts(8, "", &format!("{STORE}{}{}", job("one", STOPS), job("two", STOPS)));
    // Ten saves, the last at the end, of 20 min instead of ten.
    for name in ["one", "two"] {
        close(hours(&accounts, name, "finished"), 10.0 + 10.0 / 3.0);
        close(hours(&accounts, name, "storage_wait"), 10.0 / 6.0);
        close(gpu_hours(&accounts, name, "checkpoint_gpu_hours"), 32.0 * 10.0 / 3.0);
        assert_eq!(own_time(&accounts, name), [(Use::Productive, 36_000), (Use::Checkpoint, 12_000)]);
    }
}

#[test]
fn who_comes_while_another_writes_shares_from_then_on() {
    // One save begins at 01:00. At 01:05, when it is half done, the other's begins: the rest of the first takes 10 min at half speed.
    let late = job("two", STOPS).replace("ideal", "submit = \"5 min\"\nideal").replace("10 h", "1 h");
    let accounts = accounts(8, "", &format!("{STORE}{}{late}", job("one", STOPS).replace("10 h", "1 h")));
    close(hours(&accounts, "one", "finished"), 1.25);
    // The second is half done at 01:15 and does the rest alone in 5 min.
    close(hours(&accounts, "two", "finished"), 80.0 / 60.0);
}

#[test]
fn a_write_in_the_background_is_durable_later_where_it_shares() {
    // Saves at 05:00 are written by 05:10 alone, by 05:20 together. Node 1, the first job's, breaks at 05:15.
    let faults = "1,18900,18900,gpu,,false\n";
    let alone = accounts(8, faults, &format!("{STORE}{}", job("one", BESIDE)));
    let both = accounts(8, faults, &format!("{STORE}{}{}", job("one", BESIDE), job("two", BESIDE)));
    close(gpu_hours(&alone, "one", "recomputed_gpu_hours"), 32.0 * 0.25);
    close(gpu_hours(&both, "one", "recomputed_gpu_hours"), 32.0 * 1.25);
    // The first reads alone: when it breaks, it writes no more, and the second is done by 05:17.5; it reads from 05:17 on.
    let waited = hours(&both, "one", "storage_wait") * 60.0;
    assert!(
        (waited - 0.5).abs() < 1e-6,
        "{waited} min: from 05:17 to 05:17:30 both read and write, half a minute of it lost"
    );
    close(hours(&both, "one", "finished"), 10.0 + 1.25 + 12.5 / 60.0);
    close(hours(&both, "two", "finished"), 10.0);
}

#[test]
fn a_save_that_finds_the_one_before_still_being_written_is_not_written() {
    // Seven jobs write together in 70 min what is saved by the hour: every second save is written.
    let jobs: String = ["a", "b", "c", "d", "e", "f", "g"].iter().map(|name| job(name, BESIDE)).collect();
    let accounts = accounts(28, "", &format!("{STORE}{jobs}"));
    for name in ["a", "g"] {
        close(hours(&accounts, name, "finished"), 10.0);
        assert_eq!(
            count(&accounts, name, "skipped_saves"),
            4.0,
            "those at two, four, six and eight; the last is the end"
        );
    }
}

#[test]
fn a_restart_storm_after_a_site_outage_is_slow() {
    // All nodes go at 05:30 and are back at once: alone a copy is read in 10 min, four of them in 40.
    let faults: String = (0..16).map(|node| format!("{node},19800,19800,gpu,site,false\n")).collect();
    let jobs = |names: &[&str]| -> String { names.iter().map(|name| job(name, BESIDE)).collect() };
    let alone = accounts(16, &faults, &format!("{STORE}{}", jobs(&["a"])));
    let storm = accounts(16, &faults, &format!("{STORE}{}", jobs(&["a", "b", "c", "d"])));
    // Half an hour is lost, the restart takes two minutes and the reading. Four writes of the save at 05:00 took until 05:40: each lost
    // another hour.
    close(hours(&alone, "a", "finished"), 10.0 + 0.5 + 12.0 / 60.0);
    for name in ["a", "b", "c", "d"] {
        close(hours(&storm, name, "finished"), 10.0 + 1.5 + 42.0 / 60.0);
        close(hours(&storm, name, "storage_wait"), 0.5);
        assert_eq!(own_time(&storm, name).last(), Some(&(Use::Reload, 2_400)));
    }
}

#[test]
fn shares_are_the_same_on_any_number_of_threads() {
    let text = format!(
        "name = \"stores\"\nseed = 3\nstart = \"2026-01-01T00:00:00Z\"\nduration = \"20 d\"\n[site.here]\ngrid = \"erco\"\n\
         tariff = {{ flat = \"$0.08/kWh\" }}\n[cluster.main]\nsite = \"here\"\nnode = \"dgx-h100\"\nnodes = 16\n\
         failures = {{ exponential = {{ rate = \"0.2 /d\" }} }}\nrepair = {{ mean = \"2 h\" }}\n{STORE}{}{}{}",
        job("a", BESIDE).replace("10 h", "9 d"),
        job("b", STOPS)
            .replace("10 h", "9 d")
            .replace("ideal", "submit = \"17 min\"\nspares.short = { shrink = { replica = 2 } }\nideal"),
        job("c", BESIDE).replace("10 h", "9 d").replace("every = \"1 h\"", "every = \"41 min\""),
    );
    let scenario = scenario::parse("stores.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"));
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| simulate(&scenario, |_| ()))
    });
    crate::worlds::assert_whole(&scenario, &one.accounts);
    assert_eq!(one.accounts.figures(), three.accounts.figures());
    assert!(hours(&one.accounts, "a", "storage_wait") > 0.0);
    assert!(count(&one.accounts, "b", "interruptions") > 3.0);
}
