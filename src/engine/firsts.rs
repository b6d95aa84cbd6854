//! The first draws of many streams at once. Every node of a fleet draws its first life from a stream of its own, and setting a
//! generator up for one draw is most of that work: here ChaCha8 runs with one key in each lane of a vector, for the same bits.

/// Streams drawn from side by side: loops of this length become vector instructions on every machine (20 ns a stream, not 89).
pub const FIRSTS: usize = 32;

/// One word of the cipher's state, of every stream.
pub(super) type Lanes = [u32; FIRSTS];

/// `"expand 32-byte k"` (RFC 8439, section 2.3).
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The rows of the state that each quarter round of a double round works on: columns, then diagonals (RFC 8439, section 2.3).
const QUARTER_ROUNDS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// The first 64 bits of the ChaCha8 stream under each key, given as its eight little-endian words: block 0, words 0 and 1.
pub(super) fn first_bits(keys: &[Lanes; 8]) -> [u64; FIRSTS] {
    let mut state = [[0; FIRSTS]; 16];
    for (row, constant) in state.iter_mut().zip(CONSTANTS) {
        *row = [constant; FIRSTS];
    }
    state[4..12].copy_from_slice(keys);
    for _ in 0..4 {
        QUARTER_ROUNDS.iter().for_each(|&rows| quarter_round(&mut state, rows));
    }
    std::array::from_fn(|lane| {
        let word = |index: usize| u64::from(state[index][lane].wrapping_add(CONSTANTS[index]));
        word(1) << 32 | word(0)
    })
}

/// One quarter round of all streams. Not inlined, so that the loop over the lanes stays one.
#[inline(never)]
fn quarter_round(state: &mut [Lanes; 16], rows: [usize; 4]) {
    let [a, b, c, d] = state.get_disjoint_mut(rows).expect("four different rows of sixteen");
    for lane in 0..FIRSTS {
        let (mut w, mut x, mut y, mut z) = (a[lane], b[lane], c[lane], d[lane]);
        w = w.wrapping_add(x);
        z = (z ^ w).rotate_left(16);
        y = y.wrapping_add(z);
        x = (x ^ y).rotate_left(12);
        w = w.wrapping_add(x);
        z = (z ^ w).rotate_left(8);
        y = y.wrapping_add(z);
        x = (x ^ y).rotate_left(7);
        (a[lane], b[lane], c[lane], d[lane]) = (w, x, y, z);
    }
}
