//! `tollway trace inspect`: what a request trace looks like, and a generator that looks like it.
//!
//! One streaming pass counts requests, gaps, lengths and the index of dispersion of counts, `IDC(w)` = population variance over
//! mean in full windows of w from the first arrival; a second measures bursts. Memory depends on how many different lengths,
//! sessions and blocks there are, not on the number of requests.
//!
//! **The fit.** If the gaps fall into two kinds, those inside bursts and silences, the generator is `bursts`. The two are told
//! apart where Otsu's threshold parts the logarithms of the gaps, each weighted by its length (IEEE Trans. SMC 9(1), 1979), and
//! only if less than a twentieth of the time lies in gaps within a factor of two of it. Else it is `chat`: burstiness is the
//! mean coefficient of variation inside windows of 5 min, and slow noise of log-rate deviation s and time tau is fitted to
//! `IDC(w) = CV^2 + R w (e^(s^2) - 1) (G(w) - G(T))`, G(w) = `2 tau/w (1 - tau/w (1 - e^(-w/tau)))` being the variance that a
//! window's mean keeps, and T the length of the trace. Lengths are the trace's quantiles.

use super::lengths::PERCENT;
use crate::trace::{Dropped, Layout, PrefixCache, RequestFormat, RequestReader, Row, TraceError};
use crate::units::{Ratio, SimTime, Span};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What a trace looks like.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Its format.
    pub format: RequestFormat,
    /// Rows read: those kept and those dropped.
    pub rows_read: u64,
    /// Rows that are requests.
    pub kept: u64,
    /// Rows that are not, by reason.
    pub dropped: Dropped,
    /// Arrivals; none in a file without times.
    pub arrivals: Option<Arrivals>,
    /// Prompt lengths.
    pub prompt: LengthFigures,
    /// Output lengths.
    pub output: LengthFigures,
    /// Correlation of prompt and output lengths (Pearson's).
    pub correlation: f64,
    /// Conversations, where the file knows them, and their mean number of turns.
    pub sessions: Option<(u64, Ratio)>,
    /// What a prefix cache could save, where the file has block hashes.
    pub reuse: Option<Reuse>,
    /// A section of a scenario that generates such requests.
    pub section: String,
}

/// When requests come.
#[derive(Debug, Clone)]
pub struct Arrivals {
    /// From the first request to the last.
    pub span: Span,
    /// Requests a second.
    pub rate: f64,
    /// Gap between requests in seconds: mean, median, 95th and 99th percentile.
    pub gap: [f64; 4],
    /// Coefficient of variation of the gaps.
    pub cv: f64,
    /// Share of the gaps that are zero: above a half, times are coarse ticks.
    pub at_once: f64,
    /// Width of a window in seconds, and the index of dispersion of counts where there are two windows or more.
    pub dispersion: [(u64, Option<f64>); 4],
    /// Bursts between silences, where the gaps show them.
    pub bursts: Option<BurstFigures>,
}

/// Bursts between silences.
#[derive(Debug, Clone, Copy)]
pub struct BurstFigures {
    /// Gaps longer than this are silences.
    pub threshold: Span,
    /// Mean length of a burst.
    pub on: Span,
    /// Mean length of a silence.
    pub off: Span,
    /// Requests a second inside bursts.
    pub rate: f64,
    /// Coefficient of variation of the gaps inside bursts.
    pub cv: f64,
}

/// Lengths in tokens.
#[derive(Debug, Clone)]
pub struct LengthFigures {
    /// Their mean.
    pub mean: f64,
    /// Percent that are shorter, and the length there.
    pub quantiles: Vec<(f64, u32)>,
}

/// What a prefix cache could save.
#[derive(Debug, Clone)]
pub struct Reuse {
    /// Tokens of a block.
    pub block_tokens: u32,
    /// Blocks of all prompts.
    pub blocks: u64,
    /// Blocks of them that were full.
    pub full_blocks: u64,
    /// Different blocks.
    pub distinct: u64,
    /// Blocks found by a cache without limit.
    pub hits: u64,
    /// Tokens that a cache holds, and blocks that it finds.
    pub by_tokens: Vec<(u64, u64)>,
}

/// Widths of the windows of the index of dispersion, in seconds.
const WINDOWS: [u64; 4] = [1, 10, 60, 300];
/// Sizes of caches to try, in millions of tokens.
const CACHES: [u64; 6] = [1, 3, 5, 10, 20, 50];

/// Reads the trace at `path`, twice.
///
/// # Errors
/// The first thing wrong with it, or no request in it.
pub fn inspect(path: &Path, layout: &Layout) -> Result<Inspection, TraceError> {
    let mut reader = RequestReader::open(path, layout)?;
    let mut seen = Seen::new(reader.format());
    while let Some(row) = reader.next()? {
        seen.take(&row);
    }
    if seen.gaps.requests == 0 {
        let found = format!("{} rows and no request to serve", reader.rows_read());
        return Err(TraceError::of_file(path, found, "at least one row with prompt and output tokens"));
    }
    let timed = reader.has_times() && seen.gaps.last > SimTime::ZERO;
    let arrivals = match timed {
        true => Some(Arrivals { bursts: bursts(path, layout, &seen.gaps)?, ..seen.gaps.figures() }),
        false => None,
    };
    let (prompt, output) = (seen.prompt.figures(), seen.output.figures());
    let section = section(arrivals.as_ref(), &seen.gaps, &prompt, &output);
    Ok(Inspection {
        format: reader.format(),
        rows_read: reader.rows_read(),
        kept: seen.gaps.requests,
        dropped: reader.dropped(),
        arrivals,
        correlation: seen.correlation(),
        sessions: seen.sessions(),
        reuse: seen.reuse.map(Reusing::figures),
        prompt,
        output,
        section,
    })
}

/// All that the first pass counts.
struct Seen {
    gaps: Gaps,
    prompt: Counts,
    output: Counts,
    /// Sum of prompt x output.
    product: f64,
    turns: BTreeMap<u64, u64>,
    reuse: Option<Reusing>,
}

impl Seen {
    fn new(format: RequestFormat) -> Seen {
        Seen {
            gaps: Gaps::new(),
            prompt: Counts::default(),
            output: Counts::default(),
            product: 0.0,
            turns: BTreeMap::new(),
            reuse: format.block_tokens().map(Reusing::new),
        }
    }

    fn take(&mut self, row: &Row) {
        self.gaps.take(row.at);
        self.prompt.take(row.prompt);
        self.output.take(row.output);
        self.product += f64::from(row.prompt) * f64::from(row.output);
        if let Some(session) = row.session {
            *self.turns.entry(session).or_default() += 1;
        }
        if let Some(reuse) = self.reuse.as_mut().filter(|_| !row.blocks.is_empty()) {
            reuse.take(row);
        }
    }

    fn correlation(&self) -> f64 {
        let count = self.gaps.requests as f64;
        let (prompt, output) = (self.prompt.moments(), self.output.moments());
        let spread = (prompt.1 * output.1).sqrt();
        if spread > 0.0 { (self.product / count - prompt.0 * output.0) / spread } else { 0.0 }
    }

    fn sessions(&self) -> Option<(u64, Ratio)> {
        let turns: u64 = self.turns.values().sum();
        let sessions = self.turns.len() as u64;
        (sessions > 0).then(|| (sessions, Ratio::new(turns as f64 / sessions as f64)))
    }
}

/// How often each length came.
#[derive(Default)]
struct Counts(BTreeMap<u32, u64>);

impl Counts {
    fn take(&mut self, tokens: u32) {
        *self.0.entry(tokens).or_default() += 1;
    }

    /// Mean and population variance.
    fn moments(&self) -> (f64, f64) {
        let count: u64 = self.0.values().sum();
        let mean = |of: &dyn Fn(f64) -> f64| {
            self.0.iter().map(|(&tokens, &times)| of(f64::from(tokens)) * times as f64).sum::<f64>() / count as f64
        };
        let first = mean(&|tokens| tokens);
        (first, mean(&|tokens| (tokens - first) * (tokens - first)))
    }

    fn figures(&self) -> LengthFigures {
        let count: u64 = self.0.values().sum();
        let at = |percent: f64| {
            let rank = ((percent / 100.0 * count as f64).ceil() as u64).max(1);
            let mut below = 0;
            let reaches = |(_, times): &(&u32, &u64)| {
                below += **times;
                below >= rank
            };
            let (tokens, _) = self.0.iter().find(reaches).expect("some length reaches any rank");
            (percent, *tokens)
        };
        LengthFigures { mean: self.moments().0, quantiles: PERCENT.iter().map(|&percent| at(percent)).collect() }
    }
}

/// Gaps in classes of a hundredth of a natural logarithm, and counts in windows.
struct Gaps {
    requests: u64,
    first: SimTime,
    last: SimTime,
    zero: u64,
    /// Gaps, and nanoseconds in them, by class.
    classes: BTreeMap<i32, (u64, f64)>,
    sum: f64,
    squares: f64,
    windows: [Window; 4],
    /// Gaps inside the present window of 5 min: count, sum, squares; and over all of them the sum of their CVs.
    inside: [f64; 3],
    inside_from: SimTime,
    inside_cvs: (f64, f64),
}

/// Counts in full windows of one width.
struct Window {
    width: u64,
    bin: u64,
    count: f64,
    bins: f64,
    sum: f64,
    squares: f64,
}

/// Windows in which the coefficient of variation of gaps is free of slow noise.
const CALM: Span = Span::from_secs(300);
/// Gaps that such a window needs for a coefficient worth having.
const ENOUGH: f64 = 20.0;

impl Window {
    fn take(&mut self, at: Span) {
        let bin = at.nanos() / (self.width * 1_000_000_000);
        if bin > self.bin {
            self.bins += (bin - self.bin) as f64;
            self.sum += self.count;
            self.squares += self.count * self.count;
            (self.bin, self.count) = (bin, 0.0);
        }
        self.count += 1.0;
    }

    fn dispersion(&self) -> Option<f64> {
        let mean = self.sum / self.bins;
        (self.bins >= 2.0 && mean > 0.0).then(|| (self.squares / self.bins - mean * mean) / mean)
    }
}

impl Gaps {
    fn new() -> Gaps {
        let window = |width| Window { width, bin: 0, count: 0.0, bins: 0.0, sum: 0.0, squares: 0.0 };
        Gaps {
            requests: 0,
            first: SimTime::ZERO,
            last: SimTime::ZERO,
            zero: 0,
            classes: BTreeMap::new(),
            sum: 0.0,
            squares: 0.0,
            windows: WINDOWS.map(window),
            inside: [0.0; 3],
            inside_from: SimTime::ZERO,
            inside_cvs: (0.0, 0.0),
        }
    }

    fn take(&mut self, at: SimTime) {
        if self.requests == 0 {
            (self.first, self.last, self.inside_from) = (at, at, at);
        } else {
            self.gap(at);
        }
        self.requests += 1;
        let since = at.since(self.first);
        self.windows.iter_mut().for_each(|window| window.take(since));
        self.last = at;
    }

    fn gap(&mut self, at: SimTime) {
        let nanos = at.since(self.last).nanos() as f64;
        let seconds = nanos / 1e9;
        self.sum += seconds;
        self.squares += seconds * seconds;
        if nanos == 0.0 {
            self.zero += 1;
        } else {
            let class = self.classes.entry(class(nanos)).or_default();
            (class.0, class.1) = (class.0 + 1, class.1 + nanos);
        }
        if at.since(self.inside_from) > CALM {
            let [count, sum, squares] = std::mem::take(&mut self.inside);
            if count >= ENOUGH && sum > 0.0 {
                let cv = (squares * count / (sum * sum) - 1.0).max(0.0).sqrt();
                self.inside_cvs = (self.inside_cvs.0 + cv, self.inside_cvs.1 + 1.0);
            }
            self.inside_from = at;
        } else {
            let [count, sum, squares] = self.inside;
            self.inside = [count + 1.0, sum + seconds, squares + seconds * seconds];
        }
    }

    /// Coefficient of variation of all gaps.
    fn cv(&self) -> f64 {
        let count = (self.requests - 1).max(1) as f64;
        (self.squares * count / (self.sum * self.sum) - 1.0).max(0.0).sqrt()
    }

    /// The same inside calm windows, on average; of all where there is none.
    fn calm_cv(&self) -> f64 {
        if self.inside_cvs.1 > 0.0 { self.inside_cvs.0 / self.inside_cvs.1 } else { self.cv() }
    }

    fn figures(&self) -> Arrivals {
        let gaps = (self.requests - 1).max(1);
        let quantile = |share: f64| {
            let rank = ((share * gaps as f64).ceil() as u64).max(1);
            let mut below = self.zero;
            if below >= rank {
                return 0.0;
            }
            for (class, (count, nanos)) in &self.classes {
                below += count;
                if below >= rank {
                    // The mean of the class, which is narrower than 1 %.
                    return nanos / *count as f64 / 1e9;
                }
                let _ = class;
            }
            unreachable!("the last gap reaches any rank")
        };
        let span = self.last.since(self.first);
        Arrivals {
            span,
            rate: gaps as f64 / span.as_secs_f64(),
            gap: [self.sum / gaps as f64, quantile(0.5), quantile(0.95), quantile(0.99)],
            cv: self.cv(),
            at_once: self.zero as f64 / gaps as f64,
            dispersion: [0, 1, 2, 3].map(|at| (WINDOWS[at], self.windows[at].dispersion())),
            bursts: None,
        }
    }

    /// The gap that best parts two kinds, if there are two.
    fn threshold(&self) -> Option<f64> {
        let total: f64 = self.classes.values().map(|(_, nanos)| nanos).sum();
        let mean = self.classes.iter().map(|(class, (_, nanos))| f64::from(*class) * nanos).sum::<f64>() / total;
        let (mut below, mut moment, mut best) = (0.0, 0.0, (0.0, 0));
        for (&class, (_, nanos)) in &self.classes {
            below += nanos / total;
            moment += f64::from(class) * nanos / total;
            let between = (mean * below - moment) * (mean * below - moment) / (below * (1.0 - below));
            if between.is_finite() && between > best.0 {
                best = (between, class);
            }
        }
        // Between the last class of the short gaps and the first of the long.
        let next = self.classes.range(best.1 + 1..).next()?.0;
        let middle = f64::midpoint(f64::from(best.1), f64::from(*next));
        let near = |class: i32| (f64::from(class) - middle).abs() < 100.0 * std::f64::consts::LN_2;
        let doubtful: f64 = self.classes.iter().filter(|(class, _)| near(**class)).map(|(_, (_, nanos))| nanos).sum();
        let (silences, silent) = (self.classes.range(best.1 + 1..))
            .fold((0, 0.0), |(count, nanos), (_, more)| (count + more.0, nanos + more.1));
        let two_kinds = doubtful < 0.05 * total && silences >= 10 && (0.2..0.999).contains(&(silent / total));
        // Bursts of a few requests are no bursts.
        (two_kinds && self.requests > 5 * silences).then(|| libm::exp((middle + 0.5) / 100.0))
    }
}

/// The class of a gap.
fn class(nanos: f64) -> i32 {
    (libm::log(nanos) * 100.0).floor() as i32
}

/// Bursts and silences, in a second pass; none where the gaps are of one kind.
fn bursts(path: &Path, layout: &Layout, gaps: &Gaps) -> Result<Option<BurstFigures>, TraceError> {
    let Some(threshold) = gaps.threshold() else { return Ok(None) };
    let mut reader = RequestReader::open(path, layout)?;
    let (mut last, mut inside, mut silences) = (None, [0.0; 3], (0.0, 0.0));
    while let Some(row) = reader.next()? {
        if let Some(last) = last.replace(row.at) {
            let nanos = row.at.since(last).nanos() as f64;
            if nanos > threshold {
                silences = (silences.0 + 1.0, silences.1 + nanos);
            } else {
                inside = [inside[0] + 1.0, inside[1] + nanos, inside[2] + nanos * nanos];
            }
        }
    }
    let [count, sum, squares] = inside;
    let of = |nanos: f64| Span::from_secs_f64(nanos / 1e9);
    Ok(Some(BurstFigures {
        threshold: of(threshold),
        on: of(sum / (silences.0 + 1.0)),
        off: of(silences.1 / silences.0),
        rate: count / sum * 1e9,
        cv: (squares * count / (sum * sum) - 1.0).max(0.0).sqrt(),
    }))
}

/// Prefix caches of several sizes beside each other.
struct Reusing {
    block_tokens: u32,
    blocks: u64,
    full_blocks: u64,
    all: PrefixCache,
    sized: Vec<(u64, PrefixCache)>,
}

impl Reusing {
    fn new(block_tokens: u32) -> Reusing {
        let sized = CACHES.map(|millions| {
            let tokens = millions * 1_000_000;
            (tokens, PrefixCache::new(Some(tokens / u64::from(block_tokens))))
        });
        let all = PrefixCache::new(None);
        Reusing { block_tokens, blocks: 0, full_blocks: 0, all, sized: sized.into() }
    }

    fn take(&mut self, row: &Row) {
        self.blocks += row.blocks.len() as u64;
        self.full_blocks += u64::from(row.prompt / self.block_tokens);
        self.all.serve(&row.blocks);
        self.sized.iter_mut().for_each(|(_, cache)| {
            cache.serve(&row.blocks);
        });
    }

    fn figures(self) -> Reuse {
        Reuse {
            block_tokens: self.block_tokens,
            blocks: self.blocks,
            full_blocks: self.full_blocks,
            distinct: self.all.held(),
            hits: self.all.hits(),
            by_tokens: self.sized.iter().map(|(tokens, cache)| (*tokens, cache.hits())).collect(),
        }
    }
}

/// Noise times to try, in seconds.
const TIMES: [f64; 7] = [150.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0];

/// Deviation and time of the slow noise that explain the dispersion, given the burstiness.
fn noise(arrivals: &Arrivals, cv: f64) -> (f64, f64) {
    let span = arrivals.span.as_secs_f64();
    let keeps = |width: f64, time: f64| {
        let part = time / width;
        2.0 * part * (1.0 - part * (1.0 - libm::exp(-1.0 / part)))
    };
    let fit = |time: f64| {
        // Least squares of relative differences, over the windows that hold slow noise.
        let (mut up, mut down) = (0.0, 0.0);
        let seen: Vec<(f64, f64)> = arrivals.dispersion[1..]
            .iter()
            .filter_map(|&(width, found)| {
                let width = width as f64;
                let weight = arrivals.rate * width * (keeps(width, time) - keeps(span, time));
                found.filter(|found| *found > 0.0).map(|found| (weight / found, cv * cv / found))
            })
            .collect();
        for (slope, fixed) in &seen {
            up += slope * (1.0 - fixed);
            down += slope * slope;
        }
        let variance = if down > 0.0 { (up / down).max(0.0) } else { 0.0 };
        let miss: f64 = seen
            .iter()
            .map(|(slope, fixed)| {
                let off = fixed + slope * variance - 1.0;
                off * off
            })
            .sum();
        (miss, libm::log1p(variance).sqrt(), time)
    };
    let best = TIMES.iter().map(|&time| fit(time)).min_by(|one, other| one.0.total_cmp(&other.0));
    best.map_or((0.0, 600.0), |(_, deviation, time)| (deviation, time))
}

/// The generator, as a section to paste.
fn section(arrivals: Option<&Arrivals>, gaps: &Gaps, prompt: &LengthFigures, output: &LengthFigures) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes all");
    match arrivals {
        Some(Arrivals { bursts: Some(bursts), rate, .. }) => {
            line("[service.NAME.arrivals.bursts]".to_owned());
            line(format!("rate = \"{} /s\"", digits(*rate)));
            line(format!("on = \"{} s\"", digits(bursts.on.as_secs_f64())));
            line(format!("off = \"{} s\"", digits(bursts.off.as_secs_f64())));
            line(format!("burstiness = {}", digits(bursts.cv.clamp(0.1, 19.9))));
        }
        Some(arrivals) => {
            // Between ticks nothing is known of the gaps.
            let cv = if arrivals.at_once > 0.5 { 1.0 } else { gaps.calm_cv().clamp(0.1, 19.9) };
            let (deviation, time) = noise(arrivals, cv);
            line("[service.NAME.arrivals.chat]".to_owned());
            line(format!("rate = \"{} /s\"", digits(arrivals.rate)));
            line(format!("burstiness = {}", digits(cv)));
            line(format!("noise = {}", digits(deviation)));
            line(format!("noise_time = \"{time} s\""));
        }
        None => {
            line("[service.NAME.arrivals.chat]".to_owned());
            line("rate = \"1 /s\" # yours to say: the file has no times".to_owned());
        }
    }
    line("weekly = false".to_owned());
    line(format!("prompt.quantiles = {}", quantiles(prompt)));
    line(format!("output.quantiles = {}", quantiles(output)));
    text
}

fn quantiles(lengths: &LengthFigures) -> String {
    let list = |values: Vec<String>| values.join(", ");
    let percent = list(lengths.quantiles.iter().map(|(percent, _)| percent.to_string()).collect());
    let tokens = list(lengths.quantiles.iter().map(|(_, tokens)| tokens.to_string()).collect());
    format!("{{ percent = [{percent}], tokens = [{tokens}] }}")
}

/// Four significant digits, without an exponent.
fn digits(value: f64) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    let decimals = (3 - libm::log10(value).floor() as i32).clamp(0, 12);
    let text = format!("{value:.*}", decimals as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
