//! S3's arguments.

use clap::{Args, ValueEnum};
use kubeassume_publishers::bucket::{Dialect, S3Bucket};
use kubeassume_publishers::s3::S3Config;
use kubeassume_publishers::{Invalid, Tls};

use super::{Environment, Prepared, given};

/// A bucket, the prefix in it, and who writes there
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The bucket
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// Its region
    #[arg(long, value_name = "REGION", env = "AWS_REGION")]
    region: Option<String>,
    /// What goes before both documents; other clusters' prefixes in the same bucket are not touched
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// The one principal that writes: the ARN of an IAM role (a compatible server's own name for it)
    #[arg(long, value_name = "ARN")]
    writer: String,
    /// Another server than Amazon's
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    endpoint: Option<String>,
    /// The bucket's name in the path instead of the host name
    #[arg(long)]
    force_path_style: bool,
    /// What the server understands of bucket policies; left out: what its address says
    #[arg(long, value_name = "DIALECT")]
    dialect: Option<Understood>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Understood {
    /// All of Amazon's conditions: one writer and conditional writes are enforced
    Amazon,
    /// Grants alone
    Compatible,
}

impl super::Place for Place {
    type Access = Environment;

    fn bucket(&self, tls: Tls, _: Option<&Environment>) -> Result<Prepared, Invalid> {
        let config = S3Config {
            bucket: self.bucket.clone(),
            region: given(self.region.as_ref()),
            endpoint: given(self.endpoint.as_ref()),
            force_path_style: self.force_path_style,
            prefix: given(self.prefix.as_ref()),
            ..S3Config::default()
        };
        let dialect = self.dialect.map(|dialect| match dialect {
            Understood::Amazon => Dialect::Amazon,
            Understood::Compatible => Dialect::Compatible,
        });
        let bucket = S3Bucket::new(&config, dialect, &self.writer, tls)?;
        Ok(Prepared {
            public_url: bucket.public_url().ok(),
            bucket: Box::new(bucket),
            by_hand: false,
        })
    }
}
