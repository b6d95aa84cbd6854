//! Least squares with coefficients that cannot be negative, for a handful of them.

/// Sums of squares and products of rows, from which the best coefficients follow; rows can be taken out again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normal<const N: usize> {
    products: [[f64; N]; N],
    measured: [f64; N],
    square: f64,
}

impl<const N: usize> Normal<N> {
    /// Without rows.
    pub const EMPTY: Normal<N> = Normal { products: [[0.0; N]; N], measured: [0.0; N], square: 0.0 };

    /// Enters a row that should give 1 `count` times; -1 takes it out.
    pub fn enter(&mut self, row: &[f64; N], count: f64) {
        for i in 0..N {
            for j in 0..N {
                self.products[i][j] += count * row[i] * row[j];
            }
            self.measured[i] += count * row[i];
        }
        self.square += count;
    }

    /// Enters all rows of `other` `count` times; -1 takes them out.
    pub fn add(&mut self, other: &Normal<N>, count: f64) {
        for i in 0..N {
            for j in 0..N {
                self.products[i][j] += count * other.products[i][j];
            }
            self.measured[i] += count * other.measured[i];
        }
        self.square += count * other.square;
    }

    /// The coefficients of the least sum of squares, none below zero, and that sum. Tries every choice of those that are not
    /// zero: 2^N small systems.
    #[must_use]
    pub fn solve(&self) -> ([f64; N], f64) {
        let mut best = ([0.0; N], self.square);
        for chosen in 1_u32..1 << N {
            let Some(found) = self.solve_for(chosen) else { continue };
            let gain: f64 = found.iter().zip(self.measured).map(|(found, measured)| found * measured).sum();
            // A coefficient more must be worth more than rounding.
            if found.iter().all(|found| *found >= 0.0) && self.square - gain < best.1 - 1e-12 * self.square {
                best = (found, self.square - gain);
            }
        }
        best
    }

    /// The stationary point where only the coefficients in `chosen` are not zero; none where rows cannot tell them apart.
    fn solve_for(&self, chosen: u32) -> Option<[f64; N]> {
        // Columns are scaled to length 1, so that one threshold tells a singular system.
        let scale: [f64; N] = std::array::from_fn(|i| self.products[i][i].sqrt());
        let indices: Vec<usize> = (0..N).filter(|i| chosen >> i & 1 == 1).collect();
        if indices.iter().any(|&i| scale[i] <= 0.0) {
            return None;
        }
        let size = indices.len();
        let mut lower = [[0.0; N]; N];
        for row in 0..size {
            for column in 0..=row {
                let (i, j) = (indices[row], indices[column]);
                let known: f64 = (0..column).map(|k| lower[row][k] * lower[column][k]).sum();
                let left = self.products[i][j] / scale[i] / scale[j] - known;
                if row == column {
                    if left < 1e-11 {
                        return None;
                    }
                    lower[row][row] = left.sqrt();
                } else {
                    lower[row][column] = left / lower[column][column];
                }
            }
        }
        let mut solution = [0.0; N];
        for row in 0..size {
            let known: f64 = (0..row).map(|k| lower[row][k] * solution[k]).sum();
            solution[row] = (self.measured[indices[row]] / scale[indices[row]] - known) / lower[row][row];
        }
        for row in (0..size).rev() {
            let known: f64 = (row + 1..size).map(|k| lower[k][row] * solution[k]).sum();
            solution[row] = (solution[row] - known) / lower[row][row];
        }
        let mut all = [0.0; N];
        for (row, &i) in indices.iter().enumerate() {
            all[i] = solution[row] / scale[i];
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_the_rows_is_found_again() {
        // 3 x + 0.5 z = 1 with y of no use.
        let mut normal = Normal::<3>::EMPTY;
        for [x, y] in [[0.1, 0.7], [0.2, 0.1], [0.25, 0.3], [0.05, 0.9]] {
            normal.enter(&[x, y, (1.0 - 3.0 * x) / 0.5], 1.0);
        }
        let (found, square) = normal.solve();
        assert!((found[0] - 3.0).abs() < 1e-9 && found[1].abs() < 1e-9 && (found[2] - 0.5).abs() < 1e-9, "{found:?}");
        assert!(square.abs() < 1e-9, "{square}");
    }

    #[test]
    fn no_coefficient_is_negative() {
        // Without a bound x - y would be best; x alone gives sum (x - 1)^2 least at x = 3.5 / 5.25.
        let mut normal = Normal::<2>::EMPTY;
        for row in [[1.0, 0.1], [2.0, 1.0], [0.5, -0.4]] {
            normal.enter(&row, 1.0);
        }
        let (found, _) = normal.solve();
        assert_eq!(found[1], 0.0);
        assert!((found[0] - 3.5 / 5.25).abs() < 1e-12, "{found:?}");
        let mut left = normal;
        left.enter(&[2.0, 1.0], -1.0);
        assert!((left.solve().0[0] - 1.5 / 1.25).abs() < 1e-12, "as if the row had never been");
    }
}
