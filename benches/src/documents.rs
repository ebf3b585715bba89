//! Key sets as an API server serves them: half RSA-2048, half P-256, every key another one.
//!
//! All numbers come from SHA-256 over a counter, so that every run, on every machine, measures the same
//! bytes. What is drawn are the public numbers themselves:
//!
//! - an RSA modulus is an odd number of 2048 bits. Nobody knows its factors, nor whether they are two: to
//!   generate 500 real moduli takes minutes, and nothing that is measured with them (parsing, validating,
//!   merging, writing) could tell the difference, because it takes the factors to tell;
//! - a P-256 key is a point of the curve: an x for which x³ − 3x + b has a root, and that root.
//!
//! Signatures are measured with keys that were really generated: the bench `verify`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams as _};
use crypto_bigint::{U256, const_monty_params};
use kubeassume_core::{Algorithm, Curve, Jwk, Material};
use sha2::{Digest as _, Sha256};

const_monty_params!(
    P256,
    U256,
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    "The prime of P-256 (FIPS 186-4 appendix D.1.2)."
);
type Field = ConstMontyForm<P256, { U256::LIMBS }>;
const B: U256 = U256::from_be_hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");

/// The key set document of so many keys, members in the order in which kube-apiserver writes them.
pub fn key_set(keys: usize) -> Vec<u8> {
    let rsa = (0..keys / 2).map(|index| entry(Algorithm::Rs256, rsa(index)));
    let p256 = (keys / 2..keys).map(|index| entry(Algorithm::Es256, p256(index)));
    let entries: Vec<String> = rsa.chain(p256).collect();
    format!(r#"{{"keys":[{}]}}"#, entries.join(",")).into_bytes()
}

/// One of its keys, named as Kubernetes names keys from files.
fn entry(algorithm: Algorithm, material: Material) -> String {
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (kty, numbers) = match &material {
        Material::Rsa { n, e } => ("RSA", format!(r#""n":"{}","e":"{}""#, b64(n), b64(e))),
        Material::Ec { x, y, .. } => (
            "EC",
            format!(r#""crv":"P-256","x":"{}","y":"{}""#, b64(x), b64(y)),
        ),
        _ => unreachable!("only these two are drawn"),
    };
    let key = Jwk::new("unnamed", algorithm, material).expect("a good key");
    let kid = key.kubernetes_kid();
    format!(r#"{{"use":"sig","kty":"{kty}","kid":"{kid}","alg":"{algorithm}",{numbers}}}"#)
}

fn rsa(index: usize) -> Material {
    let mut n: Vec<u8> = (0..8).flat_map(|block| draw(index, block)).collect();
    n[0] |= 0x80;
    n[255] |= 1;
    Material::Rsa { n, e: vec![1, 0, 1] }
}

fn p256(index: usize) -> Material {
    let three = Field::new(&U256::from_u8(3));
    let point = (0..).find_map(|attempt| {
        let x = Field::new(&U256::from_be_slice(&draw(index, attempt)));
        let y = root(x.square() * x - three * x + Field::new(&B))?;
        Some([x, y].map(|number| number.retrieve().to_be_bytes().as_ref().to_vec()))
    });
    let [x, y] = point.expect("every other number is an x");
    let curve = Curve::P256;
    Material::Ec { curve, x, y }
}

/// The prime is 3 modulo 4, so what has a root has the ((p + 1) / 4)th power for one.
fn root(square: Field) -> Option<Field> {
    let prime = P256::PARAMS.modulus().as_ref();
    let root = square.pow(&prime.wrapping_add(&U256::ONE).shr_vartime(2));
    (root.square() == square).then_some(root)
}

fn draw(index: usize, attempt: usize) -> [u8; 32] {
    Sha256::digest(format!("kubeassume-benches {index} {attempt}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::LIFTED;
    use kubeassume_core::KeySet;

    #[test]
    fn every_key_is_good_and_another_one_and_the_same_in_every_run() {
        for keys in [2, 100, 1000] {
            let document = key_set(keys);
            let parsed = KeySet::parse_within(LIFTED, &document).unwrap();
            assert_eq!((parsed.keys.len(), parsed.findings), (keys, Vec::new()));
            assert_eq!(document, key_set(keys));
        }
    }
}
