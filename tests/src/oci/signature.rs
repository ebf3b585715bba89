//! Who signed, and whether he did.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::recorder::Recorded;

/// A user's API key.
pub struct OciKey {
    /// The private half, PKCS#8 PEM.
    pub pem: String,
    /// The tenancy's OCID.
    pub tenancy: &'static str,
    /// The user's OCID.
    pub user: &'static str,
    /// As OCI's console shows it.
    pub fingerprint: &'static str,
    /// RSAPublicKey, DER.
    public: Vec<u8>,
}

impl OciKey {
    pub(super) fn new() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
        let text = BASE64_STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = (0..text.len())
            .step_by(64)
            .map(|at| &text[at..text.len().min(at + 64)])
            .collect();
        Self {
            pem: format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                lines.join("\n")
            ),
            tenancy: "ocid1.tenancy.oc1..aaaaaaaatenancy",
            user: "ocid1.user.oc1..aaaaaaaauser",
            fingerprint: "20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34",
            public: pair.public_key().as_ref().to_vec(),
        }
    }

    pub(super) fn key_id(&self) -> String {
        format!("{}/{}/{}", self.tenancy, self.user, self.fingerprint)
    }
}

/// Without the private half.
impl std::fmt::Debug for OciKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OciKey")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Public keys (RSAPublicKey, DER) by the name under which they sign.
#[derive(Default)]
pub(super) struct Keys(BTreeMap<String, Vec<u8>>);

impl Keys {
    pub(super) fn add(&mut self, key_id: String, key: &OciKey) {
        self.0.insert(key_id, key.public.clone());
    }

    pub(super) fn add_public(&mut self, key_id: String, public: Vec<u8>) {
        self.0.insert(key_id, public);
    }

    /// Whether a request to a service is signed as OCI asks.
    pub(super) fn verify(&self, request: &Recorded, signs_body: bool, now: SystemTime) -> Result<(), String> {
        let date = request
            .headers
            .get("date")
            .and_then(|date| httpdate::parse_http_date(date).ok());
        let date = date.ok_or("there is no date")?;
        let skew = now.duration_since(date).unwrap_or_else(|error| error.duration());
        if skew > Duration::from_secs(300) {
            return Err("the date is not within five minutes of the server's".to_owned());
        }
        let signature = Signature::parse(request)?;
        let public = self.0.get(&signature.key_id).ok_or("nobody has this key")?;
        let mut covered = vec!["date", "(request-target)", "host"];
        if signs_body {
            covered.extend(["content-length", "content-type", "x-content-sha256"]);
        }
        signature.verify(request, &covered, public)
    }
}

/// The `Authorization` header's parts.
pub(super) struct Signature {
    pub(super) key_id: String,
    headers: String,
    bytes: Vec<u8>,
}

impl Signature {
    pub(super) fn parse(request: &Recorded) -> Result<Self, String> {
        let header = request
            .headers
            .get("authorization")
            .ok_or("there is no signature")?;
        let fields = header.strip_prefix("Signature ").ok_or("it is no signature")?;
        let fields: BTreeMap<&str, &str> = fields
            .split("\",")
            .filter_map(|field| field.trim_end_matches('"').split_once("=\""))
            .collect();
        let field = |name: &str| {
            fields
                .get(name)
                .map(|text| (*text).to_owned())
                .ok_or(format!("it has no {name}"))
        };
        if field("version")? != "1" || field("algorithm")? != "rsa-sha256" {
            return Err("it is of another version or algorithm".to_owned());
        }
        Ok(Self {
            key_id: field("keyId")?,
            headers: field("headers")?,
            bytes: BASE64_STANDARD
                .decode(field("signature")?)
                .map_err(|error| error.to_string())?,
        })
    }

    /// That it covers these, as they came, and was made with the private half of this key.
    pub(super) fn verify(&self, request: &Recorded, covered: &[&str], public: &[u8]) -> Result<(), String> {
        let names: Vec<&str> = self.headers.split(' ').collect();
        if let Some(missing) = covered.iter().find(|name| !names.contains(*name)) {
            return Err(format!("it does not cover {missing}"));
        }
        let mut lines = Vec::new();
        for name in names {
            let value = match name {
                "(request-target)" => format!("{} {}", request.method.to_lowercase(), request.target),
                _ => request
                    .headers
                    .get(name)
                    .cloned()
                    .ok_or(format!("it covers {name}, which is not there"))?,
            };
            lines.push(format!("{name}: {value}"));
        }
        if let Some(given) = request.headers.get("x-content-sha256")
            && *given != BASE64_STANDARD.encode(digest(&SHA256, &request.body))
        {
            return Err("x-content-sha256 is not of this body".to_owned());
        }
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        let text = lines.join("\n");
        key.verify(text.as_bytes(), &self.bytes)
            .map_err(|_| format!("it is not over this: {text}"))
    }
}
