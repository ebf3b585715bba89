//! [`OciBucket`]: a bucket of OCI Object Storage
//! (<https://docs.oracle.com/iaas/api/#/en/objectstorage/20160918/Bucket>).
//!
//! Reading is granted by the bucket, so it has to be one of its own, with the access type
//! `ObjectReadWithoutList`. Who writes is for an identity policy of the tenancy. That is not written here: a policy is
//! in the tenancy's home region, often in another team's hands, and is shared by what has nothing to do with this
//! bucket. Its statement is in [`Plan::by_hand`](super::Plan::by_hand), and what other policies grant is not seen.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use kubeassume_cloud::http::{CallError, Refusal};
use kubeassume_cloud::oci::{Auth, Content, CredentialError, Credentials, Environment};
use kubeassume_cloud::text::printable;
use serde_json::{Value, json};

use super::BucketError;
use super::contents::only_documents;
use super::plan::{Cloud, Grant, Planned};
use super::rest::{Ask, Authorize, Rest, encoded, failed, http_client};
use crate::oci::OciConfig;
use crate::{Invalid, Tls};

const PUBLIC: &str = "ObjectReadWithoutList";
const PERMISSIONS: [&str; 3] = ["OBJECT_READ", "OBJECT_CREATE", "OBJECT_OVERWRITE"];

/// A bucket, and who writes its documents.
#[derive(Debug, Clone)]
pub struct OciBucket {
    config: OciConfig,
    writer: Writer,
    credentials: Option<Credentials>,
    tls: Tls,
}

/// The subject of a policy statement, and the conditions that make an `any-user` one principal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Writer {
    subject: String,
    conditions: Option<String>,
}

#[async_trait]
impl Authorize for Credentials {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), CallError> {
        let now = SystemTime::now();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let body = request.body().clone();
        let content = match method == Method::GET {
            true => Content::Unsigned,
            false => Content::Json(&body),
        };
        let credential = self.load(now).await?;
        credential
            .sign(&method, &uri, request.headers_mut(), content, now)
            .map_err(|error| CredentialError::Unusable(format!("the key {error}")).into())
    }
}

impl OciBucket {
    /// For the documents in the configured bucket, written by `writer`: `group NAME`, `dynamic-group NAME` (or
    /// `id OCID`), or `any-user where {...}` with conditions on the principal.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule; the compartment must be given.
    pub fn new(config: &OciConfig, writer: &str, tls: Tls) -> Result<Self, Invalid> {
        config.check()?;
        if config.compartment_id.is_none() {
            return Err(Invalid::new(
                "oci.compartmentId",
                "must be given: a bucket is created in a compartment, and the writer's policy names it",
            ));
        }
        Ok(Self {
            config: config.clone(),
            writer: Writer::parse(writer)?,
            credentials: None,
            tls,
        })
    }

    /// With credentials of the caller's own; `auth` does not count then.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Where the public reads it, without a host of your own in front; `None` while the region is the credential's.
    ///
    /// # Errors
    /// [`Invalid`] where there is no https address.
    pub fn public_url(&self) -> Result<Option<String>, Invalid> {
        let region = match (&self.config.region, &self.config.endpoint) {
            (Some(region), _) => region.as_str(),
            (None, Some(_)) => "",
            (None, None) => return Ok(None),
        };
        self.config.public_url(region).map(|url| Some(url.to_string()))
    }

    async fn rest(&self) -> Result<(Rest<Credentials>, String), BucketError> {
        let credential = |error: &CredentialError| BucketError::setup("oci.auth", error.to_string());
        let plain = self.config.endpoint.as_deref().unwrap_or_default();
        let http = http_client(&self.tls, plain, true)?;
        let credentials = match &self.credentials {
            Some(given) => given.clone(),
            None => {
                let environment = Environment::process();
                let auth = match self.config.auth {
                    Some(auth) => auth.into(),
                    None => Auth::of_environment(&environment).map_err(|error| credential(&error))?,
                };
                Credentials::new(auth, &environment, &http)
            }
        };
        let region = match &self.config.region {
            Some(region) => Some(region.clone()),
            None => credentials.region().await.map_err(|error| credential(&error))?,
        };
        let config = OciConfig {
            region,
            ..self.config.clone()
        };
        config.check()?;
        let Some(region) = &config.region else {
            return Err(Invalid::new(
                "oci.region",
                "must be given (or stand in the profile, or in OCI_REGION)",
            )
            .into());
        };
        let base = config.server(region);
        Ok((
            Rest {
                http,
                credentials,
                base,
            },
            region.clone(),
        ))
    }

    fn location(&self) -> String {
        let prefix = self
            .config
            .prefix
            .as_ref()
            .map_or(String::new(), |prefix| format!("/{prefix}"));
        format!("oci://{}@{}{prefix}", self.config.bucket, self.config.namespace)
    }

    fn buckets(&self) -> String {
        format!("/n/{}/b", encoded(&self.config.namespace))
    }

    fn target(&self) -> String {
        format!("{}/{}", self.buckets(), encoded(&self.config.bucket))
    }

    fn compartment(&self) -> &str {
        self.config.compartment_id.as_deref().unwrap_or_default()
    }

    /// IAM policy reference, "Details for Object Storage".
    fn statement(&self) -> String {
        let any: Vec<String> = PERMISSIONS
            .iter()
            .map(|permission| format!("request.permission = '{permission}'"))
            .collect();
        let conditions = self
            .writer
            .conditions
            .as_ref()
            .map_or(String::new(), |own| format!("{own}, "));
        format!(
            "Allow {} to manage objects in compartment id {} where all {{{conditions}target.bucket.name = '{}', any {{{}}}}}",
            self.writer.subject,
            self.compartment(),
            self.config.bucket,
            any.join(", ")
        )
    }

    async fn objects(&self, rest: &Rest<Credentials>) -> Result<Vec<String>, BucketError> {
        let operation = "ListObjects";
        let target = format!("{}/o?limit=1000", self.target());
        let page = |body: &Value| {
            let objects = body
                .get("objects")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let names = objects.filter_map(|object| Some(object.get("name")?.as_str()?.to_owned()));
            let start = body.get("nextStartWith").and_then(Value::as_str);
            let next = start.map(|start| Ask::read(operation, format!("{target}&start={}", encoded(start))));
            (names.collect(), next)
        };
        let names = rest.names(Ask::read(operation, target.clone()), page).await;
        names.map_err(|error| self.failed(operation, &error))
    }

    /// Whoever has the secret address of such a request needs no policy.
    async fn find_preauthenticated(
        &self,
        rest: &Rest<Credentials>,
        planned: &mut Planned<Ask>,
    ) -> Result<(), BucketError> {
        let ask = Ask::read(
            "ListPreauthenticatedRequests",
            format!("{}/p?limit=1000", self.target()),
        );
        let bucket = &self.config.bucket;
        let list = match rest.send(&ask).await {
            Ok(list) => list.body,
            // It needs a permission of its own, PAR_MANAGE.
            Err(CallError::Refused(refusal)) if matches!(refusal.status, 403 | 404) => {
                planned.find(
                    format!("whether pre-authenticated requests may write cannot be seen ({refusal})"),
                    format!(
                        "have PAR_MANAGE granted, or look: oci os preauth-request list --bucket-name {bucket}"
                    ),
                );
                return Ok(());
            }
            Err(error) => return Err(self.failed(ask.operation, &error)),
        };
        for request in list.as_array().into_iter().flatten() {
            let is = |name: &str| printable(request.get(name).and_then(Value::as_str).unwrap_or_default());
            if is("accessType").contains("Write") {
                planned.find(
                    format!(
                        "whoever has the address of the pre-authenticated request {:?} may write too, until {}",
                        is("name"),
                        is("timeExpires")
                    ),
                    format!("oci os preauth-request delete --bucket-name {bucket} --par-id {}", is("id")),
                );
            }
        }
        Ok(())
    }

    fn failed(&self, operation: &'static str, error: &CallError) -> BucketError {
        let compartment = self.compartment();
        let advice = |refusal: &Refusal| {
            Some(match (refusal.status, refusal.code.as_str()) {
                (_, "NamespaceNotFound") => ("oci.namespace", "`oci os ns get` says the tenancy's namespace".to_owned()),
                (409, "BucketAlreadyExists") => (
                    "oci.bucket",
                    "the namespace has a bucket of this name that this credential may not see; choose another, or have \
                     BUCKET_READ granted"
                        .to_owned(),
                ),
                (404, _) if operation == "CreateBucket" => (
                    "oci.compartmentId",
                    format!(
                        "there is no such compartment, or the credential may not create buckets in it: Allow group ... to \
                         manage buckets in compartment id {compartment}"
                    ),
                ),
                (403, _) | (404, _) => (
                    "oci.bucket",
                    format!("the credential needs: Allow group ... to manage buckets in compartment id {compartment}, and \
                             to inspect objects in it"),
                ),
                (401, _) => (
                    "oci.auth",
                    "the key is not the user's, the session is over, or this machine's clock is more than five minutes off"
                        .to_owned(),
                ),
                _ => return None,
            })
        };
        failed(operation, "oci.bucket", error, advice)
    }
}

#[async_trait]
impl Cloud for OciBucket {
    type Step = Ask;

    async fn look(&self) -> Result<Planned<Ask>, BucketError> {
        let (rest, region) = self.rest().await?;
        let issuer = self.config.public_url(&region).ok().map(|url| url.to_string());
        let mut planned = Planned::new(self.location(), issuer);
        let ask = Ask::read("GetBucket", self.target());
        match rest
            .find(&ask)
            .await
            .map_err(|error| self.failed(ask.operation, &error))?
        {
            None => {
                let bucket = json!({
                    "name": self.config.bucket,
                    "compartmentId": self.compartment(),
                    "publicAccessType": PUBLIC,
                    "versioning": "Enabled",
                });
                let ask = Ask::new("CreateBucket", Method::POST, self.buckets(), Some(bucket.clone()));
                planned.change("bucket", Value::Null, bucket, ask.shown(&rest.base), ask);
            }
            Some(there) => {
                let names = self.objects(&rest).await?;
                only_documents("oci.bucket", &self.location(), names.iter().map(String::as_str))?;
                self.find_preauthenticated(&rest, &mut planned).await?;
                let is = |name: &str| there.body.get(name).cloned().unwrap_or_default();
                let mut wanted = serde_json::Map::new();
                match is("publicAccessType").as_str() {
                    Some(PUBLIC) => {}
                    Some(wider @ "ObjectRead") => planned.find(
                        format!("everybody may list the bucket: its access type is {wider}"),
                        format!(
                            "oci os bucket update --name {} --public-access-type {PUBLIC}",
                            self.config.bucket
                        ),
                    ),
                    _ => drop(wanted.insert("publicAccessType".to_owned(), json!(PUBLIC))),
                }
                if is("versioning") != json!("Enabled") {
                    wanted.insert("versioning".to_owned(), json!("Enabled"));
                }
                if !wanted.is_empty() {
                    let before: serde_json::Map<String, Value> =
                        wanted.keys().map(|name| (name.clone(), is(name))).collect();
                    let after = Value::Object(wanted);
                    let mut ask = Ask::new("UpdateBucket", Method::POST, self.target(), Some(after.clone()));
                    ask.if_match = there.etag;
                    planned.change("bucket", Value::Object(before), after, ask.shown(&rest.base), ask);
                }
            }
        }
        planned.find(
            "a write without a precondition cannot be refused here: OCI has no such rule",
            "nothing needs to be done: the publisher sends if-match or if-none-match with every write",
        );
        planned.plan.by_hand = vec![self.statement()];
        Ok(planned)
    }

    async fn run(&self, ask: Ask) -> Result<(), BucketError> {
        let (rest, _) = self.rest().await?;
        let sent = rest.send(&ask).await;
        sent.map(drop).map_err(|error| self.failed(ask.operation, &error))
    }

    fn granted(&self) -> Grant {
        Grant {
            policy: Value::Null,
            commands: vec![self.statement()],
        }
    }
}

impl Writer {
    fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |why: &str| {
            Err(Invalid::new(
                "oci.writer",
                format!(
                    "must be the subject of a policy statement: group NAME, dynamic-group NAME (or id OCID), or any-user \
                     where {{CONDITIONS ON request.principal}} (OCI, \"Policy Syntax\"){why}, not {text:?}"
                ),
            ))
        };
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        match kind {
            "group" | "dynamic-group" if is_name(rest) => Ok(Self {
                subject: format!("{kind} {rest}"),
                conditions: None,
            }),
            "any-user" => {
                let conditions = rest.strip_prefix("where").map(str::trim);
                let conditions = conditions.and_then(|rest| rest.strip_prefix('{')?.strip_suffix('}'));
                match conditions.map(str::trim) {
                    Some(own) if pins_a_principal(own) => Ok(Self {
                        subject: "any-user".to_owned(),
                        conditions: Some(own.to_owned()),
                    }),
                    _ => invalid(
                        " (any-user without conditions on request.principal is everybody in the tenancy)",
                    ),
                }
            }
            _ => invalid(""),
        }
    }
}

/// `NAME`, `'NAME'`, `'DOMAIN'/'NAME'` or `id OCID`; several, with commas between, are not one.
fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.'/@+".contains(&b);
    let name = text.strip_prefix("id ").unwrap_or(text);
    if text.starts_with("id ") && !name.starts_with("ocid1.") {
        return false;
    }
    !name.is_empty() && name.len() <= 255 && name.bytes().all(allowed)
}

/// All of them must hold, as they go into the statement's own `all {}`; and one says more than a kind or a place.
fn pins_a_principal(conditions: &str) -> bool {
    let name = |condition: &str| {
        let (name, value) = condition.split_once('=')?;
        let name = name.trim().strip_prefix("request.principal.")?;
        let value = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        let plain = |b: u8| b.is_ascii_graphic() && !b"'\"\\{}*".contains(&b);
        let right = name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b));
        (right && !value.is_empty() && value.bytes().all(plain)).then(|| name.to_owned())
    };
    let names: Option<Vec<String>> = conditions.split(',').map(name).collect();
    names.is_some_and(|names| {
        names
            .iter()
            .any(|name| !matches!(name.as_str(), "type" | "compartment.id"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_one_principal() {
        for good in [
            "group Publishers",
            "dynamic-group kubeassume",
            "dynamic-group 'Default'/'kubeassume'",
            "group id ocid1.group.oc1..aaaa",
            "any-user where {request.principal.type = 'workload', request.principal.namespace = 'kubeassume-system'}",
        ] {
            assert!(Writer::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "kubeassume",
            "group",
            "group A, B",
            "group id kubeassume",
            "service objectstorage",
            "any-user",
            "any-user where {}",
            "any-user where {request.principal.id = '*'}",
            "any-user where {request.principal.type = 'workload'}",
            "any-user where {request.principal.id = 'x' or request.principal.id = 'y'}",
            "any-user where {request.principal.id != 'x'}",
            "any-user where {target.bucket.name = 'x'}",
            "any-user where {request.principal.id = 'x'} to manage all-resources in tenancy",
            "group A to manage all-resources in tenancy",
        ] {
            let invalid = Writer::parse(bad).expect_err(bad);
            assert_eq!(invalid.field, "oci.writer");
        }
    }

    #[test]
    fn the_statement_is_for_one_bucket_and_three_permissions() {
        let config = OciConfig {
            bucket: "keys".to_owned(),
            namespace: "ns".to_owned(),
            compartment_id: Some("ocid1.compartment.oc1..aaaa".to_owned()),
            ..OciConfig::default()
        };
        let statement = |writer| {
            OciBucket::new(&config, writer, Tls::default())
                .unwrap()
                .statement()
        };
        assert_eq!(
            statement("dynamic-group kubeassume"),
            "Allow dynamic-group kubeassume to manage objects in compartment id ocid1.compartment.oc1..aaaa where all \
             {target.bucket.name = 'keys', any {request.permission = 'OBJECT_READ', request.permission = \
             'OBJECT_CREATE', request.permission = 'OBJECT_OVERWRITE'}}"
        );
        let any = statement("any-user where {request.principal.id = 'ocid1.cluster.oc1..x'}");
        assert!(
            any.contains("where all {request.principal.id = 'ocid1.cluster.oc1..x', target.bucket"),
            "{any}"
        );
    }
}
