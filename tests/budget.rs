//! Several services under one budget of GPUs: who gets them where they do not suffice.

use tollway::ledger::{Accounts, EventKind};
use tollway::scenario::parse;
use tollway::simulate;

/// Eight nodes, a service that fills them from the start, and another that opens after ten minutes, of `priority`: six replicas in the
/// first hour, one in the second.
fn run(priority: i32) -> Accounts {
    let hours: Vec<&str> = (0..24).map(|hour| if hour == 12 { "6" } else { "1" }).collect();
    let text = format!(
        r#"
name = "budget"
start = "2026-03-02T12:00:00Z"
duration = "2 h"
timeline = {{ step = "10 min" }}
[site.home]
grid = "miso"
tariff = {{ flat = "$0.08/kWh" }}
[cluster.main]
site = "home"
node = "dgx-h100"
nodes = 8
failures = {{ none = {{}} }}
[service.batch]
cluster = "main"
model = "llama-3.1-8b"
replica = {{ gpus = 8 }}
scale = {{ min = 1, max = 8, policy = {{ fixed = {{}} }} }}
arrivals = {{ chat = {{ rate = "2 /s" }} }}
[service.chat]
cluster = "main"
model = "llama-3.1-8b"
priority = {priority}
opens = {{ at = "10 min" }}
replica = {{ gpus = 8 }}
scale = {{ min = 1, max = 6, policy = {{ schedule = {{ weekdays = [{}] }} }} }}
arrivals = {{ chat = {{ rate = "2 /s" }} }}
"#,
        hours.join(", ")
    );
    simulate(&parse("budget.toml", &text).unwrap_or_else(|wrong| panic!("{wrong:?}")), |_| ()).accounts
}

/// What scaling said of a service.
fn scaled(accounts: &Accounts, subject: &str) -> Vec<String> {
    let tenant = accounts.tenants().iter().find(|tenant| tenant.subject == subject).unwrap();
    let events = tenant.book.events().iter().filter(|event| event.kind == EventKind::Scaled);
    events.map(|event| event.detail.clone()).collect()
}

#[test]
fn the_higher_priority_gets_gpus_first_and_gives_them_back() {
    let accounts = run(10);
    let batch = scaled(&accounts, "service.batch");
    assert_eq!(batch[..2], ["0 to 8 replicas", "8 to 2 replicas, for service.chat"], "{batch:?}");
    assert_eq!(batch.last().map(String::as_str), Some("2 to 7 replicas, 8 wanted"), "{batch:?}");
    let chat = scaled(&accounts, "service.chat");
    assert_eq!(chat, ["0 to 6 replicas", "6 to 1 replicas"]);
    let served = |subject: &str| accounts.figure(subject, "completed", "").unwrap();
    assert!(served("service.chat") > 0.9 * 110.0 * 60.0 * 2.0 && served("service.batch") > 0.9 * 120.0 * 60.0 * 2.0);
}

#[test]
fn among_equals_who_has_keeps() {
    let accounts = run(0);
    assert_eq!(scaled(&accounts, "service.batch"), ["0 to 8 replicas"]);
    assert_eq!(scaled(&accounts, "service.chat"), Vec::<String>::new());
    assert_eq!(accounts.figure("service.chat", "completed", ""), Some(0.0));
}
