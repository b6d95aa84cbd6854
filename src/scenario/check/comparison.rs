//! What the comparison is to be run again for.

use super::Check;
use crate::ledger::Factor;
use crate::units::Ratio;

/// More values than a small table holds, each of which is a run.
const MOST_VALUES: usize = 8;

impl Check<'_> {
    /// Each factor and value that `[comparison]` asks for.
    pub(super) fn reruns(&mut self) -> Vec<(Factor, f64)> {
        let section = &self.typed.file.comparison;
        let asked = [(Factor::Traffic, &section.traffic), (Factor::Utilisation, &section.utilisation)];
        for (factor, values) in asked {
            let at = ["comparison", factor.name()];
            if let Some(value) = values.iter().find(|value| !(0.01..=100.0).contains(&value.as_f64())) {
                let help = "each value is a factor: 2 is twice, 0.5 is half as much".to_owned();
                self.refuse(&at, format!("has {value}, outside 0.01 to 100"), help);
            }
            if values.len() > MOST_VALUES {
                self.refuse(&at, format!("has {} values, each of which is a run", values.len()), {
                    Some(format!("keep to {MOST_VALUES}, or use `tollway sweep`"))
                });
            }
            let file = &self.typed.file;
            if !values.is_empty() && (file.training.is_empty() || file.service.is_empty()) {
                let help = "it needs a [training.<name>] and a [service.<name>]".to_owned();
                self.refuse(&at, "asks when serving overtakes training, and one of them is missing", help);
            }
        }
        let pairs = |(factor, values): (Factor, &Vec<Ratio>)| {
            values.iter().map(move |value| (factor, value.as_f64())).collect::<Vec<_>>()
        };
        asked.into_iter().flat_map(pairs).collect()
    }
}
