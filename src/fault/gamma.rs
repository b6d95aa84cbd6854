//! The gamma function's lower tail and its quantiles: all that the life of an aged Weibull component needs.

/// Terms after which series and fraction have converged for every shape in use (0.2 to 20); reached only by a bug.
const TERMS_MAX: u32 = 500;

/// The relative size of a term that no longer changes a double.
const NEGLIGIBLE: f64 = 1e-16;

/// `P(a, x)`: the probability that a gamma variate of shape `a > 0` and scale 1 is at most `x`. By the series below
/// `a + 1` and by the continued fraction above it (Press et al., Numerical Recipes, 3rd edition, section 6.2).
/// `P(1, ln 2) = 0.5`.
pub(super) fn lower_tail(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = libm::exp(a * libm::log(x) - x - libm::lgamma(a));
    if x < a + 1.0 { front * series(a, x) } else { 1.0 - front * fraction(a, x) }
}

/// `sum of x^n / (a (a+1) .. (a+n))`
fn series(a: f64, x: f64) -> f64 {
    let mut term = 1.0 / a;
    let mut sum = term;
    for n in 1..TERMS_MAX {
        term *= x / (a + f64::from(n));
        sum += term;
        if term < sum * NEGLIGIBLE {
            return sum;
        }
    }
    unreachable!("the series converges below a + 1")
}

/// Lentz's form of the continued fraction for the upper tail.
fn fraction(a: f64, x: f64) -> f64 {
    // Keeps a denominator from vanishing.
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut value = d;
    for n in (1..TERMS_MAX).map(f64::from) {
        let numerator = -n * (n - a);
        b += 2.0;
        d = 1.0 / or_tiny(numerator * d + b, TINY);
        c = or_tiny(b + numerator / c, TINY);
        value *= d * c;
        if (d * c - 1.0).abs() < NEGLIGIBLE * 4.0 {
            return value;
        }
    }
    unreachable!("the fraction converges above a + 1")
}

fn or_tiny(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// The `x` with `P(a, x) = p`, for `p` in (0, 1): Halley's method from the guesses of Numerical Recipes, section 6.2.1.
pub(super) fn quantile(a: f64, p: f64) -> f64 {
    // The largest double below 1: no draw lies above it.
    let p = p.min(1.0 - f64::EPSILON / 2.0);
    let log_gamma = libm::lgamma(a);
    let mut x = guess(a, p);
    // Halley's error is cubed by each step: seven suffice from any of the guesses, twelve are the book's margin.
    for _ in 0..12 {
        if x <= 0.0 {
            return 0.0;
        }
        let density = libm::exp((a - 1.0) * libm::log(x) - x - log_gamma);
        if density == 0.0 {
            return x;
        }
        let newton = (lower_tail(a, x) - p) / density;
        let step = newton / (1.0 - 0.5 * (newton * ((a - 1.0) / x - 1.0)).min(1.0));
        x = if step < x { x - step } else { x / 2.0 };
        if step.abs() < 1e-12 * x {
            break;
        }
    }
    x
}

fn guess(a: f64, p: f64) -> f64 {
    if a <= 1.0 {
        let knee = 1.0 - a * (0.253 + a * 0.12);
        if p < knee { libm::pow(p / knee, 1.0 / a) } else { 1.0 - libm::log(1.0 - (p - knee) / (1.0 - knee)) }
    } else {
        let near = if p < 0.5 { p } else { 1.0 - p };
        let t = libm::sqrt(-2.0 * libm::log(near));
        let normal = (2.30753 + t * 0.27061) / (1.0 + t * (0.99229 + t * 0.04481)) - t;
        let normal = if p < 0.5 { -normal } else { normal };
        let root = 1.0 - 1.0 / (9.0 * a) - normal / (3.0 * libm::sqrt(a));
        (a * root * root * root).max(1e-3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_matches_closed_forms() {
        // (a, x, P): exponential, erf(1) for a = 1/2, and 1 - e^-x (1 + x) for a = 2.
        for (a, x, p) in [
            (1.0, std::f64::consts::LN_2, 0.5),
            (0.5, 1.0, 0.842_700_792_949_714_9),
            (2.0, 3.0, 0.800_851_726_528_544_2),
            (2.0, 0.1, 0.004_678_840_160_444_47),
        ] {
            assert!((lower_tail(a, x) - p).abs() < 1e-13, "P({a}, {x}) = {} is not {p}", lower_tail(a, x));
        }
    }

    #[test]
    fn quantiles_undo_the_tail() {
        for a in [0.25, 1.0 / 2.6, 1.0 / 1.5, 1.0, 1.0 / 0.7, 2.0, 4.0] {
            for p in [1e-12, 1e-6, 0.01, 0.2, 0.5, 0.9, 0.999, 1.0 - 1e-9] {
                let back = lower_tail(a, quantile(a, p));
                assert!((back - p).abs() < 1e-11 * p.max(1e-3), "a {a}: {p} came back as {back}");
            }
        }
    }
}
