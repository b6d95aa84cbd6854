//! Designs: which combinations of the axes' values a sweep runs. A grid has them all; one at a time leaves the baseline along
//! one axis after the other; Latin hypercube and Sobol spread so many cells evenly over all axes at once.

use super::axis::{Axis, Levels, Value, Vary};
use super::draw::{latin_hypercube, sobol};
use super::sobol::DIMENSIONS;
use crate::scenario::instead;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which combinations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Design {
    /// All of them; the last axis varies fastest.
    #[default]
    Grid,
    /// The baseline, and each other value of each axis with the rest at the baseline.
    OneAtATime,
    /// `{ count = 50 }`: each axis in `count` strata, of which each is met once.
    LatinHypercube(Drawn),
    /// `{ count = 64 }`: points of a Sobol sequence, best a power of two.
    Sobol(Drawn),
}

/// What a design that draws takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// How many cells.
    pub count: usize,
    /// Chance of the drawing.
    #[serde(default = "first_seed")]
    pub seed: u64,
}

fn first_seed() -> u64 {
    1
}

/// A value of an axis, by its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Path of the axis.
    pub path: String,
    /// Label of the value.
    pub label: String,
}

impl Pick {
    /// The pick of a `path=value` argument.
    ///
    /// # Errors
    /// The argument is none.
    pub fn parse(text: &str) -> Result<Pick, String> {
        let (path, label) =
            text.split_once('=').ok_or_else(|| format!("the baseline takes path=value, found {text:?}"))?;
        Ok(Pick { path: path.trim().to_owned(), label: label.trim().to_owned() })
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path, self.label)
    }
}

/// The cells of a design.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    /// The axes, with every value that a cell has.
    pub(super) axes: Vec<Axis>,
    /// For each cell the index of its value on each axis.
    pub(super) points: Vec<Vec<usize>>,
    /// The cell that the others are compared with.
    pub(super) baseline: usize,
}

/// Cells that a sweep may have: rows of `cells.csv` and a checked scenario in memory for each.
const CELLS_MAX: usize = 100_000;

/// Lays out the cells of `varies`.
///
/// # Errors
/// What is wrong, in a sentence.
pub(super) fn lay_out(
    varies: Vec<Vary>,
    design: Design,
    excludes: &[Vec<Pick>],
    baseline: &[Pick],
) -> Result<Layout, String> {
    if varies.is_empty() {
        return Err("the sweep varies nothing; add --vary path=a,b,c or an [[axis]] to the sweep file".to_owned());
    }
    for (index, vary) in varies.iter().enumerate() {
        if varies[..index].iter().any(|before| before.path == vary.path) {
            return Err(format!("two axes vary `{}`; join their values", vary.path));
        }
    }
    let factors = factors(&varies)?;
    let (axes, mut points) = match design {
        Design::Grid => {
            let axes = listed(varies)?;
            let points = grid(&axes, &factors)?;
            (axes, points)
        }
        Design::OneAtATime => {
            let axes = listed(varies)?;
            let centre = centre(&axes, &factors, baseline)?;
            let points = one_at_a_time(&axes, &factors, &centre);
            (axes, points)
        }
        Design::LatinHypercube(Drawn { count, seed }) => {
            drawn(varies, &factors, latin_hypercube(count_of(count)?, factors.len(), seed))
        }
        Design::Sobol(Drawn { count, seed }) => {
            if factors.len() > DIMENSIONS {
                return Err(format!("a Sobol design has at most {DIMENSIONS} axes, found {}", factors.len()));
            }
            drawn(varies, &factors, sobol(count_of(count)?, factors.len(), seed))
        }
    };
    for (index, exclude) in excludes.iter().enumerate() {
        let exclude = resolve(&axes, exclude, "an exclude")?;
        let before = points.len();
        points.retain(|point| !matches(point, &exclude));
        if points.len() == before {
            let picks: Vec<String> = excludes[index].iter().map(Pick::to_string).collect();
            return Err(format!("the exclude {} leaves no cell out; take it out", picks.join(", ")));
        }
    }
    let picks = resolve(&axes, baseline, "the baseline")?;
    let baseline = points.iter().position(|point| matches(point, &picks));
    let baseline = baseline.ok_or_else(|| match points.is_empty() {
        true => "the excludes leave no cell".to_owned(),
        false => "the baseline is none of the cells".to_owned(),
    })?;
    Ok(Layout { axes, points, baseline })
}

/// The one cell of a sweep without axes, for a goal alone.
pub(super) fn lone(excludes: &[Vec<Pick>], baseline: &[Pick]) -> Result<Layout, String> {
    excludes.iter().try_for_each(|exclude| resolve(&[], exclude, "an exclude").map(drop))?;
    resolve(&[], baseline, "the baseline")?;
    Ok(Layout { axes: Vec::new(), points: vec![Vec::new()], baseline: 0 })
}

impl Layout {
    /// The same cells, each with both `values` of one more axis.
    pub(super) fn crossed(self, path: &str, values: [Value; 2]) -> Layout {
        let Layout { mut axes, points, baseline } = self;
        axes.push(Axis { path: path.to_owned(), values: values.into() });
        let both = |point: Vec<usize>| [0, 1].map(|end| [&point[..], &[end]].concat());
        Layout { axes, points: points.into_iter().flat_map(both).collect(), baseline: 2 * baseline }
    }
}

fn count_of(count: usize) -> Result<usize, String> {
    if (2..=CELLS_MAX).contains(&count) {
        Ok(count)
    } else {
        Err(format!("a design has 2 to {CELLS_MAX} cells, found {count}"))
    }
}

/// The groups of axes that move together, as indexes of `varies`: those of one `zip`, and each other alone.
fn factors(varies: &[Vary]) -> Result<Vec<Vec<usize>>, String> {
    let mut factors: Vec<Vec<usize>> = Vec::new();
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, vary) in varies.iter().enumerate() {
        match vary.zip.as_deref().and_then(|zip| named.get(zip)) {
            Some(&factor) => factors[factor].push(index),
            None => {
                named.extend(vary.zip.as_deref().map(|zip| (zip, factors.len())));
                factors.push(vec![index]);
            }
        }
    }
    for (zip, factor) in named {
        let lists = factors[factor].iter().filter_map(|&index| match &varies[index].levels {
            Levels::List(values) => Some((&varies[index].path, values.len())),
            Levels::Between(_) => None,
        });
        let lists: Vec<_> = lists.collect();
        if factors[factor].len() < 2 {
            return Err(format!("only one axis is in the zip group {zip:?}; name it on those that move together"));
        }
        if lists.iter().any(|(_, count)| *count != lists[0].1) {
            let counts: Vec<String> = lists.iter().map(|(path, count)| format!("`{path}` has {count}")).collect();
            return Err(format!(
                "the axes of the zip group {zip:?} take as many values each, found {}",
                counts.join(", ")
            ));
        }
    }
    Ok(factors)
}

/// The axes, where each has its values.
fn listed(varies: Vec<Vary>) -> Result<Vec<Axis>, String> {
    let axis = |vary: Vary| match vary.levels {
        Levels::List(values) => Ok(Axis { path: vary.path, values }),
        Levels::Between(_) => {
            let designs = "only the designs latin_hypercube and sobol draw between two ends";
            Err(format!("`{}`: a range takes one of count, step and factor; {designs}", vary.path))
        }
    };
    varies.into_iter().map(axis).collect()
}

fn grid(axes: &[Axis], factors: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, String> {
    let length = |factor: &Vec<usize>| axes[factor[0]].values.len();
    let count = factors.iter().try_fold(1_usize, |count, factor| count.checked_mul(length(factor)));
    let count = count.filter(|&count| count <= CELLS_MAX);
    let count = count.ok_or_else(|| format!("the axes make more than {CELLS_MAX} cells"))?;
    let point = |mut rest: usize| {
        let mut point = vec![0; axes.len()];
        for factor in factors.iter().rev() {
            factor.iter().for_each(|&axis| point[axis] = rest % length(factor));
            rest /= length(factor);
        }
        point
    };
    Ok((0..count).map(point).collect())
}

/// The point with the picked values, and the first value of each other axis.
fn centre(axes: &[Axis], factors: &[Vec<usize>], picks: &[Pick]) -> Result<Vec<usize>, String> {
    let mut centre = vec![0; axes.len()];
    for (axis, value) in resolve(axes, picks, "the baseline")? {
        let factor = factors.iter().find(|factor| factor.contains(&axis)).expect("each axis is in a factor");
        factor.iter().for_each(|&axis| centre[axis] = value);
    }
    Ok(centre)
}

fn one_at_a_time(axes: &[Axis], factors: &[Vec<usize>], centre: &[usize]) -> Vec<Vec<usize>> {
    let mut points = vec![centre.to_vec()];
    for factor in factors {
        for value in (0..axes[factor[0]].values.len()).filter(|&value| value != centre[factor[0]]) {
            let mut point = centre.to_vec();
            factor.iter().for_each(|&axis| point[axis] = value);
            points.push(point);
        }
    }
    points
}

/// The axes and points at `shares` of the way along each factor; a combination that comes twice stays once.
fn drawn(varies: Vec<Vary>, factors: &[Vec<usize>], shares: Vec<Vec<f64>>) -> (Vec<Axis>, Vec<Vec<usize>>) {
    let factor_of =
        |axis: usize| factors.iter().position(|factor| factor.contains(&axis)).expect("each axis is in a factor");
    let mut points = vec![vec![0; varies.len()]; shares.len()];
    let mut axes = Vec::with_capacity(varies.len());
    for (index, vary) in varies.into_iter().enumerate() {
        let along = shares.iter().map(|share| share[factor_of(index)]);
        let values = match vary.levels {
            Levels::List(values) => {
                let at = along.map(|share| ((share * values.len() as f64) as usize).min(values.len() - 1));
                points.iter_mut().zip(at).for_each(|(point, at)| point[index] = at);
                values
            }
            Levels::Between(between) => {
                let mut values = Vec::new();
                let mut known: BTreeMap<String, usize> = BTreeMap::new();
                for (point, share) in points.iter_mut().zip(along) {
                    let value = between.at(share);
                    point[index] = *known.entry(value.label.clone()).or_insert(values.len());
                    if point[index] == values.len() {
                        values.push(value);
                    }
                }
                values
            }
        };
        axes.push(Axis { path: vary.path, values });
    }
    let mut seen = BTreeSet::new();
    points.retain(|point| seen.insert(point.clone()));
    (axes, points)
}

/// `picks` as indexes of axis and value, for `who`.
fn resolve(axes: &[Axis], picks: &[Pick], who: &str) -> Result<Vec<(usize, usize)>, String> {
    let resolve = |pick: &Pick| {
        let paths: Vec<_> = axes.iter().map(|axis| axis.path.as_str()).collect();
        let axis = paths.iter().position(|path| *path == pick.path).ok_or_else(|| {
            let help = instead(&pick.path, &paths, "the axes").unwrap_or_default();
            format!("{who} names `{}`, which no axis varies; {help}", pick.path)
        })?;
        let labels: Vec<_> = axes[axis].values.iter().map(|value| value.label.as_str()).collect();
        let value = labels.iter().position(|label| *label == pick.label).ok_or_else(|| {
            let help = instead(&pick.label, &labels, "there are").unwrap_or_default();
            format!("{who} names {pick}, which is no value of its axis; {help}")
        })?;
        Ok((axis, value))
    };
    picks.iter().map(resolve).collect()
}

fn matches(point: &[usize], picks: &[(usize, usize)]) -> bool {
    picks.iter().all(|&(axis, value)| point[axis] == value)
}

#[cfg(test)]
mod tests {
    use super::super::axis::{Between, Scale};
    use super::*;

    fn zipped(zip: &str, vary: &str) -> Vary {
        Vary { zip: Some(zip.to_owned()), ..Vary::parse(vary).unwrap() }
    }

    fn between(path: &str, from: &str, to: &str) -> Vary {
        Vary::new(path, Levels::Between(Between::new(from, to, Scale::Linear).unwrap()))
    }

    fn picks(texts: &[&str]) -> Vec<Pick> {
        texts.iter().map(|text| Pick::parse(text).unwrap()).collect()
    }

    fn cells(layout: Layout) -> Vec<String> {
        let Layout { axes, points, .. } = layout;
        let labels = |point: &Vec<usize>| {
            let labels = axes.iter().zip(point).map(|(axis, &at)| axis.values[at].label.clone());
            labels.collect::<Vec<_>>().join(" ")
        };
        points.iter().map(labels).collect()
    }

    fn varies(texts: &[&str]) -> Vec<Vary> {
        texts.iter().map(|text| Vary::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_grid_has_all_but_what_is_excluded() {
        let excludes = [picks(&["a=1", "b=y"]), picks(&["b=z"])];
        let layout = lay_out(varies(&["a=1,2", "b=x,y,z"]), Design::Grid, &excludes, &picks(&["a=2"])).unwrap();
        assert_eq!(layout.baseline, 1);
        assert_eq!(cells(layout), ["1 x", "2 x", "2 y"]);
    }

    #[test]
    fn what_is_zipped_moves_together() {
        let all = vec![zipped("size", "a=1,2"), Vary::parse("b=x,y").unwrap(), zipped("size", "c=7,8")];
        let layout = lay_out(all.clone(), Design::Grid, &[], &picks(&["c=8"])).unwrap();
        assert_eq!(layout.baseline, 2);
        assert_eq!(cells(layout), ["1 x 7", "1 y 7", "2 x 8", "2 y 8"]);
        let one = lay_out(all, Design::OneAtATime, &[], &picks(&["c=8"])).unwrap();
        assert_eq!(cells(one), ["2 x 8", "1 x 7", "2 y 8"]);
    }

    #[test]
    fn one_at_a_time_leaves_the_baseline_along_each_axis() {
        let layout = lay_out(varies(&["a=1,2,3", "b=x,y"]), Design::OneAtATime, &[], &picks(&["a=2"])).unwrap();
        assert_eq!(layout.baseline, 0);
        assert_eq!(cells(layout), ["2 x", "1 x", "3 x", "2 y"]);
    }

    #[test]
    fn a_latin_hypercube_meets_each_stratum_of_each_axis_once() {
        let all = || vec![between("a", "0.0", "20.0"), Vary::parse("b=w,x,y,z").unwrap()];
        let design = |seed| Design::LatinHypercube(Drawn { count: 20, seed });
        let layout = lay_out(all(), design(1), &[], &[]).unwrap();
        let number = |value: &super::super::axis::Value| value.label.parse::<f64>().unwrap();
        let strata: BTreeSet<usize> = layout.axes[0].values.iter().map(|value| number(value) as usize).collect();
        assert_eq!(strata, (0..20).collect());
        let count = |level| layout.points.iter().filter(|point| point[1] == level).count();
        assert_eq!([0, 1, 2, 3].map(count), [5; 4]);
        assert_eq!(lay_out(all(), design(1), &[], &[]).unwrap(), layout);
        assert_ne!(lay_out(all(), design(2), &[], &[]).unwrap(), layout);
    }

    #[test]
    fn a_sobol_design_fills_squares_evenly() {
        let all = vec![between("a", "0.0", "1.0"), between("b", "0.0", "1.0")];
        let layout = lay_out(all, Design::Sobol(Drawn { count: 16, seed: 1 }), &[], &[]).unwrap();
        let at = |point: &[usize], axis: usize| layout.axes[axis].values[point[axis]].label.parse::<f64>().unwrap();
        // A digital net: each of the 4 x 4 squares holds one of 16 points.
        let squares: BTreeSet<(usize, usize)> =
            layout.points.iter().map(|point| ((at(point, 0) * 4.0) as usize, (at(point, 1) * 4.0) as usize)).collect();
        assert_eq!(squares.len(), 16);
    }

    #[test]
    fn a_combination_that_is_drawn_twice_runs_once() {
        let layout = lay_out(varies(&["a=1,2"]), Design::Sobol(Drawn { count: 8, seed: 1 }), &[], &[]).unwrap();
        assert_eq!(layout.points.len(), 2);
    }

    #[test]
    fn what_cannot_be_laid_out_is_said() {
        let said = |varies: Vec<Vary>, design, excludes: &[Vec<Pick>], baseline: &[&str]| {
            lay_out(varies, design, excludes, &picks(baseline)).unwrap_err()
        };
        let ab = || varies(&["a=1,2", "b=x,y"]);
        let grid = Design::Grid;
        assert_eq!(
            said(ab(), grid, &[picks(&["a=3"])], &[]),
            "an exclude names a=3, which is no value of its axis; did you mean `1`?"
        );
        assert_eq!(
            said(ab(), grid, &[picks(&["a=1"]), picks(&["a=1", "b=x"])], &[]),
            "the exclude a=1, b=x leaves no cell out; take it out"
        );
        assert_eq!(said(ab(), grid, &[picks(&["a=1"]), picks(&["a=2"])], &[]), "the excludes leave no cell");
        assert_eq!(said(ab(), grid, &[picks(&["a=1"])], &["a=1"]), "the baseline is none of the cells");
        assert!(said(vec![between("a", "1", "2")], grid, &[], &[]).starts_with("`a`: a range takes one of count"));
        assert_eq!(
            said(vec![zipped("s", "a=1,2"), zipped("s", "b=1,2,3")], grid, &[], &[]),
            "the axes of the zip group \"s\" take as many values each, found `a` has 2, `b` has 3"
        );
        assert!(said(vec![zipped("s", "a=1,2")], grid, &[], &[]).starts_with("only one axis is in the zip group"));
        let sobol = Design::Sobol(Drawn { count: 1, seed: 1 });
        assert_eq!(said(ab(), sobol, &[], &[]), "a design has 2 to 100000 cells, found 1");
    }
}
