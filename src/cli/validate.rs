//! `tollway validate`: published against simulated.

use super::{BAD_INPUT, DONE, OUTSIDE, print};
use tollway::evidence::{self, CASES, Case, Finding, Standing};
use tollway::ledger::Spread;
use tollway::scenario;

/// Replays the named cases, or all, and prints published, simulated, difference, band and source.
pub(crate) fn validate(names: &[String]) -> u8 {
    if let Some(unknown) = names.iter().find(|name| CASES.iter().all(|case| case.name != **name)) {
        let known: Vec<_> = CASES.iter().map(|case| case.name).collect();
        eprintln!("error: no published case is named {unknown:?}; there are {}", known.join(", "));
        return BAD_INPUT;
    }
    let asked = |case: &&Case| names.is_empty() || names.iter().any(|name| name == case.name);
    let findings: Vec<(&str, Finding)> = CASES.iter().filter(asked).flat_map(replay).collect();
    let mut text = table(&findings);
    if names.is_empty() {
        text.push_str(&standings());
    }
    let outside = findings.iter().filter(|(_, finding)| !finding.passes()).count();
    text.push_str(&format!(
        "\n{} figures of {} cases, {outside} outside their band\n",
        findings.len(),
        CASES.iter().filter(asked).count()
    ));
    print(&text).max(if outside == 0 { DONE } else { OUTSIDE })
}

/// One case through the ordinary engine.
fn replay(case: &'static Case) -> impl Iterator<Item = (&'static str, Finding)> {
    let scenario =
        scenario::parse(case.name, case.text).unwrap_or_else(|complaints| panic!("{}: {complaints}", case.name));
    evidence::replay(&scenario).into_iter().map(|finding| (case.name, finding))
}

fn table(findings: &[(&str, Finding)]) -> String {
    let row = |cells: [&str; 9]| {
        let [case, figure, published, simulated, unit, differs, band, kind, source] = cells;
        format!(
            "{case:<20} {figure:<37} {published:>11} {simulated:>11} {unit:<8} {differs:>9} {band:>7}  {kind:<10} {source}\n"
        )
    };
    let mut text = row(["case", "figure", "published", "simulated", "unit", "differs", "band", "kind", "source"]);
    for (case, finding) in findings {
        let published = &finding.published;
        let subject = published.subject.split_once('.').map_or(published.subject.as_str(), |(kind, _)| kind);
        text.push_str(&row([
            case,
            format!("{subject} {} {}", published.metric, published.boundary).trim_end(),
            &figure(published.value),
            &finding.simulated.map_or("none".to_owned(), figure),
            &published.unit,
            &finding.difference_pct().map_or(String::new(), |difference| format!("{difference:+.2} %")),
            &format!("{} %", published.band_pct),
            finding.kind(),
            &format!(
                "{}{}{}",
                if finding.passes() { "" } else { "OUTSIDE ITS BAND: " },
                finding.spread.as_ref().map_or(String::new(), spread),
                published.source
            ),
        ]));
    }
    text
}

/// What a mean over replications is made of.
fn spread(spread: &Spread) -> String {
    let sd = spread.sd.map_or(String::new(), |sd| format!(", standard deviation {}", figure(sd)));
    format!("mean of {} replications{sd}; ", spread.n)
}

/// Six significant digits, plain; as many as fit with an exponent below a thousandth.
fn figure(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.3e}");
    }
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
