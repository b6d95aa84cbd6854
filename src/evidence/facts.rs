//! Every row of the two tables of published facts that this project was given, and where it stands.

/// How a published row stands to the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A case of `validate` reproduces it through a simulated mechanism.
    Reproduced,
    /// Arithmetic of its own inputs: evidence of bookkeeping, never of a model.
    Accounting,
    /// An input, a bound, or about something that is not modelled.
    Context,
}

/// One published row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Its id in the tables.
    pub id: &'static str,
    /// `training` or `energy`.
    pub table: &'static str,
    /// How it stands to the simulator.
    pub standing: Standing,
    /// Why.
    pub reason: &'static str,
}

/// All rows, in the order of the tables.
pub fn facts() -> impl Iterator<Item = Fact> {
    include_str!("facts.csv").lines().skip(1).map(|line| {
        let mut cells = line.splitn(4, ',');
        let mut cell = || cells.next().expect("the table has four columns");
        let (id, table, standing, reason) = (cell(), cell(), cell(), cell());
        Fact { id, table, standing: standing_of(standing), reason: reason.trim_matches('"') }
    })
}

fn standing_of(word: &str) -> Standing {
    match word {
        "reproduced" => Standing::Reproduced,
        "accounting" => Standing::Accounting,
        "context" => Standing::Context,
        other => unreachable!("the table knows three standings, not {other}"),
    }
}
