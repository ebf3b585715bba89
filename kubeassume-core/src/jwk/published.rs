//! Writing a key: exactly the published members, in one order.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Jwk, Material};

impl Jwk {
    /// Appends the published members as compact JSON: the bytes that [`Serialize`](serde::Serialize) gives,
    /// without looking for something to escape in what cannot have any.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut push = |text: &str| out.extend_from_slice(text.as_bytes());
        push(match self.material() {
            Material::Rsa { .. } => r#"{"kty":"RSA","use":"sig","alg":""#,
            Material::Ec { .. } => r#"{"kty":"EC","use":"sig","alg":""#,
        });
        push(self.algorithm().name());
        push(r#"","kid":"#);
        // Text into a vector: serde_json has nothing to fail on.
        serde_json::to_writer(&mut *out, self.kid()).unwrap_or_default();
        match self.material() {
            Material::Rsa { n, e } => {
                push_number(out, r#","n":""#, n);
                push_number(out, r#"","e":""#, e);
            }
            Material::Ec { curve, x, y } => {
                out.extend_from_slice(br#","crv":""#);
                out.extend_from_slice(curve.name().as_bytes());
                push_number(out, r#"","x":""#, x);
                push_number(out, r#"","y":""#, y);
            }
        }
        out.extend_from_slice(br#""}"#);
    }

    /// About how many bytes [`write`](Self::write) appends, and seldom fewer than it does.
    pub(crate) fn written_size(&self) -> usize {
        let numbers = match self.material() {
            Material::Rsa { n, e } => n.len() + e.len(),
            Material::Ec { x, y, .. } => x.len() + y.len(),
        };
        80 + self.kid().len() + numbers * 4 / 3
    }
}

fn push_number(out: &mut Vec<u8>, member: &str, number: &[u8]) {
    out.extend_from_slice(member.as_bytes());
    let begin = out.len();
    // Room for padding that is not written.
    out.resize(begin + number.len().div_ceil(3) * 4, 0);
    let room = out.get_mut(begin..).unwrap_or_default();
    let written = URL_SAFE_NO_PAD.encode_slice(number, room).unwrap_or_default();
    out.truncate(begin + written);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::jwk::any::any_jwk;
    use crate::publication::digest;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_key_is_written_as_serde_writes_it(key in any_jwk()) {
            let mut out = b"before".to_vec();
            key.write(&mut out);
            let expected = serde_json::to_vec(&key).unwrap();
            prop_assert_eq!(out.strip_prefix(b"before").unwrap(), &expected);
            let again: Jwk = serde_json::from_slice(&expected).unwrap();
            prop_assert_eq!(&again, &key);
            prop_assert_eq!(again.thumbprint(), key.thumbprint());
        }

        #[test]
        fn the_thumbprint_is_the_digest_of_the_required_members_in_order(key in any_jwk()) {
            let text = serde_json::to_string(&key).unwrap();
            let mut members: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
            members.retain(|name, _| !["kid", "use", "alg"].contains(&name.as_str()));
            let canonical = serde_json::to_vec(&members).unwrap();
            prop_assert_eq!(key.thumbprint().to_string(), digest(&canonical));
        }
    }
}
