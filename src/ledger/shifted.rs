//! What waiting for cleaner or cheaper hours saved: a run against its twin, the same scenario under the same chance in which no
//! job waits. Both have to finish; a job that is cut off by the horizon has done less work, not saved.

use super::Figure;
use super::accounts::{Accounts, Boundary};
use super::{Facts, JobFacts};
use crate::units::SimTime;

impl Accounts {
    /// Enters what each job that may wait saved against `twin`, inside B4: rows of `summary.csv` behind the job's others. Below
    /// zero is more than without waiting. No value where one of the two did not finish.
    pub fn compare_unshifted(&mut self, twin: &Accounts) {
        for index in 0..self.tenants().len() {
            let (subject, rows) = match (&self.tenants()[index].facts, &twin.tenants()[index].facts) {
                (Facts::Job(shifted), Facts::Job(plain)) if shifted.paused.is_some() => {
                    let subject = self.tenants()[index].subject.clone();
                    let rows = savings(&subject, (self, shifted), (twin, plain));
                    (subject, rows)
                }
                _ => continue,
            };
            self.enter_figures(&subject, rows);
        }
    }
}

/// What each metric was without waiting, less what it was with it, and that as a part of the former.
fn savings(subject: &str, shifted: (&Accounts, &JobFacts), plain: (&Accounts, &JobFacts)) -> Vec<Figure> {
    const SAVED: [(&str, &str, &str, &str); 5] = [
        ("carbon_marginal", "shift_saved_carbon_marginal", "shift_saved_carbon_marginal_fraction", "kgCO2e"),
        ("carbon", "shift_saved_carbon", "shift_saved_carbon_fraction", "kgCO2e"),
        ("energy_cost", "shift_saved_energy_cost", "shift_saved_energy_cost_fraction", "USD"),
        ("cost", "shift_saved_cost", "shift_saved_cost_fraction", "USD"),
        ("energy", "shift_saved_energy", "shift_saved_energy_fraction", "kWh"),
    ];
    let finished = shifted.1.finished.zip(plain.1.finished);
    let row = |metric, value, unit, boundary| Figure { subject: subject.to_owned(), metric, value, unit, boundary };
    let delay = finished.map(|(shifted, plain)| SimTime::as_secs_f64(shifted) - SimTime::as_secs_f64(plain));
    let mut rows = vec![row("shift_delay", delay, "s", None)];
    for (metric, amount, part, unit) in SAVED {
        let of = |accounts: &Accounts| accounts.figure(subject, metric, Boundary::B4.name());
        let both = of(shifted.0).zip(of(plain.0)).filter(|_| finished.is_some());
        let saved = both.map(|(shifted, plain)| plain - shifted);
        let share = both.filter(|(_, plain)| *plain != 0.0).map(|(shifted, plain)| (plain - shifted) / plain.abs());
        rows.push(row(amount, saved, unit, Some(Boundary::B4)));
        rows.push(row(part, share, "fraction", Some(Boundary::B4)));
    }
    rows
}
