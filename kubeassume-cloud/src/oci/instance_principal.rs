//! [`InstancePrincipal`]: the machine's own identity, on a compute instance of OCI.
//!
//! The metadata service (version 2, `http://169.254.169.254/opc/v2`, or `OCI_METADATA_BASE_URL`) gives the
//! instance's certificate and key. With them, and a session key made for this purpose,
//! `https://auth.REGION.DOMAIN/v1/x509` gives a token. Both are kept until shortly before the token ends, and
//! fetched anew then; the certificate rotates several times a day. If that fails while the old token still
//! lasts, the old one is used.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, HeaderValue};
use http::{Method, Request, Uri};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};

use super::environment::Environment;
use super::error::CredentialError;
use super::key::{KeyError, SigningKey};
use super::sign::{Content, Credential, REQUEST_TARGET};
use super::token::SecurityToken;
use crate::http::{CallError, HttpClient, Take};
use crate::retry::Retry;

/// Where an instance asks about itself.
pub const METADATA_HOST: &str = "169.254.169.254";
/// A token with less than this to go is replaced.
const REFRESH_BEFORE: Duration = Duration::from_secs(5 * 60);
/// Certificates, keys and tokens are a few kilobytes.
const LIMIT: Take = Take::All(64 << 10);
const METADATA: &str = "the instance's metadata service";
const AUTH: &str = "OCI's authentication service";

#[derive(Debug)]
pub(super) struct InstancePrincipal {
    http: HttpClient,
    metadata: String,
    /// Instead of the region's own, for tests.
    federation: Option<String>,
    session: Mutex<Option<Session>>,
}

#[derive(Debug, Clone)]
struct Session {
    credential: Credential,
    expires: SystemTime,
}

/// `GET /opc/v2/instance/regionInfo`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegionInfo {
    region_identifier: String,
    realm_domain_component: String,
}

/// What the instance has: its certificate, the ones above it, and its key.
struct Identity {
    leaf: Vec<u8>,
    intermediates: Vec<Vec<u8>>,
    key: SigningKey,
}

/// The body of `POST /v1/x509`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct X509Request {
    certificate: String,
    public_key: String,
    intermediate_certificates: Vec<String>,
}

#[derive(Deserialize)]
struct X509Answer {
    token: String,
}

impl InstancePrincipal {
    /// `federation`: another URL than the region's.
    pub(super) fn new(environment: &Environment, http: HttpClient, federation: Option<String>) -> Self {
        let metadata = environment.variable("OCI_METADATA_BASE_URL");
        let metadata = metadata.unwrap_or_else(|| format!("http://{METADATA_HOST}/opc/v2"));
        let metadata = metadata.trim().trim_end_matches('/').to_owned();
        // It is link-local and has no https; whoever may set the variable may as well bring a key.
        let host = metadata
            .parse::<Uri>()
            .ok()
            .and_then(|url| url.host().map(str::to_owned));
        Self {
            http: http.with_plain_http_to(host.unwrap_or_default()),
            metadata,
            federation,
            session: Mutex::new(None),
        }
    }

    pub(super) async fn load(&self, now: SystemTime) -> Result<Credential, CredentialError> {
        // Held over the exchange, so that many calls at once lead to one.
        let mut session = self.session.lock().await;
        let last = session.as_ref().filter(|session| session.expires > now);
        if let Some(fresh) = last.filter(|session| session.expires > now + REFRESH_BEFORE) {
            return Ok(fresh.credential.clone());
        }
        match self.exchange(now).await {
            Ok(new) => Ok(session.insert(new).credential.clone()),
            Err(error) => last.map(|last| last.credential.clone()).ok_or(error),
        }
    }

    /// The service refused it: whatever its end says, it is over.
    pub(super) async fn forget(&self) {
        *self.session.lock().await = None;
    }

    pub(super) async fn region(&self) -> Result<String, CredentialError> {
        Ok(self.region_info().await?.region_identifier)
    }

    async fn exchange(&self, now: SystemTime) -> Result<Session, CredentialError> {
        let identity = self.identity().await?;
        let session_key = SigningKey::generate().map_err(unsigned)?;
        let request = X509Request {
            certificate: STANDARD.encode(&identity.leaf),
            public_key: STANDARD.encode(session_key.public_key().map_err(unsigned)?),
            intermediate_certificates: identity
                .intermediates
                .iter()
                .map(|der| STANDARD.encode(der))
                .collect(),
        };
        let body = serde_json::to_vec(&request).map_err(|error| odd(AUTH, &error.to_string()))?;
        let url = match &self.federation {
            Some(url) => url.clone(),
            None => {
                let region = self.region_info().await?;
                let (region, domain) = (region.region_identifier, region.realm_domain_component);
                format!("https://auth.{region}.{domain}/v1/x509")
            }
        };
        let uri: Uri = url
            .parse()
            .map_err(|_| odd(METADATA, "it gives a region that is no host name"))?;
        let signer = identity.signer()?;
        let mut call = Request::post(uri.clone())
            .body(Bytes::from(body.clone()))
            .map_err(|error| odd(AUTH, &error.to_string()))?;
        // Without the host: what OCI's own SDKs sign for this service.
        signer
            .sign_with(
                &[DATE, REQUEST_TARGET],
                &Method::POST,
                &uri,
                call.headers_mut(),
                Content::Json(&body),
                now,
            )
            .map_err(unsigned)?;
        // The client counts it itself.
        call.headers_mut().remove(CONTENT_LENGTH);
        let answer = self.http.send(call, LIMIT).await;
        let answer = answer.map_err(|error| CredentialError::Call { from: AUTH, error })?;
        let answer: X509Answer =
            serde_json::from_slice(&answer.body).map_err(|_| odd(AUTH, "its answer has no token"))?;
        let token = SecurityToken::parse(&Zeroizing::new(answer.token))
            .ok_or_else(|| odd(AUTH, "its token is no JWT with an exp"))?;
        Ok(Session {
            expires: token.expires(),
            credential: Credential::session(token, session_key),
        })
    }

    async fn identity(&self) -> Result<Identity, CredentialError> {
        let leaf = certificates(&self.metadata("identity/cert.pem").await?)?;
        let leaf = leaf
            .into_iter()
            .next()
            .ok_or_else(|| odd(METADATA, "no certificate"))?;
        let key = Zeroizing::new(self.metadata("identity/key.pem").await?.to_vec());
        let key =
            SigningKey::from_pem(&key, None).map_err(|error| odd(METADATA, &format!("its key {error}")))?;
        let intermediates = certificates(&self.metadata("identity/intermediate.pem").await?)?;
        Ok(Identity {
            leaf,
            intermediates,
            key,
        })
    }

    async fn region_info(&self) -> Result<RegionInfo, CredentialError> {
        let body = self.metadata("instance/regionInfo").await?;
        let info: RegionInfo = serde_json::from_slice(&body)
            .map_err(|_| odd(METADATA, "its regionInfo is not as documented"))?;
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        };
        match is_name(&info.region_identifier) && is_name(&info.realm_domain_component) {
            true => Ok(info),
            false => Err(odd(METADATA, "its regionInfo holds no host name")),
        }
    }

    async fn metadata(&self, path: &str) -> Result<Bytes, CredentialError> {
        let url = format!("{}/{path}", self.metadata);
        let failed = |error| CredentialError::Call {
            from: METADATA,
            error,
        };
        let call = || async {
            let mut request = Request::get(&url)
                .body(Bytes::new())
                .map_err(|error| CallError::Unsendable(error.to_string()))?;
            // Not a secret: it only shows that nobody was tricked into fetching a URL.
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer Oracle"));
            self.http.send(request, LIMIT).await
        };
        Ok(Retry::READ.run(call).await.map_err(failed)?.body)
    }
}

impl Identity {
    /// Who asks for a token: the certificate, by its tenancy and fingerprint.
    fn signer(&self) -> Result<Credential, CredentialError> {
        let tenancy = tenancy(&self.leaf)
            .ok_or_else(|| odd(METADATA, "its certificate names no tenancy (opc-tenant)"))?;
        // SHA-1 names the certificate here; nothing is trusted for it.
        let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.leaf);
        let fingerprint: Vec<String> = fingerprint
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let key_id = format!("{tenancy}/fed-x509/{}", fingerprint.join(":"));
        Ok(Credential::named(key_id, self.key.clone()))
    }
}

/// `opc-tenant:<OCID>` (or `opc-identity:`) among the subject's values.
fn tenancy(certificate: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let subject = certificate.tbs_certificate().subject();
    subject.iter().find_map(|attribute| {
        let value = &attribute.value;
        let text = value
            .decode_as::<Utf8StringRef<'_>>()
            .map(|text| text.as_str().to_owned())
            .or_else(|_| {
                value
                    .decode_as::<PrintableStringRef<'_>>()
                    .map(|text| text.as_str().to_owned())
            })
            .or_else(|_| {
                value
                    .decode_as::<Ia5StringRef<'_>>()
                    .map(|text| text.as_str().to_owned())
            })
            .ok()?;
        let tenancy = text
            .strip_prefix("opc-tenant:")
            .or_else(|| text.strip_prefix("opc-identity:"))?;
        Some(tenancy.to_owned())
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, CredentialError> {
    let blocks = pem::parse_many(pem).map_err(|_| odd(METADATA, "its certificates are not PEM"))?;
    let certificates = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
    Ok(certificates.map(pem::Pem::into_contents).collect())
}

fn unsigned(error: KeyError) -> CredentialError {
    CredentialError::Unusable(format!("the instance's session key {error}"))
}

fn odd(from: &str, text: &str) -> CredentialError {
    CredentialError::Unusable(format!("{from}: {text}"))
}
