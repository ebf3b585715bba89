//! A key inside a state: the published members, and no others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize, Serializer};

use super::members::read;
use super::{Algorithm, Jwk, Material, Problem};

/// The members as they are read back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    kty: String,
    #[serde(rename = "use")]
    usage: String,
    alg: Algorithm,
    kid: String,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl TryFrom<Stored> for Jwk {
    type Error = Problem;

    fn try_from(stored: Stored) -> Result<Self, Problem> {
        read(|name| {
            let text = match name {
                "kty" => Some(&stored.kty),
                "use" => Some(&stored.usage),
                "alg" => return Ok(Some(stored.alg.name())),
                "kid" => Some(&stored.kid),
                "n" => stored.n.as_ref(),
                "e" => stored.e.as_ref(),
                "crv" => stored.crv.as_ref(),
                "x" => stored.x.as_ref(),
                "y" => stored.y.as_ref(),
                _ => None,
            };
            Ok(text.map(String::as_str))
        })
    }
}

/// The members in the order in which they are published.
#[derive(Serialize)]
struct Published<'k> {
    kty: &'k str,
    #[serde(rename = "use")]
    usage: &'k str,
    alg: Algorithm,
    kid: &'k str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'k str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let b64 = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let rest = Published {
            kty: "",
            usage: "sig",
            alg: self.algorithm(),
            kid: self.kid(),
            n: None,
            e: None,
            crv: None,
            x: None,
            y: None,
        };
        let members = match self.material() {
            Material::Rsa { n, e } => Published {
                kty: "RSA",
                n: b64(n),
                e: b64(e),
                ..rest
            },
            Material::Ec { curve, x, y } => Published {
                kty: "EC",
                crv: Some(curve.name()),
                x: b64(x),
                y: b64(y),
                ..rest
            },
        };
        members.serialize(serializer)
    }
}
