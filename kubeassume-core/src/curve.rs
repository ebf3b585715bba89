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
    "00000000000001ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
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
