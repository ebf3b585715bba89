//! An instance's metadata service, and the service that exchanges its certificate for a token.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use super::refusal;
use super::signature::{Keys, Signature};
use crate::recorder::{Answer, Recorded};

const TENANCY: &str = "ocid1.tenancy.oc1..aaaaaaaatenancy";

/// The one instance.
pub(super) struct Identity {
    key: KeyPair,
    leaf: rcgen::Certificate,
    intermediate: rcgen::Certificate,
}

impl Identity {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
        let certificate = |unit: &str| {
            let mut params = CertificateParams::default();
            params
                .distinguished_name
                .push(DnType::CommonName, "ocid1.instance.oc1.eu-frankfurt-1.aaaa");
            params
                .distinguished_name
                .push(DnType::OrganizationalUnitName, unit);
            params.self_signed(&key).expect("a certificate")
        };
        Self {
            leaf: certificate(&format!("opc-tenant:{TENANCY}")),
            intermediate: certificate("opc-certtype:intermediate"),
            key,
        }
    }

    pub(super) fn metadata(&self, request: &Recorded, path: &str) -> Answer {
        if request.headers.get("authorization").map(String::as_str) != Some("Bearer Oracle") {
            return Answer::new(401, "");
        }
        let text = match path.trim_start_matches("/opc/v2/").trim_end_matches('/') {
            "identity/cert.pem" => self.leaf.pem(),
            "identity/key.pem" => self.key.serialize_pem(),
            "identity/intermediate.pem" => self.intermediate.pem(),
            "instance/region" => "eu-frankfurt-1".to_owned(),
            "instance/regionInfo" => json!({
                "realmKey": "oc1", "realmDomainComponent": "oraclecloud.com",
                "regionKey": "FRA", "regionIdentifier": "eu-frankfurt-1"
            })
            .to_string(),
            _ => return Answer::new(404, ""),
        };
        Answer::new(200, text)
    }

    /// `POST /v1/x509`. No model describes it; OCI's own client is the contract.
    pub(super) fn exchange(&self, request: &Recorded, keys: &mut Keys) -> Answer {
        match self.token(request, keys) {
            Ok(token) => Answer::new(200, json!({"token": token}).to_string()),
            Err(why) => refusal(401, "NotAuthenticated", &why),
        }
    }

    fn token(&self, request: &Recorded, keys: &mut Keys) -> Result<String, String> {
        let signature = Signature::parse(request)?;
        let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, self.leaf.der());
        let fingerprint: Vec<String> = fingerprint
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        if signature.key_id != format!("{TENANCY}/fed-x509/{}", fingerprint.join(":")) {
            return Err(format!("the key is not {}", signature.key_id));
        }
        let covered = [
            "date",
            "(request-target)",
            "content-length",
            "content-type",
            "x-content-sha256",
        ];
        signature.verify(request, &covered, self.key.public_key_raw())?;
        let body: Value = serde_json::from_slice(&request.body).map_err(|error| error.to_string())?;
        let fields: Vec<&String> = body.as_object().ok_or("no object")?.keys().collect();
        if fields != ["certificate", "intermediateCertificates", "publicKey"] {
            return Err(format!("the body has {fields:?}"));
        }
        let encoded = |der: &[u8]| json!(BASE64_STANDARD.encode(der));
        if body["certificate"] != encoded(self.leaf.der())
            || body["intermediateCertificates"] != json!([encoded(self.intermediate.der())])
        {
            return Err("these are other certificates".to_owned());
        }
        let session = body["publicKey"].as_str().unwrap_or_default();
        let session = BASE64_STANDARD
            .decode(session)
            .map_err(|error| error.to_string())?;
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &session);
        public.map_err(|_| "the session's key is no RSA key")?;
        let exp = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs()
            + 1200;
        let claims = json!({"sub": "ocid1.instance.oc1.eu-frankfurt-1.aaaa", "exp": exp, "iat": exp - 1200, "jti": fastrand::u64(..)});
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.c2ln", part(json!({"alg": "RS256"})), part(claims));
        keys.add_public(format!("ST${token}"), session);
        Ok(token)
    }
}
