//! The PKIX form of a public key: the bytes whose digest Kubernetes takes for the `kid` of a key from a file.
//!
//! It only writes, and only what a [`Material`] can hold; DER from strangers is never read.

use super::{Curve, Material};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// rsaEncryption with its NULL parameters, in DER.
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// id-ecPublicKey and the curve's object identifier (RFC 5480 section 2.1.1.1), in DER.
const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
const P384: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
];
const P521: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23,
];

/// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): RFC 3279 section 2.3.1 for RSA, RFC 5480 for EC.
///
/// Every length stands before what it counts, so all are counted first and nothing is written twice.
pub(super) fn public_key_info(material: &Material) -> Vec<u8> {
    match material {
        Material::Rsa { n, e } => {
            let numbers = unsigned_size(n) + unsigned_size(e);
            let mut out = begin(RSA, element_size(numbers));
            header(&mut out, SEQUENCE, numbers);
            unsigned(&mut out, n);
            unsigned(&mut out, e);
            out
        }
        Material::Ec { curve, x, y } => {
            let identifier = match curve {
                Curve::P256 => P256,
                Curve::P384 => P384,
                Curve::P521 => P521,
            };
            let mut out = begin(identifier, 1 + x.len() + y.len());
            // An uncompressed point (SEC 1 section 2.3.3).
            out.push(0x04);
            out.extend_from_slice(x);
            out.extend_from_slice(y);
            out
        }
    }
}

/// Everything before the key itself, which has so many bytes.
fn begin(identifier: &[u8], key: usize) -> Vec<u8> {
    let whole = element_size(identifier.len()) + element_size(1 + key);
    let mut out = Vec::with_capacity(element_size(whole));
    header(&mut out, SEQUENCE, whole);
    header(&mut out, SEQUENCE, identifier.len());
    out.extend_from_slice(identifier);
    header(&mut out, BIT_STRING, 1 + key);
    // No unused bits.
    out.push(0x00);
    out
}

/// A number without leading zeros, but with the zero octet that keeps it from being negative.
fn unsigned(out: &mut Vec<u8>, number: &[u8]) {
    let sign = sign_size(number);
    header(out, INTEGER, sign + number.len());
    out.extend(std::iter::repeat_n(0x00, sign));
    out.extend_from_slice(number);
}

fn unsigned_size(number: &[u8]) -> usize {
    element_size(sign_size(number) + number.len())
}

fn sign_size(number: &[u8]) -> usize {
    usize::from(number.first().is_some_and(|byte| byte & 0x80 != 0))
}

fn header(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    let octets = length_octets(length);
    if octets > 0 {
        out.push(0x80 | octets as u8);
        let length = length.to_be_bytes();
        out.extend(length.iter().skip(length.len() - octets));
    } else {
        out.push(length as u8);
    }
}

fn element_size(contents: usize) -> usize {
    2 + length_octets(contents) + contents
}

/// How many octets follow the first one of a length: none up to 127 (X.690 section 8.1.3).
fn length_octets(length: usize) -> usize {
    if length < 0x80 {
        0
    } else {
        (usize::BITS - length.leading_zeros()).div_ceil(8) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jwk::any::any_jwk;

    /// An element from the inside out, as X.690 describes it.
    fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let length = match contents.len() {
            length @ 0..=0x7f => vec![length as u8],
            length @ 0x80..=0xff => vec![0x81, length as u8],
            length => vec![0x82, (length >> 8) as u8, length as u8],
        };
        [&[tag], &*length, &*contents].concat()
    }

    fn number(bytes: &[u8]) -> Vec<u8> {
        let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
        element(INTEGER, &[sign, bytes])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn lengths_counted_before_are_those_counted_after(key in any_jwk()) {
            let (identifier, bits) = match key.material() {
                Material::Rsa { n, e } => (RSA, element(SEQUENCE, &[&number(n), &number(e)])),
                Material::Ec { curve, x, y } => {
                    let identifier = [P256, P384, P521][*curve as usize];
                    (identifier, [&[4], &**x, &**y].concat())
                }
            };
            let expected = element(
                SEQUENCE,
                &[&element(SEQUENCE, &[identifier]), &element(BIT_STRING, &[&[0], &bits])],
            );
            let info = public_key_info(key.material());
            prop_assert_eq!(&info, &expected);
            prop_assert_eq!(info.capacity(), info.len());
        }

        #[test]
        fn both_ways_to_ask_for_the_kubernetes_kid_agree(key in any_jwk()) {
            prop_assert!(!key.has_kubernetes_kid());
            let renamed = crate::Jwk::new(key.kubernetes_kid(), key.algorithm(), key.material().clone());
            prop_assert!(renamed.unwrap().has_kubernetes_kid());
        }
    }
}
