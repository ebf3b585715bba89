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

// b of each curve (FIPS 186-4 appendix D.1.2).
const B256: U256 = U256::from_be_hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
const B384: U384 = U384::from_be_hex(
    "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
);
const B521: U576 = U576::from_be_hex(
    "0000000000000051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
);

/// P-256: coordinates of 32 bytes.
pub(crate) fn on_p256(x: &[u8], y: &[u8]) -> bool {
    on_curve::<P256, { U256::LIMBS }>(uint(x, 32), uint(y, 32), &B256)
}

/// P-384: coordinates of 48 bytes.
pub(crate) fn on_p384(x: &[u8], y: &[u8]) -> bool {
    on_curve::<P384, { U384::LIMBS }>(uint(x, 48), uint(y, 48), &B384)
}

/// P-521: coordinates of 66 bytes.
pub(crate) fn on_p521(x: &[u8], y: &[u8]) -> bool {
    on_curve::<P521, { U576::LIMBS }>(uint(x, 66), uint(y, 66), &B521)
}

fn on_curve<P: ConstMontyParams<N>, const N: usize>(
    x: Option<Uint<N>>,
    y: Option<Uint<N>>,
    b: &Uint<N>,
) -> bool {
    let (Some(x), Some(y)) = (x, y) else { return false };
    let modulus = P::PARAMS.modulus().as_ref();
    if x >= *modulus || y >= *modulus {
        return false;
    }
    let (x, y, b) = (
        ConstMontyForm::<P, N>::new(&x),
        ConstMontyForm::new(&y),
        ConstMontyForm::new(b),
    );
    let three_x = x + x + x;
    y * y == x * x * x - three_x + b
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
mod tests {
    use super::*;

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
