//! [`GcsBucket`]: a bucket of Google Cloud Storage, over its JSON interface
//! (<https://cloud.google.com/storage/docs/json_api/v1>).
//!
//! Reading is granted by the bucket, so it has to be one of its own: uniform access, `allUsers` with
//! `roles/storage.legacyObjectReader`, which is `storage.objects.get` and no listing. The writer gets
//! `roles/storage.objectUser` unless another role is named; see [`crate::gcs`] for the four permissions that it
//! needs. Of conditional writes nothing can be enforced here: Google has no such rule.
//!
//! The IAM policy is read, merged and written back with its `etag`. What is inherited from project, folder and
//! organization is not seen.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use kubeassume_cloud::google::{Choice, Credentials, STORAGE_FULL_CONTROL};
use kubeassume_cloud::http::{CallError, Refusal};
use serde_json::{Map, Value, json};

use self::policy::member;
use super::BucketError;
use super::contents::only_documents;
use super::plan::{Call, Cloud, Grant, Planned};
use super::rest::{Ask, Authorize, Reply, Rest, encoded, failed, http_client};
use crate::gcs::{GcsConfig, server};
use crate::{Invalid, Tls};

mod policy;

const READER: &str = "roles/storage.legacyObjectReader";
const WRITER: &str = "roles/storage.objectUser";

/// A bucket, and who writes its documents.
#[derive(Debug, Clone)]
pub struct GcsBucket {
    config: GcsConfig,
    writer: String,
    role: String,
    location: Option<String>,
    token_file: Option<PathBuf>,
    tls: Tls,
}

/// A change, as a call.
pub(super) enum Step {
    Send(Ask),
    /// Read, merge, write with the etag.
    Grant,
}

#[async_trait]
impl Authorize for Credentials {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), CallError> {
        Credentials::authorize(self, request).await
    }
}

impl GcsBucket {
    /// For the documents in the configured bucket, written by `writer`: a service account (its address, with or
    /// without `serviceAccount:`) or one `principal://` of a workload identity pool.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule.
    pub fn new(config: &GcsConfig, writer: &str, tls: Tls) -> Result<Self, Invalid> {
        config.check()?;
        Ok(Self {
            config: config.clone(),
            writer: member(writer)?,
            role: WRITER.to_owned(),
            location: None,
            token_file: None,
            tls,
        })
    }

    /// Grants the writer this role instead: `projects/PROJECT/roles/NAME`.
    ///
    /// # Errors
    /// [`Invalid`] for what is no custom role's name.
    pub fn role(mut self, role: &str) -> Result<Self, Invalid> {
        let custom = role.starts_with("projects/") || role.starts_with("organizations/");
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-/:".contains(&b);
        if role != WRITER && !(custom && role.contains("/roles/") && role.bytes().all(allowed)) {
            return Err(Invalid::new(
                "gcs.role",
                format!(
                    "must be {WRITER} or a role of your own, as projects/PROJECT/roles/NAME: every other predefined \
                     role grants too much or too little, not {role:?}"
                ),
            ));
        }
        role.clone_into(&mut self.role);
        Ok(self)
    }

    /// Where a bucket that is not there is created (`EU`, `europe-west4`); unset: as Google chooses.
    ///
    /// # Errors
    /// [`Invalid`] for what is no location's name.
    pub fn location(mut self, location: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if location.is_empty() || location.len() > 64 || !location.bytes().all(allowed) {
            let rule = format!("must be a location as EU or europe-west4, not {location:?}");
            return Err(Invalid::new("gcs.location", rule));
        }
        self.location = Some(location.to_owned());
        Ok(self)
    }

    /// With the access token in this file (`gcloud auth print-access-token`) instead of Application Default
    /// Credentials.
    #[must_use]
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.token_file = Some(file.into());
        self
    }

    /// Where the public reads it, without a host of your own in front.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule.
    pub fn public_url(&self) -> Result<String, Invalid> {
        self.config.public_url().map(|url| url.to_string())
    }

    fn rest(&self) -> Result<Rest<Credentials>, BucketError> {
        let (base, anonymous) =
            server(&self.config).map_err(|error| BucketError::setup("gcs.endpoint", error.to_string()))?;
        let credentials = match &self.token_file {
            Some(file) => Credentials::token_file(file),
            None if anonymous => Credentials::anonymous(),
            None => Credentials::found(
                Choice::from(self.config.use_workload_identity),
                &[STORAGE_FULL_CONTROL],
            ),
        };
        // A token is never sent in the clear but to this machine.
        let plain = self.token_file.is_none() && anonymous;
        Ok(Rest {
            http: http_client(&self.tls, &base, plain)?,
            credentials,
            base,
        })
    }

    fn location_name(&self) -> String {
        match &self.config.prefix {
            Some(prefix) => format!("gs://{}/{prefix}", self.config.bucket),
            None => format!("gs://{}", self.config.bucket),
        }
    }

    fn target(&self) -> String {
        format!("/storage/v1/b/{}", encoded(&self.config.bucket))
    }

    fn grants(&self) -> [(&str, &str); 2] {
        [(READER, "allUsers"), (&self.role, &self.writer)]
    }

    async fn policy(&self, rest: &Rest<Credentials>) -> Result<Value, BucketError> {
        let target = format!("{}/iam?optionsRequestedPolicyVersion=3", self.target());
        let ask = Ask::read("storage.buckets.getIamPolicy", target);
        let read = rest.send(&ask).await;
        Ok(read.map_err(|error| self.failed(ask.operation, &error))?.body)
    }

    fn set_policy(&self, policy: Value) -> Ask {
        let target = format!("{}/iam", self.target());
        Ask::new("storage.buckets.setIamPolicy", Method::PUT, target, Some(policy))
    }

    /// What of the bucket itself is not as it should be.
    fn plan_bucket(
        &self,
        planned: &mut Planned<Step>,
        rest: &Rest<Credentials>,
        there: Option<&Reply>,
    ) -> Result<(), BucketError> {
        let wanted = json!({
            "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": true}, "publicAccessPrevention": "inherited"},
            "versioning": {"enabled": true},
        });
        let Some(there) = there else {
            let Some(project) = &self.config.project else {
                return Err(Invalid::new(
                    "gcs.project",
                    format!(
                        "must be given: there is no bucket {:?}, and one is created in a project",
                        self.config.bucket
                    ),
                )
                .into());
            };
            let mut bucket = wanted;
            if let Some(fields) = bucket.as_object_mut() {
                fields.insert("name".to_owned(), json!(self.config.bucket));
                if let Some(location) = &self.location {
                    fields.insert("location".to_owned(), json!(location));
                }
            }
            let target = format!("/storage/v1/b?project={}", encoded(project));
            let ask = Ask::new(
                "storage.buckets.insert",
                Method::POST,
                target,
                Some(bucket.clone()),
            );
            planned.change(
                "bucket",
                Value::Null,
                bucket,
                ask.shown(&rest.base),
                Step::Send(ask),
            );
            return Ok(());
        };
        let is = |pointer: &str| there.body.pointer(pointer).cloned().unwrap_or_default();
        let (mut before, mut after) = (Map::new(), Map::new());
        let mut access = Map::new();
        if is("/iamConfiguration/uniformBucketLevelAccess/enabled") != json!(true) {
            access.insert("uniformBucketLevelAccess".to_owned(), json!({"enabled": true}));
        }
        // Without a word of it, the bucket inherits.
        if is("/iamConfiguration/publicAccessPrevention") == json!("enforced") {
            access.insert("publicAccessPrevention".to_owned(), json!("inherited"));
        }
        if !access.is_empty() {
            before.insert("iamConfiguration".to_owned(), is("/iamConfiguration"));
            after.insert("iamConfiguration".to_owned(), Value::Object(access));
        }
        if is("/versioning/enabled") != json!(true) {
            before.insert("versioning".to_owned(), is("/versioning"));
            after.insert("versioning".to_owned(), json!({"enabled": true}));
        }
        if !after.is_empty() {
            let tied = text(&there.body, "metageneration");
            let tied = match tied.is_empty() {
                true => String::new(),
                false => format!("?ifMetagenerationMatch={}", encoded(&tied)),
            };
            let (before, after) = (Value::Object(before), Value::Object(after));
            let target = format!("{}{tied}", self.target());
            let ask = Ask::new(
                "storage.buckets.patch",
                Method::PATCH,
                target,
                Some(after.clone()),
            );
            planned.change("settings", before, after, ask.shown(&rest.base), Step::Send(ask));
        }
        Ok(())
    }

    async fn objects(&self, rest: &Rest<Credentials>) -> Result<Vec<String>, BucketError> {
        // Older versions are as public as the newest.
        let target = format!(
            "{}/o?versions=true&fields=items(name),nextPageToken",
            self.target()
        );
        let operation = "storage.objects.list";
        let page = |body: &Value| {
            let items = body.get("items").and_then(Value::as_array).into_iter().flatten();
            let names = items.map(|item| text(item, "name")).collect();
            let token = text(body, "nextPageToken");
            let next = (!token.is_empty())
                .then(|| Ask::read(operation, format!("{target}&pageToken={}", encoded(&token))));
            (names, next)
        };
        let names = rest.names(Ask::read(operation, target.clone()), page).await;
        names.map_err(|error| self.failed(operation, &error))
    }

    fn failed(&self, operation: &'static str, error: &CallError) -> BucketError {
        let advice = |refusal: &Refusal| {
            let said = refusal.message.to_ascii_lowercase();
            let project = self.config.project.as_deref().unwrap_or("PROJECT");
            Some(match refusal.status {
                400 | 412 if said.contains("public access prevention") => (
                    "gcs.bucket",
                    format!(
                        "the organization policy storage.publicAccessPrevention is above the bucket: have it lifted for \
                         project {project} (gcloud org-policies), or publish through a load balancer with publicURL"
                    ),
                ),
                400 | 412 if said.contains("permitted customer") => (
                    "gcs.bucket",
                    format!(
                        "the organization policy iam.allowedPolicyMemberDomains does not let allUsers in: have it lifted \
                         for project {project}"
                    ),
                ),
                400 if operation == "storage.buckets.setIamPolicy" => (
                    "gcs.writer",
                    format!("create the writer first, if it is not there: {}", self.writer),
                ),
                409 if operation == "storage.buckets.insert" => (
                    "gcs.bucket",
                    "somebody else has a bucket of this name; `kubeassume bucket name` makes up one"
                        .to_owned(),
                ),
                403 => (
                    "gcs.bucket",
                    format!(
                        "the credential needs {operation} (roles/storage.admin on project {project} has it), or the bucket \
                         is somebody else's"
                    ),
                ),
                404 => (
                    "gcs.endpoint",
                    format!("the server knows no {operation} for this bucket: is it Google's?"),
                ),
                _ => return None,
            })
        };
        failed(operation, "gcs.bucket", error, advice)
    }
}

#[async_trait]
impl Cloud for GcsBucket {
    type Step = Step;

    async fn look(&self) -> Result<Planned<Step>, BucketError> {
        let rest = self.rest()?;
        let mut planned = Planned::new(self.location_name(), self.public_url().ok());
        let ask = Ask::read("storage.buckets.get", self.target());
        let there = rest
            .find(&ask)
            .await
            .map_err(|error| self.failed(ask.operation, &error))?;
        if there.is_some() {
            let names = self.objects(&rest).await?;
            only_documents(
                "gcs.bucket",
                &self.location_name(),
                names.iter().map(String::as_str),
            )?;
        }
        self.plan_bucket(&mut planned, &rest, there.as_ref())?;
        let policy = match there {
            Some(_) => self.policy(&rest).await?,
            None => Value::Null,
        };
        let (merged, is_new, findings) = self.merged(&policy)?;
        planned.plan.findings.extend(findings);
        if is_new {
            let bindings = |policy: &Value| policy.get("bindings").cloned().unwrap_or_default();
            let after = bindings(&merged);
            let call: Call = self.set_policy(merged).shown(&rest.base);
            planned.change("access", bindings(&policy), after, call, Step::Grant);
        }
        planned.find(
            "a write without a precondition cannot be refused here: Google has no such rule",
            "nothing needs to be done: the publisher sends ifGenerationMatch with every write",
        );
        Ok(planned)
    }

    async fn run(&self, step: Step) -> Result<(), BucketError> {
        let rest = self.rest()?;
        let ask = match step {
            Step::Send(ask) => ask,
            Step::Grant => self.set_policy(self.merged(&self.policy(&rest).await?)?.0),
        };
        let sent = rest.send(&ask).await;
        sent.map(drop).map_err(|error| self.failed(ask.operation, &error))
    }

    fn granted(&self) -> Grant {
        let bucket = &self.config.bucket;
        let bindings = self
            .grants()
            .map(|(role, member)| json!({"role": role, "members": [member]}));
        let mut commands = vec![format!(
            "gcloud storage buckets update gs://{bucket} --uniform-bucket-level-access --versioning"
        )];
        commands.extend(self.grants().map(|(role, member)| {
            format!(
                "gcloud storage buckets add-iam-policy-binding gs://{bucket} --member={member} --role={role}"
            )
        }));
        Grant {
            policy: json!({"bindings": bindings}),
            commands,
        }
    }
}

fn text(value: &Value, name: &str) -> String {
    value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
