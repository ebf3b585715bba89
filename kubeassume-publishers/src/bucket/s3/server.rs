//! The calls, through the vendor's SDK.

use std::error::Error;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    PublicAccessBlockConfiguration, VersioningConfiguration,
};
use kubeassume_cloud::text::{causes, printable};
use serde_json::{Value, json};

use super::{Dialect, S3Bucket};
use crate::bucket::plan::{Call, Cloud, Planned};
use crate::bucket::{BucketError, Grant};
use crate::s3::client::{Connected, connect};

/// A change, as the SDK makes it.
pub(in crate::bucket) enum Step {
    Create,
    Versioning,
    PublicAccess(Block),
    Policy(String),
}

/// A bucket's Block Public Access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bucket) struct Block {
    acls_refused: bool,
    acls_ignored: bool,
    policy_refused: bool,
    restricted: bool,
}

impl Block {
    /// Policies may be public, ACLs may not.
    const POLICY_ONLY: Self = Self {
        acls_refused: true,
        acls_ignored: true,
        policy_refused: false,
        restricted: false,
    };

    fn json(self) -> Value {
        json!({
            "BlockPublicAcls": self.acls_refused,
            "IgnorePublicAcls": self.acls_ignored,
            "BlockPublicPolicy": self.policy_refused,
            "RestrictPublicBuckets": self.restricted,
        })
    }
}

/// What is there.
struct Found {
    versioning: Option<String>,
    /// `Err`: the server has no such thing; what it says.
    block: Result<Option<Block>, String>,
    policy: Option<String>,
}

#[async_trait]
impl Cloud for S3Bucket {
    type Step = Step;

    async fn look(&self) -> Result<Planned<Step>, BucketError> {
        let client = self.client().await?;
        let mut planned = Planned::new(self.location(), self.public_url().ok());
        let found = match self.exists(&client).await? {
            true => Some(self.found(&client).await?),
            false => None,
        };
        if found.is_none() {
            let after = json!({"bucket": self.config.bucket, "region": self.region});
            let call = self.call("CreateBucket", "PUT", "", after.clone());
            planned.change("bucket", Value::Null, after, call, Step::Create);
        }
        let versioning = found.as_ref().and_then(|found| found.versioning.clone());
        if versioning.as_deref() != Some("Enabled") {
            let after = json!({"Status": "Enabled"});
            let before = versioning.map_or(Value::Null, |status| json!({"Status": status}));
            let call = self.call("PutBucketVersioning", "PUT", "?versioning", after.clone());
            planned.change("versioning", before, after, call, Step::Versioning);
        }
        let merged = self.merged(found.as_ref().and_then(|found| found.policy.as_deref()))?;
        let block = match &found {
            Some(found) => found.block.clone(),
            // A new bucket of Amazon's is closed; what a compatible server has is seen when it is there.
            None if self.dialect == Dialect::Amazon => Ok(None),
            None => Err(String::new()),
        };
        self.plan_block(&mut planned, block, found.is_none(), merged.others_public)?;
        planned.plan.findings.extend(merged.findings);
        if merged.is_new {
            let before = found.and_then(|found| found.policy);
            let before = before.and_then(|policy| serde_json::from_str(&policy).ok());
            let call = self.call("PutBucketPolicy", "PUT", "?policy", merged.policy.clone());
            let step = Step::Policy(merged.policy.to_string());
            planned.change("policy", before.unwrap_or_default(), merged.policy, call, step);
        }
        if self.dialect == Dialect::Compatible {
            planned.find(
                "the bucket policy does not limit writing to one principal nor to writes with a precondition: the \
                 condition keys for that are Amazon's",
                "let nobody but the writer have write permission in the server itself",
            );
        }
        Ok(planned)
    }

    async fn run(&self, step: Step) -> Result<(), BucketError> {
        let client = self.client().await?;
        let bucket = &self.config.bucket;
        match step {
            Step::Create => {
                let mut request = client.create_bucket().bucket(bucket);
                // The one region that is never named: CreateBucket refuses it.
                if self.dialect == Dialect::Amazon && self.region != "us-east-1" {
                    let place = BucketLocationConstraint::from(self.region.as_str());
                    let place = CreateBucketConfiguration::builder()
                        .location_constraint(place)
                        .build();
                    request = request.create_bucket_configuration(place);
                }
                let done = request.send().await;
                done.map(drop)
                    .map_err(|error| self.failed("CreateBucket", &error))
            }
            Step::Versioning => {
                let enabled = VersioningConfiguration::builder()
                    .status(BucketVersioningStatus::Enabled)
                    .build();
                let request = client
                    .put_bucket_versioning()
                    .bucket(bucket)
                    .versioning_configuration(enabled);
                let done = request.send().await;
                done.map(drop)
                    .map_err(|error| self.failed("PutBucketVersioning", &error))
            }
            Step::PublicAccess(block) => {
                let block = PublicAccessBlockConfiguration::builder()
                    .block_public_acls(block.acls_refused)
                    .ignore_public_acls(block.acls_ignored)
                    .block_public_policy(block.policy_refused)
                    .restrict_public_buckets(block.restricted)
                    .build();
                let request = client.put_public_access_block().bucket(bucket);
                let done = request.public_access_block_configuration(block).send().await;
                done.map(drop)
                    .map_err(|error| self.failed("PutPublicAccessBlock", &error))
            }
            Step::Policy(policy) => {
                let done = client
                    .put_bucket_policy()
                    .bucket(bucket)
                    .policy(policy)
                    .send()
                    .await;
                done.map(drop)
                    .map_err(|error| self.failed("PutBucketPolicy", &error))
            }
        }
    }

    fn granted(&self) -> Grant {
        self.grant_of_policy()
    }
}

impl S3Bucket {
    async fn client(&self) -> Result<Client, BucketError> {
        let connected = connect(&self.config, &self.tls, self.credentials.clone()).await;
        let Connected { client, .. } =
            connected.map_err(|error| BucketError::setup("s3.endpoint", error.to_string()))?;
        Ok(client)
    }

    async fn exists(&self, client: &Client) -> Result<bool, BucketError> {
        let bucket = &self.config.bucket;
        // Not HeadBucket, whose refusals have no words.
        let found = match client.get_bucket_location().bucket(bucket).send().await {
            Ok(found) => found,
            Err(error) if error.code() == Some("NoSuchBucket") => return Ok(false),
            Err(error) => return Err(self.failed("GetBucketLocation", &error)),
        };
        let region = match found
            .location_constraint
            .as_ref()
            .map(BucketLocationConstraint::as_str)
        {
            None | Some("") => "us-east-1",
            Some("EU") => "eu-west-1",
            Some(region) => region,
        };
        if self.dialect == Dialect::Amazon && region != self.region {
            return Err(BucketError::Unsafe {
                field: "s3.region",
                found: format!("{} is there, in region {}", self.location(), printable(region)),
                next: "name its region (it is part of the issuer), or choose another bucket".to_owned(),
            });
        }
        Ok(true)
    }

    async fn found(&self, client: &Client) -> Result<Found, BucketError> {
        let bucket = &self.config.bucket;
        let versioning = client.get_bucket_versioning().bucket(bucket).send().await;
        let versioning = versioning.map_err(|error| self.failed("GetBucketVersioning", &error))?;
        let block = match client.get_public_access_block().bucket(bucket).send().await {
            Ok(found) => Ok(found.public_access_block_configuration.map(|block| Block {
                acls_refused: block.block_public_acls.unwrap_or_default(),
                acls_ignored: block.ignore_public_acls.unwrap_or_default(),
                policy_refused: block.block_public_policy.unwrap_or_default(),
                restricted: block.restrict_public_buckets.unwrap_or_default(),
            })),
            Err(error) if error.code() == Some("NoSuchPublicAccessBlockConfiguration") => Ok(None),
            Err(error) if error.code() == Some("NotImplemented") => Err(said(&error)),
            Err(error) => return Err(self.failed("GetPublicAccessBlock", &error)),
        };
        let policy = match client.get_bucket_policy().bucket(bucket).send().await {
            Ok(found) => found.policy,
            Err(error) if error.code() == Some("NoSuchBucketPolicy") => None,
            Err(error) => return Err(self.failed("GetBucketPolicy", &error)),
        };
        Ok(Found {
            versioning: versioning.status.map(|status| status.as_str().to_owned()),
            block,
            policy,
        })
    }

    /// What stands in the way of a public policy goes; what keeps ACLs from being public is not touched.
    fn plan_block(
        &self,
        planned: &mut Planned<Step>,
        there: Result<Option<Block>, String>,
        is_new: bool,
        others_public: bool,
    ) -> Result<(), BucketError> {
        let there = match there {
            Ok(there) => there,
            Err(said) => {
                if !said.is_empty() {
                    planned.find(
                        format!("the server has no Block Public Access ({said})"),
                        "nothing needs to be done if it has no object ACLs",
                    );
                }
                return Ok(());
            }
        };
        let after = match there {
            None if is_new => Block::POLICY_ONLY,
            None => {
                planned.find(
                    "the bucket has no Block Public Access configuration: object ACLs may be public",
                    "aws s3api put-public-access-block with BlockPublicAcls=true,IgnorePublicAcls=true",
                );
                return Ok(());
            }
            Some(there) => {
                if !there.acls_refused || !there.acls_ignored {
                    planned.find(
                        "Block Public Access of the bucket lets ACLs be public",
                        "aws s3api put-public-access-block with BlockPublicAcls=true,IgnorePublicAcls=true",
                    );
                }
                Block {
                    policy_refused: false,
                    restricted: false,
                    ..there
                }
            }
        };
        if there == Some(after) {
            return Ok(());
        }
        if there.is_some_and(|there| there.restricted) && others_public {
            return Err(self.unsafe_policy(
                "others' statements in the bucket policy grant something to everybody, which Block Public Access \
                 (RestrictPublicBuckets) withholds now and which would become public",
                "take them out of the bucket policy, or use a bucket of its own",
            ));
        }
        let before = there.map_or(Value::Null, Block::json);
        let call = self.call("PutPublicAccessBlock", "PUT", "?publicAccessBlock", after.json());
        planned.change(
            "public access",
            before,
            after.json(),
            call,
            Step::PublicAccess(after),
        );
        Ok(())
    }

    fn call(&self, operation: &'static str, method: &str, query: &str, body: Value) -> Call {
        Call {
            operation,
            request: format!("{method} /{}{query}", self.config.bucket),
            body,
        }
    }

    fn failed<E>(&self, operation: &'static str, error: &SdkError<E>) -> BucketError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (code, message) = (
            error.code().unwrap_or_default(),
            error.message().unwrap_or_default(),
        );
        let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
        let (field, next) = self.advice(operation, status, code, message);
        BucketError::Call {
            operation,
            field,
            said: said(error),
            next,
        }
    }

    fn advice(&self, operation: &str, status: u16, code: &str, message: &str) -> (&'static str, String) {
        let again = "what was done stays done";
        match (code, status) {
            ("BucketAlreadyExists", _) => (
                "s3.bucket",
                "somebody else has a bucket of this name; `kubeassume bucket name` makes up one".to_owned(),
            ),
            ("AccessDenied", _) if message.contains("BlockPublicPolicy") || message.contains("public policies") => (
                "s3.bucket",
                "the account's own S3 Block Public Access refuses public policies; it is above every bucket. Turn off \
                 BlockPublicPolicy and RestrictPublicBuckets there (aws s3control put-public-access-block), use \
                 another account, or publish through CloudFront with publicURL"
                    .to_owned(),
            ),
            ("MalformedPolicy", _) if message.contains("rincipal") => (
                "s3.writer",
                format!("the server knows no such principal: create {} first", self.writer.as_str()),
            ),
            ("MalformedPolicy", _) => (
                "s3.endpoint",
                "the server does not take these statements; for servers other than Amazon's: --dialect compatible"
                    .to_owned(),
            ),
            ("VersioningNotConfigured" | "NotImplemented", _) if operation == "PutBucketVersioning" => (
                "s3.endpoint",
                "set the server up for versioning: without it a document that was overwritten is gone".to_owned(),
            ),
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _) => {
                ("s3.endpoint", "sign in again, as an administrator of the bucket".to_owned())
            }
            ("AccessDenied", _) | (_, 401 | 403) => (
                "s3.bucket",
                format!("the credential needs s3:{} on {}; or the bucket is somebody else's; {again}", permission(operation), self.arn("")),
            ),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
            | (_, 300..=399) => ("s3.region", "name the bucket's own region".to_owned()),
            (_, 0) => ("s3.endpoint", format!("check credentials, address and network, then run it again; {again}")),
            _ => ("s3.bucket", format!("run it again; {again}")),
        }
    }
}

/// The permission that a call needs where it is called otherwise.
fn permission(operation: &str) -> String {
    match operation {
        "PutPublicAccessBlock" => "PutBucketPublicAccessBlock".to_owned(),
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock".to_owned(),
        other => other.to_owned(),
    }
}

/// The server's status, code and words; or what became of the connection or the credentials.
fn said<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> String {
    match (error.raw_response(), error.code()) {
        (Some(raw), Some(code)) => {
            let message = error.message().unwrap_or_default();
            format!(
                "HTTP status {}: {}: {}",
                raw.status().as_u16(),
                printable(code),
                printable(message)
            )
        }
        (Some(raw), None) if raw.status().is_success() => {
            format!("its answer cannot be read: {}", causes(error))
        }
        (Some(raw), None) => format!("HTTP status {}", raw.status().as_u16()),
        (None, _) => causes(error),
    }
}
