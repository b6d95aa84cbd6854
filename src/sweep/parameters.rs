//! The parameters of a sweep's cells as columns: numbers in canonical units beside the labels of the axes, and on request every
//! parameter of the scenario.

use super::{Axis, Cell};
use crate::report::{AxisColumn, ParameterColumn};
use crate::scenario::{Parameter, ParameterValue};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What the files show of each cell's scenario.
#[derive(Debug, Default)]
pub struct Parameters {
    axes: Vec<AxisColumn>,
    numbers: Vec<Vec<Option<f64>>>,
    all: Vec<ParameterColumn>,
    values: Vec<Vec<String>>,
}

impl Parameters {
    /// The columns of `axes` and the values of `cells` in them; with `every`, one more column for each parameter of any cell.
    #[must_use]
    pub(super) fn of(axes: &[Axis], cells: &[Cell], every: Every) -> Parameters {
        // Of most parameters nobody asks: what the axes name is kept.
        let kept = |cell: &Cell| match every {
            Every::Axis => {
                by_path(cell).into_iter().filter(|(path, _)| axes.iter().any(|axis| axis.path == *path)).collect()
            }
            Every::Parameter => by_path(cell),
        };
        let parameters: Vec<BTreeMap<String, ParameterValue>> = cells.par_iter().map(kept).collect();
        let number = |path: &str, of: &BTreeMap<String, ParameterValue>| match of.get(path) {
            Some(ParameterValue::Number { value, .. }) => Some(*value),
            _ => None,
        };
        let numbers = parameters.iter().map(|of| axes.iter().map(|axis| number(&axis.path, of)).collect()).collect();
        let column = |(index, axis): (usize, &Axis)| {
            let units = parameters.iter().filter_map(|of| match of.get(&axis.path) {
                Some(ParameterValue::Number { unit, .. }) => Some(*unit),
                _ => None,
            });
            let says_it = |(cell, of): (&Cell, &BTreeMap<String, ParameterValue>)| {
                number(&axis.path, of).is_none_or(|number| cell.values[index].parse() == Ok(number))
            };
            // A plain number is its own label.
            let unit = units.max().filter(|unit| !unit.is_empty() || !cells.iter().zip(&parameters).all(says_it));
            AxisColumn { path: axis.path.clone(), unit }
        };
        let axes = axes.iter().enumerate().map(column).collect();
        let (all, values) = match every {
            Every::Axis => (Vec::new(), vec![Vec::new(); cells.len()]),
            Every::Parameter => all(&parameters),
        };
        Parameters { axes, numbers, all, values }
    }

    pub(super) fn axes(&self) -> &[AxisColumn] {
        &self.axes
    }

    pub(super) fn all(&self) -> &[ParameterColumn] {
        &self.all
    }

    /// Numbers on the axes, and the values of all parameters, of the `index`-th cell.
    pub(super) fn cell(&self, index: usize) -> (&[Option<f64>], &[String]) {
        (&self.numbers[index], &self.values[index])
    }
}

/// Of what `runs.csv` has columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Of each axis.
    Axis,
    /// Of each axis and of each parameter of the scenario, defaults included.
    Parameter,
}

impl Every {
    /// Every parameter where that is asked for.
    #[must_use]
    pub fn asked(every_parameter: bool) -> Every {
        if every_parameter { Every::Parameter } else { Every::Axis }
    }
}

fn by_path(cell: &Cell) -> BTreeMap<String, ParameterValue> {
    cell.scenario.parameters().into_iter().map(|Parameter { path, value }| (path, value)).collect()
}

/// A column for each path of any cell, and each cell's text in it.
fn all(cells: &[BTreeMap<String, ParameterValue>]) -> (Vec<ParameterColumn>, Vec<Vec<String>>) {
    let mut units: BTreeMap<&str, &'static str> = BTreeMap::new();
    for (path, value) in cells.iter().flatten() {
        let unit = match value {
            ParameterValue::Number { unit, .. } => unit,
            ParameterValue::Text(_) => "",
        };
        let known = units.entry(path).or_insert(unit);
        *known = (*known).max(unit);
    }
    let text = |value: &ParameterValue| match value {
        ParameterValue::Number { value, .. } => crate::report::number(*value),
        ParameterValue::Text(text) => text.clone(),
    };
    let row = |cell: &BTreeMap<String, ParameterValue>| {
        units.keys().map(|path| cell.get(*path).map_or(String::new(), text)).collect()
    };
    let values = cells.iter().map(row).collect();
    (units.into_iter().map(|(path, unit)| ParameterColumn { path: path.to_owned(), unit }).collect(), values)
}
