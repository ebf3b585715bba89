//! [`S3Bucket`]: a bucket of Amazon S3, or of a server that speaks its protocol.
//!
//! The bucket policy gets statements of our own, known by their `Sid` (one set for each prefix, so that a bucket
//! serves many clusters); every other statement stays as it is. Public is `s3:GetObject` on the two documents,
//! never `s3:ListBucket`. On Amazon two more statements deny writing them to everybody but the writer, the
//! administrator included, and to everybody without `If-Match` or `If-None-Match`.
//!
//! S3 has no precondition on a bucket policy: between the last look and the write, somebody else's change to it
//! can be lost.

mod policy;
mod server;
mod writer;

use aws_credential_types::provider::SharedCredentialsProvider;
use kubeassume_core::store::DocumentPath;
use serde_json::{Value, json};

pub(super) use self::writer::Writer;
use super::{BucketError, Grant};
use crate::s3::S3Config;
use crate::{Invalid, Tls};

/// What a server understands of bucket policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// All of Amazon's condition keys.
    Amazon,
    /// Grants of actions to principals, which every compatible server has. Who else may write, and whether
    /// with a precondition, is for the server's own permissions.
    Compatible,
}

/// A bucket, and who writes its documents.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    config: S3Config,
    /// As configured or as the environment says.
    region: String,
    dialect: Dialect,
    writer: Writer,
    tls: Tls,
    credentials: Option<SharedCredentialsProvider>,
}

impl S3Bucket {
    /// For the documents at the configured prefix, written by `writer`: the ARN of an IAM role, or whatever a
    /// compatible server calls its principals. `dialect` is Amazon's at Amazon's own addresses when it is not said.
    /// Nothing is asked.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule; the region must be known.
    pub fn new(config: &S3Config, dialect: Option<Dialect>, writer: &str, tls: Tls) -> Result<Self, Invalid> {
        config.check()?;
        let Some(region) = config.region.clone() else {
            return Err(Invalid::new(
                "s3.region",
                "must be given (or AWS_REGION set): a bucket is created in one region, and its name is part of the issuer",
            ));
        };
        let dialect = dialect.unwrap_or_else(|| Dialect::at(config.endpoint.as_deref()));
        let writer = Writer::parse(writer, dialect, partition(&region))?;
        Ok(Self {
            config: config.clone(),
            region,
            dialect,
            writer,
            tls,
            credentials: None,
        })
    }

    /// With credentials of the caller's own, instead of the SDK's chain.
    #[must_use]
    pub fn credentials(mut self, credentials: SharedCredentialsProvider) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Where the public reads it, without a host of your own in front.
    ///
    /// # Errors
    /// [`Invalid`] where there is no https address.
    pub fn public_url(&self) -> Result<String, Invalid> {
        self.config.public_url(&self.region).map(|url| url.to_string())
    }

    fn location(&self) -> String {
        match &self.config.prefix {
            Some(prefix) => format!("s3://{}/{prefix}", self.config.bucket),
            None => format!("s3://{}", self.config.bucket),
        }
    }

    fn documents(&self) -> [String; 2] {
        [DocumentPath::DISCOVERY, DocumentPath::JWKS]
            .map(|path| self.arn(&format!("/{}", self.config.key(&path))))
    }

    fn arn(&self, below: &str) -> String {
        format!(
            "arn:{}:s3:::{}{below}",
            partition(&self.region),
            self.config.bucket
        )
    }

    /// The policy of a bucket that has no other.
    fn policy(&self) -> Value {
        json!({"Version": "2012-10-17", "Statement": self.statements()})
    }

    fn grant_of_policy(&self) -> Grant {
        let bucket = &self.config.bucket;
        let mut commands = Vec::new();
        if self.dialect == Dialect::Amazon {
            commands.push(format!(
                "aws s3api put-public-access-block --bucket {bucket} --public-access-block-configuration \
                 BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=false,RestrictPublicBuckets=false"
            ));
        }
        commands.push(format!(
            "aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        ));
        commands.push(format!(
            "aws s3api put-bucket-policy --bucket {bucket} --policy file://policy.json"
        ));
        Grant {
            policy: self.policy(),
            commands,
        }
    }

    fn unsafe_policy(&self, found: impl Into<String>, next: impl Into<String>) -> BucketError {
        BucketError::Unsafe {
            field: "s3.bucket",
            found: format!("{}: {}", self.location(), found.into()),
            next: next.into(),
        }
    }
}

impl Dialect {
    fn at(endpoint: Option<&str>) -> Self {
        let host = endpoint.map(|endpoint| {
            let authority = endpoint.rsplit("://").next().unwrap_or_default();
            authority.split(':').next().unwrap_or_default().to_owned()
        });
        match host {
            None => Self::Amazon,
            Some(host) if host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") => {
                Self::Amazon
            }
            Some(_) => Self::Compatible,
        }
    }
}

/// AWS General Reference, "Amazon Resource Names": a region's partition.
fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_whose_server_it_is() {
        for (endpoint, dialect) in [
            (None, Dialect::Amazon),
            (Some("https://s3.eu-west-1.amazonaws.com"), Dialect::Amazon),
            (
                Some("https://vpce-1.s3.cn-north-1.vpce.amazonaws.com.cn:443"),
                Dialect::Amazon,
            ),
            (Some("https://localhost:7070"), Dialect::Compatible),
            (Some("https://amazonaws.com.example.com"), Dialect::Compatible),
        ] {
            assert_eq!(Dialect::at(endpoint), dialect, "{endpoint:?}");
        }
    }
}
