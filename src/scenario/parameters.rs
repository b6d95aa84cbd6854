//! The parameters of a scenario: every value of it, defaults included, as a number in its canonical unit where it is a quantity.

use super::Scenario;
use super::file::ScenarioFile;
use crate::units::canonical;
use serde_json::Value;
use std::sync::Arc;

/// The sections of a checked scenario, every default filled in.
#[derive(Debug, Clone)]
pub struct Sections(pub(super) Arc<ScenarioFile>);

/// One value of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Where it stands, such as `training.pretrain.spares.hot`; an item of a list by its number.
    pub path: String,
    /// What stands there.
    pub value: ParameterValue,
}

/// What a parameter is.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterValue {
    /// A number.
    Number {
        /// How much.
        value: f64,
        /// In which unit, the base unit of its kind: `s`, `W`, `B`, `/s`, …; empty for a count, a share or a ratio.
        unit: &'static str,
    },
    /// A name, a choice, true or false.
    Text(String),
}

impl Scenario {
    /// All parameters, in the order of the sections. What is not set and has no default is not there.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let tree = serde_json::to_value(&*self.sections.0).expect("sections have text keys and finite numbers");
        let mut found = Vec::new();
        for (key, section) in tree.as_object().into_iter().flatten() {
            // Where it came from and what was published say nothing about what runs.
            if !matches!(key.as_str(), "extends" | "published") {
                gather(key, section, &mut found);
            }
        }
        found
    }
}

fn gather(path: &str, value: &Value, found: &mut Vec<Parameter>) {
    let mut enter = |value| found.push(Parameter { path: path.to_owned(), value });
    match value {
        Value::Null => {}
        Value::Bool(yes) => enter(ParameterValue::Text(yes.to_string())),
        Value::Number(number) => {
            enter(ParameterValue::Number { value: number.as_f64().expect("a number of ours fits"), unit: "" });
        }
        Value::String(text) => enter(match canonical(text) {
            Some((value, unit)) => ParameterValue::Number { value, unit },
            None => ParameterValue::Text(text.clone()),
        }),
        // A policy without settings; a kind of section of which there is none says nothing.
        Value::Object(entries) if entries.is_empty() && path.contains('.') => {
            enter(ParameterValue::Text("{}".to_owned()))
        }
        Value::Object(entries) => {
            entries.iter().for_each(|(key, inner)| gather(&format!("{path}.{key}"), inner, found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| gather(&format!("{path}.{index}"), item, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_there_and_quantities_are_numbers() {
        let text = include_str!("../../scenarios/highway.toml");
        let scenario = super::super::parse("highway.toml", text).unwrap_or_else(|complaints| panic!("{complaints}"));
        let parameters = scenario.parameters();
        let of = |path: &str| {
            let found = parameters.iter().find(|parameter| parameter.path == path);
            found.unwrap_or_else(|| panic!("{path}")).value.clone()
        };
        let number = |value, unit| ParameterValue::Number { value, unit };
        assert_eq!(of("duration"), number(540.0 * 86_400.0, "s"));
        assert_eq!(of("training.pretrain.tokens"), number(15.6e12, ""));
        assert_eq!(of("training.pretrain.checkpoint.remote.every"), ParameterValue::Text("auto".to_owned()));
        assert_eq!(of("site.abilene.tariff.flat"), number(0.0826, "USD/kWh"));
        assert_eq!(of("cluster.main.scheduler.fifo"), ParameterValue::Text("{}".to_owned()));
        // Not in the file: the defaults.
        assert_eq!(of("training.pretrain.recovery.repair"), number(457_920.0, "s"));
        assert_eq!(of("service.chat.scale.policy.target_load.load"), number(0.7, ""));
    }
}
