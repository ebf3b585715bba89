//! A service account signing key, and the tokens that an API server makes with it.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kubeassume_core::{Algorithm, Curve, Jwk, Material};
use serde_json::{Value, json};

use crate::failure::Failure;

/// What kind of key the next rotation brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa2048,
    P256,
    P384,
}

impl Kind {
    /// Every rotation changes the kind, so that RSA to EC and back are both seen.
    pub(super) fn of_rotation(nth: usize) -> Self {
        match nth % 4 {
            0 | 2 => Self::Rsa2048,
            1 => Self::P256,
            _ => Self::P384,
        }
    }
}

/// A key pair and its public half under the kid that Kubernetes would give it.
pub(super) struct SigningKey {
    jwk: Jwk,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl SigningKey {
    /// A fresh key. Takes tens of milliseconds for RSA: not for the threads that serve requests.
    pub(super) fn generate(kind: Kind) -> Result<Self, Failure> {
        let failed = |_: Unspecified| Failure::new("cannot generate a signing key");
        let ec = |signing, curve| {
            let pair = EcdsaKeyPair::generate(signing).map_err(failed)?;
            // SEC 1 section 2.3.3: 4, then both coordinates at full length.
            let point = pair.public_key().as_ref().get(1..).unwrap_or_default().to_vec();
            let (x, y) = point.split_at(point.len() / 2);
            let material = Material::Ec {
                curve,
                x: x.to_vec(),
                y: y.to_vec(),
            };
            Ok((Pair::Ec(pair), curve.algorithm(), material))
        };
        let (pair, algorithm, material) = match kind {
            Kind::P256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, Curve::P256)?,
            Kind::P384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, Curve::P384)?,
            Kind::Rsa2048 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                let public = pair.public_key();
                let material = Material::Rsa {
                    n: public.modulus().big_endian_without_leading_zero().to_vec(),
                    e: public.exponent().big_endian_without_leading_zero().to_vec(),
                };
                (Pair::Rsa(pair), Algorithm::Rs256, material)
            }
        };
        let refused = |problem| Failure::new("the generated key is unusable").because(&problem);
        let unnamed = Jwk::new("unnamed", algorithm, material.clone()).map_err(refused)?;
        let jwk = Jwk::new(unnamed.kubernetes_kid(), algorithm, material).map_err(refused)?;
        Ok(Self { jwk, pair })
    }

    pub(super) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    pub(super) fn kid(&self) -> &str {
        self.jwk.kid()
    }

    /// A compact JWS over the claims (RFC 7515 section 3.1).
    pub(super) fn sign(&self, claims: &Value) -> Result<String, Failure> {
        let header = json!({"alg": self.jwk.algorithm().name(), "kid": self.kid()});
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let failed = |_| Failure::new("cannot sign a token");
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
                    .map_err(failed)?;
                signature
            }
            Pair::Ec(pair) => pair
                .sign(&random, message.as_bytes())
                .map_err(failed)?
                .as_ref()
                .to_vec(),
        };
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
