//! An amount cut in proportion to weights, to the last unit: shares are rounded down, and the units left over go, one each, to
//! the largest remainders, of equal ones to the first.

/// Weights compiled for cutting many amounts: one division for each weight, then two multiplications for each part. Keeps its
/// memory when it is filled again.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    /// How many weights, those of zero included.
    count: usize,
    /// Total of the weights, scaled down where needed to less than 2^62.
    total: u64,
    /// Those who get a part: the weights above zero.
    takers: Vec<Taker>,
}

/// Who gets a part, and the part of the amount cut last.
#[derive(Debug, Clone, Copy, Default)]
struct Taker {
    index: usize,
    weight: u64,
    /// The weight over the total, in units of 2^-64, rounded down.
    portion: u64,
    part: u128,
    remainder: u64,
}

/// The units left over up to which a scan for each is quicker than sorting the remainders.
const FEW: u128 = 8;

impl Weights {
    /// Weights compiled for the first time.
    #[must_use]
    pub fn new(weights: &[u128]) -> Weights {
        let mut compiled = Weights::default();
        compiled.fill(weights.iter().copied());
        compiled
    }

    /// Takes `weights`, at least one, in place of those before.
    pub fn fill(&mut self, weights: impl Iterator<Item = u128> + Clone) {
        let total: u128 = weights.clone().sum();
        // Weights of 62 bits keep every product below inside 128 bits; what is cut off is less than 1e-18 of the whole.
        let excess = (128 - total.leading_zeros()).saturating_sub(62);
        self.takers.clear();
        (self.count, self.total) = (0, 0);
        for (index, weight) in weights.enumerate() {
            let weight = (weight >> excess) as u64;
            self.count += 1;
            self.total += weight;
            if weight > 0 {
                self.takers.push(Taker { index, weight, ..Taker::default() });
            }
        }
        assert!(self.count > 0, "an amount is split among at least one taker");
        for taker in &mut self.takers {
            taker.portion = portion(taker.weight, self.total);
        }
    }

    /// Cuts `whole` and hands each part that is not zero to `give`, with the index of its weight, in order. With all weights zero
    /// the first takes all.
    pub(super) fn cut(&mut self, whole: u128, mut give: impl FnMut(usize, u128)) {
        if whole == 0 {
            return;
        }
        match &mut self.takers[..] {
            [] => give(0, whole),
            [only] => give(only.index, whole),
            _ => {
                self.share_out(whole);
                self.takers.iter().filter(|taker| taker.part > 0).for_each(|taker| give(taker.index, taker.part));
            }
        }
    }

    /// The part of the first weight, as [`cut`](Self::cut) would give it.
    pub(super) fn first(&mut self, whole: u128) -> u128 {
        match &self.takers[..] {
            [] => whole,
            [only] => {
                if only.index == 0 {
                    whole
                } else {
                    0
                }
            }
            // Of two takers at most one unit is left, for the larger remainder, of equal ones the first.
            [first, _] if first.index == 0 => {
                let (turns, rest) = self.turns(whole);
                let (part, remainder) = share(rest, first.weight, first.portion, self.total);
                let larger = u64::from(2 * remainder >= self.total);
                turns * u128::from(first.weight) + u128::from(part + larger)
            }
            _ => {
                let mut first = 0;
                self.cut(whole, |index, part| {
                    if index == 0 {
                        first = part;
                    }
                });
                first
            }
        }
    }

    /// How often the weights go into `whole`, and what is left: nothing but that, where 64 bits hold it.
    fn turns(&self, whole: u128) -> (u128, u64) {
        let total = u128::from(self.total);
        match u64::try_from(whole) {
            Ok(whole) => (0, whole),
            Err(_) => (whole / total, (whole % total) as u64),
        }
    }

    fn share_out(&mut self, whole: u128) {
        let (turns, rest) = self.turns(whole);
        let (mut left, total) = (whole, self.total);
        if turns == 0 {
            let mut few = rest;
            for taker in &mut self.takers {
                let (part, remainder) = share(rest, taker.weight, taker.portion, total);
                (taker.part, taker.remainder) = (u128::from(part), remainder);
                few -= part;
            }
            left = u128::from(few);
        } else {
            for taker in &mut self.takers {
                let (part, remainder) = share(rest, taker.weight, taker.portion, total);
                (taker.part, taker.remainder) = (turns * u128::from(taker.weight) + u128::from(part), remainder);
                left -= taker.part;
            }
        }
        if left <= FEW { self.hand_out_few(left) } else { self.hand_out(left as usize) }
    }

    /// Gives a unit each to the `left` largest remainders. More of them than that are above zero, as each is less than a unit.
    fn hand_out_few(&mut self, left: u128) {
        for _ in 0..left {
            let mut takers = self.takers.iter_mut();
            let mut most = takers.next().expect("an amount with units left over has takers");
            for taker in takers {
                if taker.remainder > most.remainder {
                    most = taker;
                }
            }
            most.part += 1;
            most.remainder = 0;
        }
    }

    fn hand_out(&mut self, left: usize) {
        let mut order: Vec<usize> = (0..self.takers.len()).collect();
        order.sort_by_key(|&index| (std::cmp::Reverse(self.takers[index].remainder), index));
        order[..left].iter().for_each(|&index| self.takers[index].part += 1);
    }
}

/// `weight / total` in units of 2^-64, rounded down; one unit less than all for the whole of it.
fn portion(weight: u64, total: u64) -> u64 {
    if weight == total { u64::MAX } else { ((u128::from(weight) << 64) / u128::from(total)) as u64 }
}

/// `amount * weight / total`, rounded down, and what is left, by `portion` in place of a division: `amount` times it over 2^64 falls
/// short of the quotient by less than one, so that its whole part is the quotient's or one less.
fn share(amount: u64, weight: u64, portion: u64, total: u64) -> (u64, u64) {
    let part = ((u128::from(amount) * u128::from(portion)) >> 64) as u64;
    // Less than two totals, so less than 2^63: the wrapped difference is the true one.
    let remainder = amount.wrapping_mul(weight).wrapping_sub(part.wrapping_mul(total));
    if remainder >= total { (part + 1, remainder - total) } else { (part, remainder) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule by plain division and sorting.
    fn by_division(whole: u128, weights: &[u128]) -> Vec<u128> {
        let total: u128 = weights.iter().sum();
        let product = |weight: u128| (whole % total) * weight;
        let mut parts: Vec<u128> = weights.iter().map(|&w| whole / total * w + product(w) / total).collect();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|&index| (std::cmp::Reverse(product(weights[index]) % total), index));
        let left = whole - parts.iter().sum::<u128>();
        order[..left as usize].iter().for_each(|&index| parts[index] += 1);
        parts
    }

    fn cut(weights: &mut Weights, whole: u128) -> Vec<u128> {
        let mut parts = vec![0; weights.count];
        weights.cut(whole, |index, part| parts[index] = part);
        parts
    }

    #[test]
    fn the_largest_remainder_takes_what_is_left() {
        // 5.83, 2.5 and 1.67: two units are left for the first and the last.
        assert_eq!(cut(&mut Weights::new(&[7, 3, 2]), 10), [6, 2, 2]);
        assert_eq!(cut(&mut Weights::new(&[1, 1, 1]), 10), [4, 3, 3]);
        assert_eq!(cut(&mut Weights::new(&[0, 0]), 7), [7, 0]);
        assert_eq!(cut(&mut Weights::new(&[0, 5, 0]), u128::MAX), [0, u128::MAX, 0]);
    }

    proptest! {
        #[test]
        fn cutting_agrees_with_dividing(
            whole in prop_oneof![0..100_u128, 0..(1_u128 << 64) + 5, 0..(1_u128 << 80)],
            weights in (1..24_usize).prop_flat_map(|most| prop::collection::vec(prop_oneof![Just(0_u128), 0..50_u128, 0..(1_u128 << 57)], 1..=most)),
        ) {
            prop_assume!(weights.iter().sum::<u128>() > 0);
            let mut compiled = Weights::new(&[3, 4]);
            compiled.fill(weights.iter().copied());
            let parts = by_division(whole, &weights);
            prop_assert_eq!(cut(&mut compiled, whole), &parts[..]);
            prop_assert_eq!(compiled.first(whole), parts[0]);
        }
    }
}
