//! Any key that there can be, for property tests.

use proptest::prelude::*;

use super::{Algorithm, Curve, Jwk, Material};
use crate::curve::tests::point;

pub(crate) fn any_jwk() -> impl Strategy<Value = Jwk> {
    (kid(), prop_oneof![rsa(), ec()])
        .prop_map(|(kid, (algorithm, material))| Jwk::new(kid, algorithm, material).expect("a good key"))
}

/// Names, some of which have to be escaped in JSON.
fn kid() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9_-]{43}", "\\PC{1,40}", "[\\x00-\\x7f]{1,40}"]
}

fn rsa() -> BoxedStrategy<(Algorithm, Material)> {
    let algorithm = prop::sample::select(vec![Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512]);
    let exponent = prop::sample::select(vec![
        vec![3],
        vec![1, 0, 1],
        vec![0x80, 1],
        vec![0x7f, 0xff, 0xff, 0xff],
    ]);
    let modulus = prop::collection::vec(any::<u8>(), 257..=1024).prop_map(|mut n| {
        n[0] |= 1;
        let last = n.len() - 1;
        n[last] |= 1;
        n
    });
    (algorithm, modulus, exponent)
        .prop_map(|(algorithm, n, e)| (algorithm, Material::Rsa { n, e }))
        .boxed()
}

fn ec() -> BoxedStrategy<(Algorithm, Material)> {
    let curve = prop::sample::select(vec![Curve::P256, Curve::P384, Curve::P521]);
    (curve, any::<u64>())
        .prop_map(|(curve, seed)| {
            let (x, y) = point(curve, seed);
            (curve.algorithm(), Material::Ec { curve, x, y })
        })
        .boxed()
}
