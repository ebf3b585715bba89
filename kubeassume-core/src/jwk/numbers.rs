//! A key's numbers as text, and the thumbprint that is made of them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::thumbprint::{Thumbprint, base64url};
use super::{Curve, Material};

/// The numbers in unpadded base64url, as they stand in JSON. Strict decoding leaves every number one
/// spelling, so the text of a key that was read is the text to digest.
pub(super) enum Numbers<'k> {
    Rsa {
        n: Cow<'k, str>,
        e: Cow<'k, str>,
    },
    Ec {
        curve: Curve,
        x: Cow<'k, str>,
        y: Cow<'k, str>,
    },
}

impl Numbers<'static> {
    /// Those of a key that was not read from JSON.
    pub(super) fn of(material: &Material) -> Self {
        let b64 = |bytes: &[u8]| Cow::Owned(URL_SAFE_NO_PAD.encode(bytes));
        match material {
            Material::Rsa { n, e } => Self::Rsa { n: b64(n), e: b64(e) },
            Material::Ec { curve, x, y } => Self::Ec {
                curve: *curve,
                x: b64(x),
                y: b64(y),
            },
        }
    }
}

impl Numbers<'_> {
    /// RFC 7638 section 3: the required members in lexicographic order, without white space.
    pub(super) fn thumbprint(&self) -> Thumbprint {
        let mut canonical = Sha256::new();
        let mut push = |text: &str| canonical.update(text);
        match self {
            Self::Rsa { n, e } => {
                push(r#"{"e":""#);
                push(e);
                push(r#"","kty":"RSA","n":""#);
                push(n);
            }
            Self::Ec { curve, x, y } => {
                push(r#"{"crv":""#);
                push(curve.name());
                push(r#"","kty":"EC","x":""#);
                push(x);
                push(r#"","y":""#);
                push(y);
            }
        }
        push(r#""}"#);
        Thumbprint(base64url(&canonical.finalize()))
    }
}
