//! [`Thumbprint`]: the key's identity whatever its `kid` is (RFC 7638).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize, Serializer};

use super::Problem;

/// Characters of unpadded base64url for the 32 bytes of a SHA-256 digest.
const LENGTH: usize = 43;

/// An RFC 7638 SHA-256 thumbprint, in unpadded base64url: 43 characters. Ordered as text.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Thumbprint(pub(super) [u8; LENGTH]);

impl Thumbprint {
    /// The thumbprint as text.
    pub fn as_str(&self) -> &str {
        // The alphabet is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Ord for Thumbprint {
    fn cmp(&self, other: &Self) -> Ordering {
        // Digests differ at once, and maps of them compare all the time.
        let begin = |of: &Self| of.0.first_chunk().map(|begin| u64::from_be_bytes(*begin));
        begin(self).cmp(&begin(other)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Thumbprint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A SHA-256 digest in unpadded base64url.
pub(super) fn base64url(digest: &[u8]) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    // 32 bytes have exactly that many characters.
    URL_SAFE_NO_PAD
        .encode_slice(digest, &mut text)
        .unwrap_or_default();
    text
}

impl FromStr for Thumbprint {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match (URL_SAFE_NO_PAD.decode(text), text.as_bytes().try_into()) {
            (Ok(_), Ok(text)) => Ok(Self(text)),
            _ => Err(Problem::Thumbprint),
        }
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.as_str().to_owned()
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn thumbprint() -> impl Strategy<Value = Thumbprint> {
        // Often alike for a while, so that every place decides once.
        (prop::collection::vec(any::<bool>(), 42), "[AQgw]").prop_map(|(bits, last)| {
            let text: String = bits.iter().map(|bit| if *bit { 'A' } else { '_' }).collect();
            let same = if bits[0] { "A".repeat(42) } else { text };
            format!("{same}{last}").parse().unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn thumbprints_have_the_order_of_their_text(a in thumbprint(), b in thumbprint()) {
            prop_assert_eq!(a.cmp(&b), a.as_str().cmp(b.as_str()));
            prop_assert_eq!(a == b, a.as_str() == b.as_str());
        }
    }

    #[test]
    fn a_thumbprint_is_43_characters_of_strict_base64url() {
        let good = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(good.parse::<Thumbprint>().unwrap().to_string(), good);
        let stray_bits = format!("{}t", &good[..42]);
        for bad in [
            "",
            &good[1..],
            &format!("{good}="),
            &good.replace('-', "+"),
            &stray_bits,
        ] {
            assert_eq!(bad.parse::<Thumbprint>(), Err(Problem::Thumbprint), "{bad}");
        }
    }
}
