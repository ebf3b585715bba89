//! Whether a point lies on its curve: y² = x³ − 3x + b over the prime field (SEC 1 section 3.2.2.1).
//!
//! A point off its curve is no key at all; publishing one would hand an attacker-made value to every
//! relying party, and some libraries compute with it (invalid-curve attacks). The curves have cofactor 1,
//! so a point on the curve is in the right group. Everything here is public: nothing needs constant time.

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{U256, U384, U576, Uint, const_monty_params};

const_monty_params!(
    P256,
    U256,
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
);
const_monty_params!(
    P384,
    U384,
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"
);
const_monty_params!(
    P521,
    U576,
    "00000000000001ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
);

// b/R² of each curve (b: FIPS 186-4 appendix D.1.2).
const B256: Over<P256, { U256::LIMBS }> = over_r2(&U256::from_be_hex(
    "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
));
const B384: Over<P384, { U384::LIMBS }> = over_r2(&U384::from_be_hex(
    "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
));
const B521: Over<P521, { U576::LIMBS }> = over_r2(&U576::from_be_hex(
    "0000000000000051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
));

/// P-256: coordinates of 32 bytes.
pub(crate) fn on_p256(x: &[u8], y: &[u8]) -> bool {
    on_curve(uint(x, 32), uint(y, 32), B256)
}

/// P-384: coordinates of 48 bytes.
pub(crate) fn on_p384(x: &[u8], y: &[u8]) -> bool {
    on_curve(uint(x, 48), uint(y, 48), B384)
}

/// P-521: coordinates of 66 bytes.
pub(crate) fn on_p521(x: &[u8], y: &[u8]) -> bool {
    on_curve(uint(x, 66), uint(y, 66), B521)
}

/// A number of the field, kept by crypto-bigint as R times itself. Its multiplication divides by R.
type Over<P, const N: usize> = ConstMontyForm<P, N>;

/// Checks the equation divided by R², with x and y taken as they are for x/R and y/R: to bring them into the
/// form in which they are multiplied would be a third of the work.
fn on_curve<P: ConstMontyParams<N>, const N: usize>(
    x: Option<Uint<N>>,
    y: Option<Uint<N>>,
    b_over_r2: Over<P, N>,
) -> bool {
    let (Some(x), Some(y)) = (x, y) else { return false };
    let modulus = P::PARAMS.modulus().as_ref();
    if x >= *modulus || y >= *modulus {
        return false;
    }
    let (x, y) = (Over::<P, N>::from_montgomery(x), Over::from_montgomery(y));
    let r = Over::from_montgomery(*P::PARAMS.r2());
    let three_over_r = Over::from_montgomery(Uint::from_u8(3));
    y.square() == x * (x.square() * r - three_over_r) + b_over_r2
}

const fn over_r2<P: ConstMontyParams<N>, const N: usize>(number: &Uint<N>) -> Over<P, N> {
    Over::from_montgomery(*number).mul(&Over::from_montgomery(Uint::ONE))
}

fn uint<const N: usize>(bytes: &[u8], length: usize) -> Option<Uint<N>> {
    if bytes.len() != length {
        return None;
    }
    let mut words = [crypto_bigint::Word::default(); N];
    for (word, chunk) in words
        .iter_mut()
        .zip(bytes.rchunks(size_of::<crypto_bigint::Word>()))
    {
        *word = chunk
            .iter()
            .fold(0, |word, byte| (word << 8) | crypto_bigint::Word::from(*byte));
    }
    Some(Uint::from_words(words))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Curve;

    /// A point of the curve: the next x that has one. Both coordinates at full length.
    pub(crate) fn point(curve: Curve, seed: u64) -> (Vec<u8>, Vec<u8>) {
        match curve {
            Curve::P256 => find::<P256, { U256::LIMBS }>(seed, B256, 32),
            Curve::P384 => find::<P384, { U384::LIMBS }>(seed, B384, 48),
            Curve::P521 => find::<P521, { U576::LIMBS }>(seed, B521, 66),
        }
    }

    fn find<P: ConstMontyParams<N>, const N: usize>(
        seed: u64,
        b_over_r2: Over<P, N>,
        length: usize,
    ) -> (Vec<u8>, Vec<u8>) {
        let prime = P::PARAMS.modulus().as_ref();
        // Every prime here is 3 modulo 4: what has a root has this power for one.
        let exponent = prime.wrapping_add(&Uint::ONE).shr_vartime(2);
        // Spread over the whole field.
        let mut x = Over::<P, N>::new(&Uint::from_u64(seed)).pow(&Uint::<N>::from_u8(37));
        loop {
            let square = equation(x, b_over_r2);
            let y = square.pow(&exponent);
            if y * y == square {
                return (big_endian(x, length), big_endian(y, length));
            }
            x += Over::new(&Uint::ONE);
        }
    }

    /// x³ − 3x + b, as it stands in the books.
    fn equation<P: ConstMontyParams<N>, const N: usize>(x: Over<P, N>, b_over_r2: Over<P, N>) -> Over<P, N> {
        let r = Over::from_montgomery(*P::PARAMS.r2());
        x * x * x - Over::new(&Uint::from_u8(3)) * x + b_over_r2 * r * r
    }

    fn big_endian<P: ConstMontyParams<N>, const N: usize>(number: Over<P, N>, length: usize) -> Vec<u8> {
        let words = number.retrieve().to_words();
        let bytes: Vec<u8> = words.iter().rev().flat_map(|word| word.to_be_bytes()).collect();
        bytes[bytes.len() - length..].to_vec()
    }

    fn on(curve: Curve, x: &[u8], y: &[u8]) -> bool {
        match curve {
            Curve::P256 => on_p256(x, y),
            Curve::P384 => on_p384(x, y),
            Curve::P521 => on_p521(x, y),
        }
    }

    /// Bytes as a number of the field, by the form that everybody uses.
    fn plainly_on<P: ConstMontyParams<N>, const N: usize>(x: &[u8], y: &[u8], b_over_r2: Over<P, N>) -> bool {
        let number = |bytes: &[u8]| Over::<P, N>::new(&uint(bytes, bytes.len()).unwrap());
        number(y) * number(y) == equation(number(x), b_over_r2)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn points_are_on_their_curve_and_bent_ones_are_not(
            curve in prop::sample::select(vec![Curve::P256, Curve::P384, Curve::P521]),
            seed in any::<u64>(),
            bit in any::<prop::sample::Index>(),
            bend_x in any::<bool>(),
        ) {
            let (mut x, mut y) = point(curve, seed);
            prop_assert!(on(curve, &x, &y));
            let bent = if bend_x { &mut x } else { &mut y };
            let bit = bit.index(bent.len() * 8);
            bent[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!on(curve, &x, &y));
        }

        /// Also where a number is not below the prime, or is 0.
        #[test]
        fn the_equation_divided_is_the_equation(x in any::<[u8; 32]>(), y in any::<[u8; 32]>(), small in 0u8..4) {
            let mut near = [0; 32];
            near[31] = small;
            for (x, y) in [(x, y), (near, y), (x, near), (near, near)] {
                prop_assert_eq!(on_p256(&x, &y), plainly_on(&x, &y, B256));
            }
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
            .collect()
    }

    // The base points of FIPS 186-4 appendix D.1.2.
    const G256: [&str; 2] = [
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ];
    const G384: [&str; 2] = [
        "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
        "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
    ];
    const G521: [&str; 2] = [
        "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
        "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
    ];

    #[test]
    fn base_points_are_on_their_curves_and_nothing_near_them_is() {
        type OnCurve = fn(&[u8], &[u8]) -> bool;
        for (on_curve, [x, y]) in [(on_p256 as OnCurve, G256), (on_p384, G384), (on_p521, G521)] {
            let (x, y) = (bytes(x), bytes(y));
            assert!(on_curve(&x, &y));
            for at in 0..x.len() {
                let mut bent = x.clone();
                bent[at] ^= 1;
                assert!(!on_curve(&bent, &y));
            }
            assert!(!on_curve(&y, &x));
            assert!(!on_curve(&x[1..], &y));
            assert!(!on_curve(&[&[0], &x[..]].concat(), &y));
            // (0, 0) stands for the point at infinity in some libraries.
            assert!(!on_curve(&vec![0; x.len()], &vec![0; x.len()]));
        }
    }

    #[test]
    fn a_coordinate_is_below_the_prime() {
        // x + p encodes the same residue: two spellings of one key. P-521 leaves room for it.
        let p = U576::ONE.shl_vartime(521).wrapping_sub(&U576::ONE);
        let x: U576 = uint(&bytes(G521[0]), 66).unwrap();
        let spelt: Vec<u8> = x.wrapping_add(&p).to_be_bytes().as_ref()[6..].to_vec();
        assert!(!on_p521(&spelt, &bytes(G521[1])));
    }
}
