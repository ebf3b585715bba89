//! Reading a key: what an entry of a key set says.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::MapAccess;

use super::numbers::Numbers;
use super::{Curve, Jwk, Material, Problem, shown};
use crate::json::{Depth, Json, Names, Shape, Whole};

/// Members that only a private or a symmetric key has (RFC 7518 section 6, RFC 8037, `priv` of AKP keys).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// What one entry of a key set says, as far as anything depends on it. An entry that is no object says
/// nothing.
#[derive(Default)]
pub(crate) struct Members<'j> {
    kty: Option<Json<'j>>,
    usage: Option<Json<'j>>,
    alg: Option<Json<'j>>,
    kid: Option<Json<'j>>,
    n: Option<Json<'j>>,
    e: Option<Json<'j>>,
    crv: Option<Json<'j>>,
    x: Option<Json<'j>>,
    y: Option<Json<'j>>,
    /// The public number of AKP keys.
    public: Option<Json<'j>>,
    /// The place in [`PRIVATE`] of the first of those that are there.
    private: Option<usize>,
}

/// Fills what an entry says into its place, where it then stays: there can be many.
pub(crate) struct Entry<'p, 'j>(pub(crate) &'p mut Members<'j>);

impl<'de> Shape<'de> for Entry<'_, 'de> {
    type Value = ();

    fn whole(self, _: Json<'de>) {}

    fn object<A: MapAccess<'de>>(self, mut members: A, depth: Depth) -> Result<(), A::Error> {
        let found = self.0;
        let mut names = Names::new(depth);
        while let Some(name) = names.next(&mut members)? {
            let slot = match &*name {
                "kty" => &mut found.kty,
                "use" => &mut found.usage,
                "alg" => &mut found.alg,
                "kid" => &mut found.kid,
                "n" => &mut found.n,
                "e" => &mut found.e,
                "crv" => &mut found.crv,
                "x" => &mut found.x,
                "y" => &mut found.y,
                "pub" => &mut found.public,
                other => {
                    let place = PRIVATE.iter().position(|name| *name == other);
                    found.private = found.private.into_iter().chain(place).min();
                    names.note(name)?;
                    members.next_value_seed(depth.inside(Whole)?)?;
                    continue;
                }
            };
            if slot.is_some() {
                return Err(Names::twice(&name));
            }
            *slot = Some(members.next_value_seed(depth.inside(Whole)?)?);
        }
        Ok(())
    }
}

impl Members<'_> {
    /// What shows that a private or a symmetric key was put into the set.
    pub(crate) fn private(&self) -> Option<&'static str> {
        if self.kind() == Some("oct") {
            return Some("a symmetric key (kty oct)");
        }
        self.private.and_then(|place| PRIVATE.get(place).copied())
    }

    pub(crate) fn kind(&self) -> Option<&str> {
        self.kty.as_ref()?.text()
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_ref()?.text()
    }

    /// Whether two entries with one kid hold the same key, comparing what makes the key.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        (&self.kty, &self.crv, &self.n, &self.e) == (&other.kty, &other.crv, &other.n, &other.e)
            && (&self.x, &self.y, &self.alg, &self.public) == (&other.x, &other.y, &other.alg, &other.public)
    }

    /// The usable key that the entry holds.
    pub(crate) fn key(&self) -> Result<Jwk, Problem> {
        read(|name| {
            let value = match name {
                "kty" => &self.kty,
                "use" => &self.usage,
                "alg" => &self.alg,
                "kid" => &self.kid,
                "n" => &self.n,
                "e" => &self.e,
                "crv" => &self.crv,
                "x" => &self.x,
                "y" => &self.y,
                _ => &None,
            };
            match value {
                None => Ok(None),
                Some(Json::Text(text)) => Ok(Some(text)),
                Some(_) => Err(Problem::NotText(name)),
            }
        })
    }
}

/// Reads a key from the texts of its members.
pub(super) fn read<'k>(
    text: impl Fn(&'static str) -> Result<Option<&'k str>, Problem>,
) -> Result<Jwk, Problem> {
    let required = |name| text(name)?.ok_or(Problem::Missing(name));
    // Strict: no padding, and no stray bits that would give one number two spellings.
    let number = |name| {
        let text = required(name)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::Base64(name))?;
        Ok((Cow::Borrowed(text), bytes))
    };
    let (numbers, material) = match required("kty")? {
        "RSA" => {
            let ((n_text, n), (e_text, e)) = (number("n")?, number("e")?);
            let numbers = Numbers::Rsa { n: n_text, e: e_text };
            (numbers, Material::Rsa { n, e })
        }
        "EC" => {
            let name = required("crv")?;
            let curve = [Curve::P256, Curve::P384, Curve::P521]
                .into_iter()
                .find(|curve| curve.name() == name)
                .ok_or_else(|| Problem::Kind(shown(name)))?;
            let ((x_text, x), (y_text, y)) = (number("x")?, number("y")?);
            let numbers = Numbers::Ec {
                curve,
                x: x_text,
                y: y_text,
            };
            (numbers, Material::Ec { curve, x, y })
        }
        other => return Err(Problem::Kind(shown(other))),
    };
    if let Some(usage) = text("use")?
        && usage != "sig"
    {
        return Err(Problem::Use(shown(usage)));
    }
    let algorithm = match text("alg")? {
        None => material.default_algorithm(),
        Some(name) => name.parse().map_err(|()| Problem::Algorithm(shown(name)))?,
    };
    let kid = required("kid")?;
    Jwk::check(kid, algorithm, &material)?;
    Ok(Jwk::unchecked(kid.to_owned(), algorithm, material, &numbers))
}
