//! The summary and the comparison as one JSON object, for `run --json`.

use super::number::figure;
use crate::ledger::{Accounts, Facts, Figure, Row, Shift};
use serde_json::{Map, Value, json};

/// `{ "summary": [{ subject, metric, value, unit, boundary }, …], "comparison": [{ boundary, axis, training, … }, …],
/// "sensitivity": [{ factor, value, method, … }, …], "fidelity": { "service.<name>": "requests" | "sampled" | "fluid", … } }`, with the numbers of the CSV files; missing is `null`.
#[must_use]
pub fn json(accounts: &Accounts) -> String {
    let summary: Vec<Value> = accounts.figures().iter().map(summary_row).collect();
    let comparison: Vec<Value> = accounts.comparison().rows().iter().map(comparison_row).collect();
    let sensitivity: Vec<Value> = accounts.comparison().shifts().iter().map(sensitivity_row).collect();
    let fidelity = accounts.tenants().iter().filter_map(|tenant| match &tenant.facts {
        Facts::Service(facts) => Some((tenant.subject.clone(), Value::from(facts.fidelity))),
        _ => None,
    });
    let fidelity = fidelity.collect::<Map<_, _>>();
    json!({ "summary": summary, "comparison": comparison, "sensitivity": sensitivity, "fidelity": fidelity })
        .to_string()
}

fn summary_row(row: &Figure) -> Value {
    json!({
        "subject": row.subject,
        "metric": row.metric,
        "value": number(row.value),
        "unit": row.unit,
        "boundary": row.boundary.map(|boundary| boundary.name()),
    })
}

fn comparison_row(row: &Row) -> Value {
    let names = [json!(row.boundary.name()), json!(row.axis.name())];
    let values = row.values().map(number);
    let columns = Row::COLUMNS.into_iter().map(str::to_owned);
    Value::Object(columns.zip(names.into_iter().chain(values)).collect::<Map<_, _>>())
}

fn sensitivity_row(shift: &Shift) -> Value {
    let [factor, method, boundary, axis] = shift.names().map(Value::from);
    let cells = [factor, number(Some(shift.value)), method, boundary, axis];
    let columns = Shift::COLUMNS.into_iter().map(str::to_owned);
    Value::Object(columns.zip(cells.into_iter().chain(shift.values().map(number))).collect::<Map<_, _>>())
}

/// The number that the CSV files print.
fn number(value: Option<f64>) -> Value {
    figure(value).parse::<f64>().map_or(Value::Null, Value::from)
}
