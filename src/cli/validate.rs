//! `tollway validate`: published against simulated.

use super::{BAD_INPUT, DONE, OUTSIDE, print};
use tollway::evidence::{self, CASES, Case, Finding, Standing};
use tollway::{scenario, simulate};

/// Replays the named cases, or all, and prints published, simulated, difference, band and source.
pub(crate) fn validate(names: &[String]) -> u8 {
    if let Some(unknown) = names.iter().find(|name| CASES.iter().all(|case| case.name != **name)) {
        let known: Vec<_> = CASES.iter().map(|case| case.name).collect();
        eprintln!("error: no published case is named {unknown:?}; there are {}", known.join(", "));
        return BAD_INPUT;
    }
    let asked = |case: &&Case| names.is_empty() || names.iter().any(|name| name == case.name);
    let findings: Vec<Finding> = CASES.iter().filter(asked).flat_map(replay).collect();
    let mut text = table(&findings);
    if names.is_empty() {
        text.push_str(&standings());
    }
    let outside = findings.iter().filter(|finding| !finding.passes()).count();
    text.push_str(&format!(
        "\n{} figures of {} cases, {outside} outside their band\n",
        findings.len(),
        CASES.iter().filter(asked).count()
    ));
    print(&text).max(if outside == 0 { DONE } else { OUTSIDE })
}

/// One case through the ordinary engine.
fn replay(case: &Case) -> Vec<Finding> {
    let scenario =
        scenario::parse(case.name, case.text).unwrap_or_else(|complaints| panic!("{}: {complaints}", case.name));
    evidence::compare(&scenario, &simulate(&scenario, |_| ()).accounts)
}

fn table(findings: &[Finding]) -> String {
    let mut text = format!(
        "{:<22} {:<31} {:>14} {:>14} {:<7} {:>8} {:>7}  {:<10} {}\n",
        "id", "figure", "published", "simulated", "unit", "differs", "band", "kind", "source"
    );
    for finding in findings {
        let published = &finding.published;
        let simulated = finding.simulated.map_or("none".to_owned(), |value| figure(value));
        let differs = finding.difference_pct().map_or(String::new(), |difference| format!("{difference:+.2} %"));
        let verdict = if finding.passes() { "" } else { "  OUTSIDE" };
        text.push_str(&format!(
            "{:<22} {:<31} {:>14} {:>14} {:<7} {:>8} {:>7}  {:<10} {}{verdict}\n",
            published.id,
            [published.subject.as_str(), published.metric.as_str(), published.boundary.as_str()].join(" ").trim_end(),
            figure(published.value),
            simulated,
            published.unit,
            differs,
            format!("{} %", published.band_pct),
            finding.kind(),
            published.source,
        ));
    }
    text
}

/// Six significant digits, plain.
fn figure(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { 5 - libm::floor(libm::log10(value.abs())) as i32 };
    format!("{value:.*}", digits.clamp(0, 6) as usize)
}

/// Every published row, and where it stands.
fn standings() -> String {
    let mut text = "\nEvery published row that we know, and where it stands:\n".to_owned();
    for fact in evidence::facts() {
        let standing = match fact.standing {
            Standing::Reproduced => "reproduced",
            Standing::Accounting => "accounting",
            Standing::Context => "context",
        };
        text.push_str(&format!("  {:<22} {:<10} {}\n", fact.id, standing, fact.reason));
    }
    text
}
