//! [`OciStore`]: two objects in a bucket.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, Request};
use kubeassume_cloud::http::{Answer, CallError, HttpClient, Take};
use kubeassume_cloud::oci::{Auth, Content, CredentialError, Credentials, Environment};
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, Metadata, NewDocument, Precondition, StoreError,
    StoredDocument, Version,
};
use kubeassume_core::{IssuerUrl, JWKS_CONTENT_TYPE};
use serde::Deserialize;

use super::error::{hidden, is_absence, is_refusal, meaning};
use super::{OciAuth, OciConfig};
use crate::fields::endpoint_host;
use crate::meaning::Effect;
use crate::{Invalid, OpenError, Patience, Tls};

/// No object has this entity tag: OCI's are longer.
const IMPOSSIBLE_ETAG: &str = "00000000-0000-0000-0000-000000000000";
/// The most that is listed of a bucket that others may fill.
const MAX_PAGES: usize = 10;
/// 1000 names of at most 1024 bytes, escaped.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// A [`DocumentStore`] in a bucket. It needs a tokio runtime.
#[derive(Clone)]
pub struct OciStore {
    http: HttpClient,
    credentials: Credentials,
    config: OciConfig,
    region: String,
}

impl OciStore {
    /// A store for this bucket. Nothing is asked, unless the region must be had from the instance.
    ///
    /// # Errors
    /// [`OpenError::Invalid`] for the configuration; [`StoreError::Misconfigured`] for the CA file, an unknown
    /// region or an `OCI_CLI_AUTH` that is none.
    pub async fn open(config: &OciConfig, tls: &Tls) -> Result<Self, OpenError> {
        config.check()?;
        let environment = Environment::process();
        let http = client(config, tls)?;
        let auth = match config.auth {
            Some(auth) => auth.into(),
            None => Auth::of_environment(&environment)
                .map_err(|error| StoreError::Misconfigured(error.to_string()))?,
        };
        let credentials = Credentials::new(auth, &environment, &http);
        Self::build(config, http, credentials).await
    }

    /// As [`open`](Self::open), with credentials of the caller's own; `auth` does not count then.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(
        config: &OciConfig,
        tls: &Tls,
        credentials: Credentials,
    ) -> Result<Self, OpenError> {
        config.check()?;
        Self::build(config, client(config, tls)?, credentials).await
    }

    async fn build(
        config: &OciConfig,
        http: HttpClient,
        credentials: Credentials,
    ) -> Result<Self, OpenError> {
        let region = match &config.region {
            Some(region) => region.clone(),
            None => region(&credentials).await?,
        };
        // What came from a profile or an instance obeys the same rule as what was configured.
        let config = OciConfig {
            region: Some(region.clone()),
            ..config.clone()
        };
        config.check()?;
        Ok(Self {
            http,
            credentials,
            config,
            region,
        })
    }

    /// Waits so long for the server from now on. Each call is made once.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.http = self.http.with_call_timeout(patience.attempt);
        self
    }

    /// Where the public reads what it holds, as configured or by default.
    ///
    /// # Errors
    /// As [`OciConfig::public_url`].
    pub fn public_url(&self) -> Result<IssuerUrl, Invalid> {
        self.config.public_url(&self.region)
    }

    async fn read(&self, path: &DocumentPath) -> Result<Option<Answer>, CallError> {
        let take = Take::Beginning(MAX_DOCUMENT_BYTES);
        match self
            .call(
                Method::GET,
                &self.target(path),
                HeaderMap::new(),
                Bytes::new(),
                take,
            )
            .await
        {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<Answer, CallError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value(&document.content_type)?);
        headers.insert(CACHE_CONTROL, value(&document.cache_control)?);
        for (name, text) in &document.metadata {
            let name = HeaderName::try_from(format!("{META}{name}"));
            headers.insert(name.map_err(|error| unsendable(&error))?, value(text)?);
        }
        match precondition {
            Precondition::Absent => headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*")),
            Precondition::Matches(version) => headers.insert(IF_MATCH, value(version.as_str())?),
        };
        let body = document.bytes.clone();
        self.call(Method::PUT, &self.target(path), headers, body, Take::All(0))
            .await
    }

    async fn names(&self, start: Option<&str>) -> Result<ListObjects, CallError> {
        let mut target = format!("{}?limit=1000", self.config.objects());
        if let Some(prefix) = &self.config.prefix {
            target.push_str(&format!("&prefix={}", encoded(&format!("{prefix}/"))));
        }
        if let Some(start) = start {
            target.push_str(&format!("&start={}", encoded(start)));
        }
        let take = Take::All(MAX_PAGE_BYTES);
        let answer = self
            .call(Method::GET, &target, HeaderMap::new(), Bytes::new(), take)
            .await?;
        serde_json::from_slice(&answer.body).map_err(|_| {
            CallError::Unsendable("the server's list of objects is not as OCI documents it".to_owned())
        })
    }

    /// One signed request. Object Storage's PutObject signs no digest of its body.
    async fn call(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
        take: Take,
    ) -> Result<Answer, CallError> {
        let now = SystemTime::now();
        let url = format!("{}{target}", self.config.server(&self.region));
        let mut request = Request::builder()
            .method(method.clone())
            .uri(url)
            .body(body)
            .map_err(|error| unsendable(&error))?;
        *request.headers_mut() = headers;
        let uri = request.uri().clone();
        let credential = self.credentials.load(now).await?;
        credential
            .sign(&method, &uri, request.headers_mut(), Content::Unsigned, now)
            .map_err(|error| CallError::from(CredentialError::Unusable(format!("the key {error}"))))?;
        let answer = self.http.send(request, take).await;
        if matches!(&answer, Err(CallError::Refused(refusal)) if refusal.status == 401) {
            self.credentials.forget().await;
        }
        answer
    }

    /// The object's name is one segment, so its slashes are encoded, and signed so.
    fn target(&self, path: &DocumentPath) -> String {
        format!("{}/{}", self.config.objects(), encoded(&self.config.object(path)))
    }

    /// Shows that the store refuses a write whose precondition does not hold, without a way to leave anything
    /// behind: what is there could only be replaced by itself, and what is not there is taken away again
    /// should a store have made it. The permission that a refusal says is missing, or `None`.
    async fn probe(
        &self,
        path: &DocumentPath,
        there: Option<&StoredDocument>,
    ) -> Result<Option<&'static str>, StoreError> {
        let impossible = Precondition::Matches(Version::new(IMPOSSIBLE_ETAG));
        let (document, preconditions, permission) = match there {
            Some(stored) => (
                same(stored),
                vec![Precondition::Absent, impossible],
                "OBJECT_OVERWRITE",
            ),
            None => (nothing(), vec![impossible], "OBJECT_CREATE"),
        };
        for precondition in preconditions {
            let now = SystemTime::now();
            match self.write(path, &document, &precondition).await {
                Err(error) if is_refusal(&error) => return Ok(Some(permission)),
                Err(error) => match meaning(error, Effect::Replace, now) {
                    StoreError::Precondition => {}
                    error => return Err(error),
                },
                Ok(answer) => {
                    let version = version(&answer).unwrap_or(Version::new(IMPOSSIBLE_ETAG));
                    return Err(self.ignored(path, there.is_some(), &version).await);
                }
            }
        }
        Ok(None)
    }

    /// The store took a write that it had to refuse.
    async fn ignored(&self, path: &DocumentPath, existed: bool, version: &Version) -> StoreError {
        let mut text =
            "the server ignores If-Match and If-None-Match on writes, so two writers would overwrite \
                        each other; it cannot be used"
                .to_owned();
        if !existed && self.delete(path, version).await.is_err() {
            text.push_str(&format!(
                "; an empty key set was left at {} and could not be deleted: delete it",
                self.config.object(path)
            ));
        }
        StoreError::Misconfigured(text)
    }
}

#[async_trait]
impl DocumentStore for OciStore {
    fn kind(&self) -> &'static str {
        "oci"
    }

    fn location(&self) -> String {
        let OciConfig {
            namespace, bucket, ..
        } = &self.config;
        let mut location = format!("oci://{bucket}@{namespace}");
        if let Some(prefix) = &self.config.prefix {
            location.push('/');
            location.push_str(prefix);
        }
        // A namespace has a bucket of this name in each region.
        let server = self.config.server(&self.region);
        let host = endpoint_host("oci.endpoint", &server).unwrap_or(server);
        format!("{location} at {host}")
    }

    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let now = SystemTime::now();
        let found = self.read(path).await;
        match found.map_err(|error| meaning(error, Effect::Read, now))? {
            Some(answer) => stored(answer).map(Some),
            None => Ok(None),
        }
    }

    async fn put(
        &self,
        path: &DocumentPath,
        document: &NewDocument,
        precondition: &Precondition,
    ) -> Result<Version, StoreError> {
        if document.bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(StoreError::TooLarge);
        }
        let now = SystemTime::now();
        let effect = match precondition {
            Precondition::Absent => Effect::Create,
            Precondition::Matches(_) => Effect::Replace,
        };
        let written = self.write(path, document, precondition).await;
        let answer = written.map_err(|error| meaning(error, effect, now))?;
        version(&answer).ok_or_else(|| StoreError::Unknown("the server gave no ETag".to_owned()))
    }

    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        let prefix = self
            .config
            .prefix
            .as_ref()
            .map_or(String::new(), |prefix| format!("{prefix}/"));
        let mut found = Vec::new();
        let mut start = None;
        for _ in 0..MAX_PAGES {
            let now = SystemTime::now();
            let page = self.names(start.as_deref()).await;
            let page = page.map_err(|error| match meaning(error, Effect::Read, now) {
                StoreError::Denied(text) => StoreError::Denied(format!("OBJECT_INSPECT ({text})")),
                error => error,
            })?;
            let names = page.objects.into_iter();
            found.extend(names.filter_map(|object| DocumentPath::new(object.name.strip_prefix(&prefix)?)));
            start = page.next_start_with;
            if start.is_none() {
                break;
            }
        }
        found.sort();
        Ok(found)
    }

    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        let now = SystemTime::now();
        let delete = async {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, value(version.as_str())?);
            self.call(
                Method::DELETE,
                &self.target(path),
                headers,
                Bytes::new(),
                Take::All(0),
            )
            .await
        };
        let deleted = delete.await;
        deleted
            .map(drop)
            .map_err(|error| meaning(error, Effect::Replace, now))
    }

    async fn validate(&self) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        let (mut seen, mut refusal) = (false, None);
        for path in [DocumentPath::JWKS, DocumentPath::DISCOVERY] {
            let object = self.config.object(&path);
            let now = SystemTime::now();
            match self.read(&path).await {
                Ok(there) => {
                    seen = true;
                    let there = there.map(stored).transpose()?;
                    let permission = self.probe(&path, there.as_ref()).await?;
                    missing.extend(permission.map(|permission| format!("{permission} on {object}")));
                }
                // What cannot be read is not written to: were the precondition ignored, it would be lost.
                Err(error) if is_refusal(&error) => {
                    missing.push(format!("OBJECT_READ on {object}"));
                    refusal = Some(error);
                }
                Err(error) => return Err(meaning(error, Effect::Read, now)),
            }
        }
        if let Some(error) = refusal
            && !seen
            && self.names(None).await.is_err()
        {
            return Err(StoreError::Misconfigured(format!(
                "{}; it needs OBJECT_READ, OBJECT_CREATE and OBJECT_OVERWRITE",
                hidden(&error)
            )));
        }
        if !missing.is_empty() {
            return Err(StoreError::Denied(format!(
                "the policy lacks {}",
                missing.join(" and ")
            )));
        }
        Ok(())
    }

    async fn warnings(&self, issuer: &IssuerUrl) -> Vec<String> {
        // Without a credential there are errors, and nothing to warn of.
        let credential = self.credentials.load(SystemTime::now()).await;
        if !credential.is_ok_and(|credential| credential.names(issuer.as_str())) {
            return Vec::new();
        }
        vec![format!(
            "the OCI session that publishes was given for a token of {issuer}, which it publishes itself: when what is \
             published is wrong, the means to mend it go with it; keep another way to write to {}",
            self.location()
        )]
    }
}

/// A page of `GET /n/NAMESPACE/b/BUCKET/o`, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListObjects {
    objects: Vec<ObjectSummary>,
    next_start_with: Option<String>,
}

#[derive(Deserialize)]
struct ObjectSummary {
    name: String,
}

/// User metadata's headers begin with this.
const META: &str = "opc-meta-";

impl From<OciAuth> for Auth {
    fn from(auth: OciAuth) -> Self {
        match auth {
            OciAuth::ApiKey => Self::ApiKey,
            OciAuth::SessionToken => Self::SessionToken,
            OciAuth::ResourcePrincipal => Self::ResourcePrincipal,
            OciAuth::InstancePrincipal => Self::InstancePrincipal,
        }
    }
}

fn client(config: &OciConfig, tls: &Tls) -> Result<HttpClient, StoreError> {
    let http = HttpClient::new(tls.ca_pem.as_deref()).map_err(|error| {
        StoreError::Misconfigured(match tls.ca_pem {
            Some(_) => format!("tls.caFile: {error}"),
            None => error.to_string(),
        })
    })?;
    // Whoever configures http means it. The signature covers what is asked, and is no use to who hears it.
    let plain = config
        .endpoint
        .as_deref()
        .and_then(|endpoint| endpoint.strip_prefix("http://"));
    Ok(
        match plain.and_then(|host| host.parse::<http::uri::Authority>().ok()) {
            Some(authority) => http.with_plain_http_to(authority.host()),
            None => http,
        },
    )
}

async fn region(credentials: &Credentials) -> Result<String, StoreError> {
    let known = credentials.region().await;
    let known = known.map_err(|error| meaning(error.into(), Effect::Read, SystemTime::now()))?;
    known.ok_or_else(|| {
        StoreError::Misconfigured(
            "no region is known; set oci.region (or region in the profile, or OCI_REGION)".to_owned(),
        )
    })
}

fn stored(answer: Answer) -> Result<StoredDocument, StoreError> {
    let version = version(&answer).ok_or_else(|| {
        StoreError::Misconfigured(
            "the server gives no ETag, so no write can be tied to what was read".to_owned(),
        )
    })?;
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let header = |name: HeaderName| answer.headers.get(name).and_then(text);
    let metadata = answer
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(META)?.to_owned(), text(value)?)));
    Ok(StoredDocument {
        content_type: header(CONTENT_TYPE),
        cache_control: header(CACHE_CONTROL),
        metadata: metadata.collect(),
        version,
        bytes: answer.body,
    })
}

fn version(answer: &Answer) -> Option<Version> {
    let etag = answer.headers.get(ETAG)?.to_str().ok()?;
    (!etag.is_empty()).then(|| Version::new(etag))
}

/// What is there, to be written over itself.
fn same(stored: &StoredDocument) -> NewDocument {
    NewDocument {
        bytes: stored.bytes.clone(),
        content_type: stored.content_type.clone().unwrap_or_default(),
        cache_control: stored.cache_control.clone().unwrap_or_default(),
        metadata: stored.metadata.clone(),
    }
}

/// What nobody can be harmed by, should a store keep it.
fn nothing() -> NewDocument {
    NewDocument {
        bytes: Bytes::from_static(br#"{"keys":[]}"#),
        content_type: JWKS_CONTENT_TYPE.to_owned(),
        cache_control: "no-store".to_owned(),
        metadata: Metadata::new(),
    }
}

/// Percent-encoded but for RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => {
                char::from(b).to_string()
            }
            b => format!("%{b:02X}"),
        })
        .collect()
}

fn value(text: &str) -> Result<HeaderValue, CallError> {
    HeaderValue::from_str(text).map_err(|error| unsendable(&error))
}

fn unsendable(error: &dyn fmt::Display) -> CallError {
    CallError::Unsendable(error.to_string())
}

/// Without the credentials.
impl fmt::Debug for OciStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OciStore").field(&self.location()).finish()
    }
}
