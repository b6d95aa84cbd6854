//! The Sobol sequence: points that fill a cube evenly, however many are taken. Dimension j takes bit i of the point's Gray code
//! times the direction number v(i,j), all joined by exclusive or (Bratley and Fox, 1988, ACM TOMS 14(1), algorithm 659), with
//! the direction numbers of Joe and Kuo. Of the first 2^k points each half, quarter, … of each axis holds as many as the others.

/// How many axes have direction numbers.
pub(super) const DIMENSIONS: usize = 21;

/// For the second dimension and each after it: the degree s of its primitive polynomial, the polynomial's inner coefficients a,
/// and the first s direction integers m.
// Joe and Kuo, 2008, SIAM J. Sci. Comput. 30, 2635-2654, table new-joe-kuo-6.21201, its first 20 rows.
const ROWS: [(usize, u32, &[u32]); DIMENSIONS - 1] = [
    (1, 0, &[1]),
    (2, 1, &[1, 3]),
    (3, 1, &[1, 3, 1]),
    (3, 2, &[1, 1, 1]),
    (4, 1, &[1, 1, 3, 3]),
    (4, 4, &[1, 3, 5, 13]),
    (5, 2, &[1, 1, 5, 5, 17]),
    (5, 4, &[1, 1, 5, 5, 5]),
    (5, 7, &[1, 1, 7, 11, 19]),
    (5, 11, &[1, 1, 5, 1, 1]),
    (5, 13, &[1, 1, 1, 3, 11]),
    (5, 14, &[1, 3, 5, 5, 31]),
    (6, 1, &[1, 3, 3, 9, 7, 49]),
    (6, 13, &[1, 1, 1, 15, 21, 21]),
    (6, 16, &[1, 3, 1, 13, 27, 49]),
    (6, 19, &[1, 1, 1, 15, 7, 5]),
    (6, 22, &[1, 3, 1, 15, 13, 25]),
    (6, 25, &[1, 1, 5, 5, 19, 61]),
    (7, 1, &[1, 3, 7, 11, 23, 15, 103]),
    (7, 4, &[1, 3, 7, 13, 13, 15, 69]),
];

/// Bits of a coordinate.
const BITS: usize = 32;

/// The 32 bits behind the point of each coordinate of the first `count` points in `dimensions`.
pub(super) fn points(count: usize, dimensions: usize) -> Vec<Vec<u32>> {
    let directions: Vec<[u32; BITS]> = (0..dimensions).map(directions).collect();
    let mut point = vec![0; dimensions];
    let mut points = Vec::with_capacity(count);
    for index in 0..count {
        points.push(point.clone());
        // Of two neighbouring Gray codes one bit differs: the lowest zero of the index.
        let bit = (index as u32).trailing_ones() as usize;
        point.iter_mut().zip(&directions).for_each(|(coordinate, direction)| *coordinate ^= direction[bit]);
    }
    points
}

fn directions(dimension: usize) -> [u32; BITS] {
    let mut v = [0; BITS];
    if dimension == 0 {
        v.iter_mut().enumerate().for_each(|(bit, v)| *v = 1 << (BITS - 1 - bit));
        return v;
    }
    let (degree, inner, first) = ROWS[dimension - 1];
    for bit in 0..BITS {
        v[bit] = if bit < degree {
            first[bit] << (BITS - 1 - bit)
        } else {
            let terms = (1..degree).filter(|term| inner >> (degree - 1 - term) & 1 == 1);
            terms.fold(v[bit - degree] ^ (v[bit - degree] >> degree), |sum, term| sum ^ v[bit - term])
        };
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(point: &[u32]) -> Vec<f64> {
        point.iter().map(|&bits| f64::from(bits) / 4_294_967_296.0).collect()
    }

    /// The first ten points in three dimensions, as Joe and Kuo's own program prints them (sobol.cc 10 3 new-joe-kuo-6.21201).
    #[test]
    fn the_first_points_are_the_published_ones() {
        let published = [
            [0.0, 0.0, 0.0],
            [0.5, 0.5, 0.5],
            [0.75, 0.25, 0.25],
            [0.25, 0.75, 0.75],
            [0.375, 0.375, 0.625],
            [0.875, 0.875, 0.125],
            [0.625, 0.125, 0.875],
            [0.125, 0.625, 0.375],
            [0.1875, 0.3125, 0.9375],
            [0.6875, 0.8125, 0.4375],
        ];
        let found: Vec<Vec<f64>> = points(10, 3).iter().map(|point| shares(point)).collect();
        assert_eq!(found, published);
    }

    /// Point 1000 in all dimensions, from an independent implementation (SciPy's qmc.Sobol, not scrambled).
    #[test]
    fn every_dimension_agrees_with_another_implementation() {
        let found = points(1_001, DIMENSIONS).pop().unwrap();
        let other: [u32; DIMENSIONS] = [
            943718400, 415236096, 2227175424, 2906652672, 1203765248, 3896508416, 197132288, 3862953984, 2151677952,
            297795584, 364904448, 1094713344, 692060160, 1648361472, 616562688, 1589641216, 3091202048, 1480589312,
            4257218560, 3116367872, 2243952640,
        ];
        assert_eq!(found, other);
    }
}
