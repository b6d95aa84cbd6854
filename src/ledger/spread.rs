//! How a figure varies over replications: mean, standard deviation, Student's 95 % interval and percentiles, each computed
//! here, once, in the order of the replications.

use super::Figure;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, FRAC_PI_2};
use std::sync::OnceLock;

/// One figure over replications.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Whose figure, which, in which unit and boundary; its value is that of the first replication that has the row.
    pub figure: Figure,
    /// Its value in each replication, in their order; none where there is nothing to say.
    pub values: Values,
}

/// A value of each replication, or none. A sweep holds thousands of thousands of them, so NaN, which no figure is, stands for none.
#[derive(Debug, Clone, Default)]
pub struct Values(Vec<f64>);

impl Values {
    /// The value of a replication; none where there is no such replication either.
    #[must_use]
    pub fn get(&self, replication: usize) -> Option<f64> {
        self.0.get(replication).copied().filter(|value| !value.is_nan())
    }

    /// The value of each replication.
    pub fn iter(&self) -> impl Iterator<Item = Option<f64>> {
        self.0.iter().map(|value| Some(*value).filter(|value| !value.is_nan()))
    }

    /// Enters the value of the `replication`-th, with none for those before it that are not there.
    fn enter(&mut self, replication: usize, value: Option<f64>) {
        self.end(replication);
        self.0.push(value.unwrap_or(f64::NAN));
    }

    /// Has none for all that are not there of `count` replications.
    fn end(&mut self, count: usize) {
        self.0.resize(count, f64::NAN);
    }
}

impl FromIterator<Option<f64>> for Values {
    fn from_iter<I: IntoIterator<Item = Option<f64>>>(values: I) -> Values {
        Values(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Sample {
    /// How the values that are there spread; none where there is not one.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        Spread::of(&self.values.iter().flatten().collect::<Vec<f64>>())
    }

    /// How those of `values` that are there spread; none where there is not one.
    #[must_use]
    pub fn spread_of(values: &[Option<f64>]) -> Option<Spread> {
        Spread::of(&values.iter().copied().flatten().collect::<Vec<f64>>())
    }
}

/// Every figure of several replications of one scenario, in the order of `summary.csv`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replications {
    samples: Vec<Sample>,
    count: usize,
}

impl Replications {
    /// The figures of each replication, in their order, gathered by subject, metric and boundary.
    #[must_use]
    pub fn gather(runs: impl IntoIterator<Item = Vec<Figure>>) -> Replications {
        let mut all = Replications::default();
        for figures in runs {
            all.enter(figures);
        }
        // A sweep holds some for each figure of each cell: what growing left over would be a third of its memory.
        all.samples.shrink_to_fit();
        all.samples.iter_mut().for_each(|sample| {
            sample.values.end(all.count);
            sample.values.0.shrink_to_fit();
        });
        all
    }

    /// How many replications.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// One sample for each figure.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The widest half-width of the figures that `goal` means, over the one that it asks for; none where there is no such figure.
    #[must_use]
    pub fn excess(&self, goal: &Goal) -> Option<f64> {
        let meant = self.samples.iter().filter(|sample| goal.figure.means(&sample.figure));
        let excesses = meant.map(|sample| sample.spread().map_or(0.0, |spread| goal.excess(&spread)));
        excesses.reduce(f64::max)
    }

    /// Enters one more replication, whose figures mostly come in the order of the others'.
    fn enter(&mut self, figures: Vec<Figure>) {
        for (index, figure) in figures.into_iter().enumerate() {
            let same = |sample: &Sample| sample.figure.is_same(&figure);
            let expected = self.samples.get(index).is_some_and(same).then_some(index);
            let value = figure.value;
            let at = expected.or_else(|| self.samples.iter().position(same)).unwrap_or(self.samples.len());
            if at == self.samples.len() {
                self.samples.push(Sample { figure, values: Values::default() });
            }
            self.samples[at].values.enter(self.count, value);
        }
        self.count += 1;
    }
}

/// A figure by name: `ettr`, `training.llama3/ettr`, `cost@B4`, `training.llama3/cost@B4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FigureName {
    /// Its subject; unset, every subject's.
    pub subject: Option<String>,
    /// The figure.
    pub metric: String,
    /// Its boundary; unset, whatever it has.
    pub boundary: Option<String>,
}

impl From<&str> for FigureName {
    fn from(text: &str) -> FigureName {
        let (subject, metric) = text.split_once('/').map_or((None, text), |(subject, rest)| (Some(subject), rest));
        let (metric, boundary) = metric.split_once('@').map_or((metric, None), |(metric, rest)| (metric, Some(rest)));
        let owned = |text: &str| text.trim().to_owned();
        FigureName { subject: subject.map(owned), metric: owned(metric), boundary: boundary.map(owned) }
    }
}

impl std::fmt::Display for FigureName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(subject) = &self.subject {
            write!(f, "{subject}/")?;
        }
        f.write_str(&self.metric)?;
        self.boundary.iter().try_for_each(|boundary| write!(f, "@{boundary}"))
    }
}

impl FigureName {
    /// The whole name of `figure`.
    #[must_use]
    pub fn of(figure: &Figure) -> FigureName {
        FigureName {
            subject: Some(figure.subject.clone()),
            metric: figure.metric.to_owned(),
            boundary: figure.boundary.map(|boundary| boundary.name().to_owned()),
        }
    }

    /// Whether `figure` is one that it names.
    #[must_use]
    pub fn means(&self, figure: &Figure) -> bool {
        figure.metric == self.metric
            && self.subject.as_ref().is_none_or(|subject| *subject == figure.subject)
            && self.boundary.as_deref().is_none_or(|name| figure.boundary.is_some_and(|it| it.name() == name))
    }
}

/// How narrow the interval of a figure's mean is to be: `ettr=0.005`, `training.llama3/cost@B4=0.5%`.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// The figure.
    pub figure: FigureName,
    /// The half-width to reach, in the figure's unit or in parts of its mean.
    pub half_width: HalfWidth,
    /// Confidence of the interval, between 0 and 1.
    pub confidence: f64,
}

/// Half of an interval's width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HalfWidth {
    /// In the figure's unit.
    Absolute(f64),
    /// In parts of the mean.
    Relative(f64),
}

impl std::str::FromStr for HalfWidth {
    type Err = String;
    fn from_str(text: &str) -> Result<HalfWidth, String> {
        let (number, relative) = match text.trim().strip_suffix('%') {
            Some(percent) => (percent.trim(), true),
            None => (text.trim(), false),
        };
        let form = "a number in the figure's unit, such as 0.005, or in per cent of the mean, such as 0.5%";
        let number: f64 = number.parse().map_err(|_| format!("{text:?} is no half-width; expected {form}"))?;
        if !(number > 0.0 && number.is_finite()) {
            return Err(format!("a half-width is above zero, found {text}"));
        }
        Ok(if relative { HalfWidth::Relative(number / 100.0) } else { HalfWidth::Absolute(number) })
    }
}

impl std::str::FromStr for Goal {
    type Err = String;
    fn from_str(text: &str) -> Result<Goal, String> {
        let form = "METRIC=HALF_WIDTH, such as ettr=0.005 or training.pretrain/cost@B4=0.5%";
        let (name, width) = text.rsplit_once('=').ok_or_else(|| format!("expected {form}"))?;
        Ok(Goal { figure: FigureName::from(name), half_width: width.parse()?, confidence: 0.95 })
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.half_width {
            HalfWidth::Absolute(width) => write!(f, "{}={width}", self.figure)?,
            HalfWidth::Relative(width) => write!(f, "{}={}%", self.figure, width * 100.0)?,
        }
        if self.confidence == 0.95 { Ok(()) } else { write!(f, " at {} %", self.confidence * 100.0) }
    }
}

impl Goal {
    /// The half-width of `spread` over the one to reach; infinite where one value has none.
    fn excess(&self, spread: &Spread) -> f64 {
        let wanted = match self.half_width {
            HalfWidth::Absolute(width) => width,
            HalfWidth::Relative(part) => part * spread.mean.abs(),
        };
        match spread.half_width_at(self.confidence) {
            Some(0.0) => 0.0,
            Some(half_width) => half_width / wanted,
            None => f64::INFINITY,
        }
    }
}

/// How some values spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// How many values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Standard deviation of the sample, over n - 1; none for one value.
    pub sd: Option<f64>,
    /// Half-width of the 95 % interval of the mean by Student's t; none for one value.
    pub half_width: Option<f64>,
    /// 5th percentile, interpolated between order statistics as spreadsheets do (Hyndman and Fan, 1996, type 7).
    pub p5: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
}

impl Spread {
    /// The spread of `values`; none where there is not one.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Spread> {
        if values.is_empty() {
            return None;
        }
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let sd = (n > 1).then(|| libm::sqrt(squares / (n - 1) as f64));
        let half_width = sd.map(|sd| if sd > 0.0 { student_95(n - 1) * sd / libm::sqrt(n as f64) } else { 0.0 });
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let [p5, p50, p95] = [0.05, 0.50, 0.95].map(|share| percentile(&sorted, share));
        Some(Spread { n, mean, sd, half_width, p5, p50, p95 })
    }

    /// Half-width of the interval of the mean at `confidence`, as [`Spread::half_width`] is it at 95 %.
    #[must_use]
    pub fn half_width_at(&self, confidence: f64) -> Option<f64> {
        let width = |sd: f64| student(confidence, self.n - 1) * sd / libm::sqrt(self.n as f64);
        self.sd.map(|sd| if sd > 0.0 { width(sd) } else { 0.0 })
    }

    /// The lower end of the 95 % interval of the mean.
    #[must_use]
    pub fn ci95_low(&self) -> Option<f64> {
        self.half_width.map(|half_width| self.mean - half_width)
    }

    /// The upper end of the 95 % interval of the mean.
    #[must_use]
    pub fn ci95_high(&self) -> Option<f64> {
        self.half_width.map(|half_width| self.mean + half_width)
    }
}

/// The value that a `share` of those of `values` that are there stay below, as the percentiles of a [`Spread`]; none where there is
/// not one.
#[must_use]
pub fn quantile(values: &Values, share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| percentile(&sorted, share))
}

/// A figure of two scenarios that met the same chance, replication by replication.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// Mean of the scenario that the other is compared with.
    pub base: f64,
    /// Mean of the other.
    pub mean: f64,
    /// How the differences, other minus base, spread.
    pub difference: Spread,
}

impl Paired {
    /// The pair over the replications that have both values; none where no replication has.
    #[must_use]
    pub fn of(base: &Sample, other: &Sample) -> Option<Paired> {
        Paired::of_pairs(base.values.iter().zip(other.values.iter()))
    }

    /// The pair of the values of each replication, in the same order on both sides.
    #[must_use]
    pub fn of_values(base: &[Option<f64>], other: &[Option<f64>]) -> Option<Paired> {
        Paired::of_pairs(base.iter().copied().zip(other.iter().copied()))
    }

    fn of_pairs(pairs: impl Iterator<Item = (Option<f64>, Option<f64>)>) -> Option<Paired> {
        let pairs: Vec<(f64, f64)> = pairs.filter_map(|(base, other)| Some((base?, other?))).collect();
        let mean = |side: fn(&(f64, f64)) -> f64| pairs.iter().map(side).sum::<f64>() / pairs.len() as f64;
        let differences: Vec<f64> = pairs.iter().map(|(base, other)| other - base).collect();
        let difference = Spread::of(&differences)?;
        Some(Paired { base: mean(|pair| pair.0), mean: mean(|pair| pair.1), difference })
    }

    /// `part` in per cent of the base; none where that is zero.
    #[must_use]
    pub fn percent(&self, part: f64) -> Option<f64> {
        (self.base != 0.0).then(|| part / self.base.abs() * 100.0)
    }

    /// `higher` or `lower` where the 95 % interval of the difference leaves out zero, else `no difference shown`; empty for one
    /// pair, which has no interval.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        let (Some(low), Some(high)) = (self.difference.ci95_low(), self.difference.ci95_high()) else { return "" };
        match (low > 0.0, high < 0.0) {
            (true, _) => "higher",
            (_, true) => "lower",
            _ => "no difference shown",
        }
    }
}

/// A figure of two scenarios that met chance of their own, by Welch's t (1947, Biometrika 34, 28-35): the variances of the two
/// means add up, and the degrees of freedom are Satterthwaite's, rounded down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Welch {
    /// Mean of the scenario that the other is compared with.
    pub base: f64,
    /// Mean of the other, minus that.
    pub difference: f64,
    /// Half-width of the 95 % interval of the difference; none where a side has one value.
    pub half_width: Option<f64>,
    /// How many values each side has.
    pub n: (usize, usize),
}

impl Welch {
    /// The difference of two independent samples.
    #[must_use]
    pub fn of(base: &Spread, other: &Spread) -> Welch {
        let share = |spread: &Spread| spread.sd.map(|sd| sd * sd / spread.n as f64);
        let half_width = share(base).zip(share(other)).map(|(one, two)| {
            let variance = one + two;
            if variance <= 0.0 {
                return 0.0;
            }
            let part = |share: f64, spread: &Spread| share * share / (spread.n - 1) as f64;
            let freedom = variance * variance / (part(one, base) + part(two, other));
            student_95((freedom as usize).max(1)) * libm::sqrt(variance)
        });
        Welch { base: base.mean, difference: other.mean - base.mean, half_width, n: (base.n, other.n) }
    }

    /// `part` in per cent of the base; none where that is zero.
    #[must_use]
    pub fn percent(&self, part: f64) -> Option<f64> {
        (self.base != 0.0).then(|| part / self.base.abs() * 100.0)
    }
}

/// Between the order statistics around rank (n - 1) x share.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() - 1) as f64 * share;
    let below = libm::floor(rank) as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (rank - below as f64)
}

/// Student's t that 95 % of draws stay within on both sides; each number of degrees is computed once, as a
/// table has thousands of intervals.
#[must_use]
pub fn student_95(freedom: usize) -> f64 {
    static KNOWN: [OnceLock<f64>; SERIES_MAX + 1] = [const { OnceLock::new() }; SERIES_MAX + 1];
    match KNOWN.get(freedom) {
        Some(known) => *known.get_or_init(|| student(0.95, freedom)),
        None => student(0.95, freedom),
    }
}

/// Degrees of freedom from which on the series, which is as long as they are many, gives way to an expansion.
const SERIES_MAX: usize = 1_000;

/// Student's t that a share `confidence` of draws stays within on both sides, for whole `freedom` of 1 or more; at 95 %: 12.706
/// for 1, 2.093 for 19, 1.960 for many. The probability within t has a closed form for whole degrees of freedom (Abramowitz and
/// Stegun, 1964, 26.7.3 and 26.7.4), which bisection inverts.
fn student(confidence: f64, freedom: usize) -> f64 {
    assert!(freedom > 0, "an interval needs two values or more");
    assert!(confidence > 0.0 && confidence < 1.0, "a confidence lies between 0 and 1, found {confidence}");
    if freedom > SERIES_MAX {
        // Two terms of 26.7.5, which here are good to 1e-5.
        let normal = normal_within(confidence);
        return normal + (normal * normal * normal + normal) / (4.0 * freedom as f64);
    }
    let angle = bisect(FRAC_PI_2, |angle| within(angle, freedom) < confidence);
    libm::tan(angle) * libm::sqrt(freedom as f64)
}

/// What a share `confidence` of normal draws stays within on both sides: 1.960 at 95 %.
fn normal_within(confidence: f64) -> f64 {
    if confidence == 0.95 {
        return 1.959_963_984_540_054;
    }
    // Beyond 9 the share is 1 to the last bit.
    bisect(9.0, |z| libm::erf(z * FRAC_1_SQRT_2) < confidence)
}

/// Where between 0 and `high` it is no longer `below`; halving 60 times leaves less than one bit.
fn bisect(mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    let mut low = 0.0;
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if below(middle) { low = middle } else { high = middle }
    }
    low
}

/// The probability that |t| stays below tan(`angle`) x sqrt(`freedom`).
fn within(angle: f64, freedom: usize) -> f64 {
    let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
    let is_odd = !freedom.is_multiple_of(2);
    // The terms run over the powers of the cosine of the other parity than `freedom`, from 1 or 0 up to `freedom` - 2.
    let (mut term, mut sum, mut power) = if is_odd { (cosine, 0.0, 1) } else { (1.0, 0.0, 0) };
    while power + 2 <= freedom {
        sum += term;
        term *= (power + 1) as f64 / (power + 2) as f64 * cosine * cosine;
        power += 2;
    }
    if is_odd { FRAC_2_PI * (angle + sine * sum) } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun, table 26.10, column 0.95 (two-sided), with more digits from R's qt(0.975, n).
    #[test]
    fn student_matches_the_printed_table() {
        let table = [
            (1, 12.706_205),
            (2, 4.302_653),
            (3, 3.182_446),
            (4, 2.776_445),
            (5, 2.570_582),
            (10, 2.228_139),
            (19, 2.093_024),
            (30, 2.042_272),
            (60, 2.000_298),
            (120, 1.979_930),
            (1_000, 1.962_339),
            (1_001, 1.962_337),
            (10_000, 1.960_201),
        ];
        for (freedom, printed) in table {
            assert!((student_95(freedom) - printed).abs() < 1e-5, "{freedom}: {} and {printed}", student_95(freedom));
        }
    }

    /// The same table, columns 0.90 and 0.99, with more digits from R's qt; the normal's 0.99 is 2.575829.
    #[test]
    fn student_at_other_confidences() {
        let table = [(0.9, 1, 6.313_752), (0.9, 10, 1.812_461), (0.99, 10, 3.169_273), (0.99, 19, 2.860_935)];
        for (confidence, freedom, printed) in table {
            assert!((student(confidence, freedom) - printed).abs() < 1e-5, "{confidence} {freedom}");
        }
        assert!((normal_within(0.99) - 2.575_829).abs() < 1e-6);
        assert!((student(0.99, 1_001) - student(0.99, 1_000)).abs() < 1e-4, "no step where the expansion begins");
        assert_eq!(student_95(19), student(0.95, 19));
        // Wider confidence, wider interval: 0.99 over 0.95 is 3.169273 over 2.228139 for 11 values.
        let spread = Spread::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]).unwrap();
        let ratio = spread.half_width_at(0.99).unwrap() / spread.half_width_at(0.95).unwrap();
        assert!((ratio - 3.169_273 / 2.228_139).abs() < 1e-6);
        assert_eq!(spread.half_width_at(0.95), spread.half_width);
    }

    #[test]
    fn a_spread_by_hand() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, squares 32, sd sqrt(32 / 7); t(7) = 2.364624.
        let spread = Spread::of(&[9.0, 2.0, 4.0, 5.0, 4.0, 7.0, 4.0, 5.0]).unwrap();
        assert_eq!((spread.n, spread.mean, spread.p50), (8, 5.0, 4.5));
        assert!((spread.sd.unwrap() - 2.138_090).abs() < 1e-6);
        assert!((spread.half_width.unwrap() - 1.787_487).abs() < 1e-5, "{spread:?}");
        // PERCENTILE.INC of a spreadsheet: rank 0.35 between 2 and 4, rank 6.65 between 7 and 9.
        assert!((spread.p5 - 2.7).abs() < 1e-12 && (spread.p95 - 8.3).abs() < 1e-12, "{spread:?}");
    }

    #[test]
    fn one_value_has_no_interval_and_none_no_spread() {
        let spread = Spread::of(&[3.0]).unwrap();
        assert_eq!((spread.mean, spread.sd, spread.ci95_low(), spread.p5, spread.p95), (3.0, None, None, 3.0, 3.0));
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[2.0, 2.0]).unwrap().half_width, Some(0.0));
    }

    #[test]
    fn goals_read_as_they_print() {
        for text in ["ettr=0.005", "training.llama3/cost@B4=0.5%", "cost@B4=100000"] {
            assert_eq!(text.parse::<Goal>().unwrap().to_string(), text);
        }
        for text in ["ettr", "ettr=", "ettr=-1", "ettr=0", "ettr=NaN", "ettr=wide", "ettr=inf%"] {
            assert!(text.parse::<Goal>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_widest_interval_decides() {
        let figure = |subject: &str, value| {
            vec![Figure { subject: subject.to_owned(), metric: "a", value: Some(value), unit: "s", boundary: None }]
        };
        let run = |narrow, wide| [figure("x", narrow), figure("y", wide)].concat();
        // Half-width for two values d apart: 12.7062 d / 2.
        let all = Replications::gather([run(1.0, 10.0), run(1.2, 12.0)]);
        let excess = |goal: &str| all.excess(&goal.parse().unwrap());
        assert!((excess("x/a=1").unwrap() - 1.270_62).abs() < 1e-5);
        assert!((excess("a=1").unwrap() - 12.706_2).abs() < 1e-4);
        assert!((excess("y/a=100%").unwrap() - 12.706_2 / 11.0).abs() < 1e-5);
        assert_eq!((excess("b=1"), excess("z/a=1"), excess("a@B4=1")), (None, None, None));
        assert_eq!(Replications::gather([run(1.0, 1.0)]).excess(&"a=1".parse().unwrap()), Some(f64::INFINITY));
    }

    #[test]
    fn a_pair_by_hand() {
        let sample = |values: &[Option<f64>]| Sample {
            figure: Figure { subject: "total".to_owned(), metric: "a", value: None, unit: "s", boundary: None },
            values: values.iter().copied().collect(),
        };
        let base = sample(&[Some(10.0), Some(20.0), None, Some(30.0)]);
        // Differences 1, 2 and 3: mean 2, sd 1, half-width 4.302653 / sqrt(3) = 2.484138, which holds 0.
        let paired = Paired::of(&base, &sample(&[Some(11.0), Some(22.0), Some(5.0), Some(33.0)])).unwrap();
        assert_eq!((paired.base, paired.mean, paired.difference.n, paired.difference.mean), (20.0, 22.0, 3, 2.0));
        assert!((paired.difference.half_width.unwrap() - 2.484_138).abs() < 1e-5, "{paired:?}");
        assert_eq!((paired.percent(paired.difference.mean), paired.verdict()), (Some(10.0), "no difference shown"));
        let verdict = |values: &[Option<f64>]| Paired::of(&base, &sample(values)).map(|paired| paired.verdict());
        assert_eq!(verdict(&[Some(12.0), Some(22.0), None, Some(32.1)]), Some("higher"));
        assert_eq!(verdict(&[Some(8.0), Some(18.0), None, Some(28.0)]), Some("lower"));
        assert_eq!(verdict(&[Some(10.0), Some(20.0), None, Some(30.0)]), Some("no difference shown"));
        assert_eq!((verdict(&[Some(12.0)]), verdict(&[None])), (Some(""), None));
    }

    /// Variances 1/3 and 4/3 of the means: sum 5/3, freedom (25/9) / ((1/9 + 16/9) / 2) = 2.94, so t(2) = 4.302653.
    #[test]
    fn two_independent_samples_by_hand() {
        let (one, two) = (Spread::of(&[9.0, 10.0, 11.0]).unwrap(), Spread::of(&[18.0, 20.0, 22.0]).unwrap());
        let welch = Welch::of(&one, &two);
        assert_eq!((welch.base, welch.difference, welch.n), (10.0, 10.0, (3, 3)));
        let expected = 4.302_653 * libm::sqrt(5.0 / 3.0);
        assert!((welch.half_width.unwrap() - expected).abs() < 1e-5, "{welch:?} and {expected}");
        assert_eq!(welch.percent(welch.difference), Some(100.0));
        assert_eq!(Welch::of(&one, &Spread::of(&[1.0]).unwrap()).half_width, None);
        assert_eq!(
            Welch::of(&Spread::of(&[1.0, 1.0]).unwrap(), &Spread::of(&[2.0, 2.0]).unwrap()).half_width,
            Some(0.0)
        );
    }

    #[test]
    fn a_figure_that_a_replication_lacks_stays_at_its_place() {
        let figure = |metric, value| Figure { subject: "total".to_owned(), metric, value, unit: "s", boundary: None };
        let all = Replications::gather([
            vec![figure("a", Some(1.0)), figure("b", None)],
            vec![figure("b", Some(2.0)), figure("c", Some(5.0))],
            vec![figure("a", Some(3.0))],
        ]);
        let values: Vec<_> = all
            .samples()
            .iter()
            .map(|sample| (sample.figure.metric, sample.values.iter().collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            values,
            [
                ("a", vec![Some(1.0), None, Some(3.0)]),
                ("b", vec![None, Some(2.0), None]),
                ("c", vec![None, Some(5.0), None]),
            ]
        );
        assert_eq!((all.count(), all.samples()[0].spread().unwrap().mean), (3, 2.0));
    }
}
