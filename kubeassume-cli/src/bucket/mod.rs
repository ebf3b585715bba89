//! `kubeassume bucket`: the place to publish to. What is to be there and how it comes there,
//! [`kubeassume_publishers::bucket`] decides; here are arguments and words.

mod azure;
mod gcs;
mod oci;
mod report;
mod s3;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kubeassume_core::IssuerUrl;
use kubeassume_publishers::bucket::{Bucket, BucketError, Grant, NAME_BITS, unguessable};
use kubeassume_publishers::{Invalid, Tls};

use self::report::{ByHand, Made, Policy};
use crate::failure::{EXIT_TO_DO, Failure};
use crate::output::{Output, show, write_stdout};
use crate::{input, runtime};

const MAX_CA_BYTES: usize = 4 << 20;

/// Create the bucket to publish to, or print what it is to grant
#[derive(Debug, Args)]
pub(crate) struct BucketCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a bucket that the public may read and one principal may write, or make one so
    ///
    /// Nothing is taken away and nothing more is granted; wider access that is found is told or refused. Run again,
    /// it finds nothing to do.
    #[command(subcommand, arg_required_else_help = true)]
    Create(Create),
    /// Print what `create` would grant, without asking anybody
    #[command(subcommand, arg_required_else_help = true)]
    Policy(Shown),
    /// Make up a name that nobody can guess and every cloud takes
    Name(Name),
}

#[derive(Debug, Subcommand)]
enum Create {
    /// Amazon S3, or a server that speaks its protocol; signs in as the AWS command line does
    S3(CreateIn<s3::Place>),
    /// Google Cloud Storage; signs in with Application Default Credentials, or a token
    Gcs(CreateIn<gcs::Place>),
    /// Azure Blob Storage, with a token; without one, prints the commands and exits with 3
    Azure(CreateIn<azure::Place>),
    /// Oracle Cloud's Object Storage; signs in as the oci command line does. Prints the writer's policy statement
    Oci(CreateIn<oci::Place>),
}

#[derive(Debug, Subcommand)]
enum Shown {
    /// The bucket policy of S3, as it is
    S3(PolicyOf<s3::Place>),
    /// The IAM bindings of Google Cloud Storage
    Gcs(PolicyOf<gcs::Place>),
    /// Commands for Azure: access level, versioning and role assignment
    Azure(PolicyOf<azure::Place>),
    /// The policy statement of Oracle Cloud
    Oci(PolicyOf<oci::Place>),
}

/// A cloud's own arguments.
trait Place: Args {
    /// What `create` needs beside them.
    type Access: Args;

    /// Checked; nothing is asked. Without an access it is only looked at.
    fn bucket(&self, tls: Tls, access: Option<&Self::Access>) -> Result<Prepared, Invalid>;
}

/// A bucket that can be asked, or at least described.
struct Prepared {
    bucket: Box<dyn Bucket>,
    /// Where the public would read it; unknown without a region.
    public_url: Option<String>,
    /// There is nothing to ask with: commands are printed instead.
    by_hand: bool,
}

/// Credentials come from the environment.
#[derive(Debug, Args)]
struct Environment {}

#[derive(Debug, Args)]
struct CreateIn<P: Place> {
    #[command(flatten)]
    place: P,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    access: P::Access,
    /// Certificate authorities (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Change nothing; exit with 0 when there is nothing to do, with 3 when there is
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct PolicyOf<P: Place> {
    #[command(flatten)]
    place: P,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// The issuer that is to be published: checked against the bucket's own address and prefix. Leave it out when a
    /// host of your own is in front
    #[arg(long, value_name = "URL")]
    issuer: Option<IssuerUrl>,
    #[command(flatten)]
    output: Output,
}

/// How the name begins.
#[derive(Debug, Args)]
struct Name {
    /// What it begins with
    #[arg(long = "for", value_name = "PREFIX", default_value = "oidc")]
    prefix: String,
}

impl BucketCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// What stood in the way; with exit code 3 and no words, that there is something to do.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match &self.verb {
            Verb::Create(Create::S3(create)) => create.run(),
            Verb::Create(Create::Gcs(create)) => create.run(),
            Verb::Create(Create::Azure(create)) => create.run(),
            Verb::Create(Create::Oci(create)) => create.run(),
            Verb::Policy(Shown::S3(policy)) => policy.run(),
            Verb::Policy(Shown::Gcs(policy)) => policy.run(),
            Verb::Policy(Shown::Azure(policy)) => policy.run(),
            Verb::Policy(Shown::Oci(policy)) => policy.run(),
            Verb::Name(name) => name.run(),
        }
    }
}

impl<P: Place> CreateIn<P> {
    fn run(&self) -> Result<(), Failure> {
        let tls = Tls {
            ca_pem: match &self.cacert {
                Some(path) => Some(input::read(&path.to_string_lossy(), MAX_CA_BYTES)?),
                None => None,
            },
        };
        let prepared = self
            .place
            .bucket(tls, Some(&self.access))
            .map_err(|invalid| usage(&invalid))?;
        self.common.check_issuer(prepared.public_url.as_deref())?;
        if prepared.by_hand {
            let Grant { commands, .. } = prepared.bucket.grant();
            show(&ByHand { commands }, self.common.output.format)?;
            return Err(Failure::answered(EXIT_TO_DO));
        }
        runtime::block_on(self.create(prepared.bucket.as_ref()))
    }

    async fn create(&self, bucket: &dyn Bucket) -> Result<(), Failure> {
        let plan = bucket.plan().await.map_err(|error| failure(&error))?;
        let to_do = !plan.changes.is_empty();
        if !self.dry_run && to_do {
            bucket.apply(&plan).await.map_err(|error| failure(&error))?;
        }
        let applied = !self.dry_run;
        show(&Made { plan, applied }, self.common.output.format)?;
        match self.dry_run && to_do {
            true => Err(Failure::answered(EXIT_TO_DO)),
            false => Ok(()),
        }
    }
}

impl<P: Place> PolicyOf<P> {
    fn run(&self) -> Result<(), Failure> {
        let prepared = self
            .place
            .bucket(Tls::default(), None)
            .map_err(|invalid| usage(&invalid))?;
        self.common.check_issuer(prepared.public_url.as_deref())?;
        show(&Policy(prepared.bucket.grant()), self.common.output.format)
    }
}

impl Common {
    fn check_issuer(&self, public_url: Option<&str>) -> Result<(), Failure> {
        match (&self.issuer, public_url) {
            (Some(issuer), Some(public_url)) if issuer.as_str() != public_url => Err(Failure::usage(format!(
                "--issuer {issuer} does not fit: what this bucket and prefix hold is read at {public_url}"
            ))
            .next("correct the bucket's name, its region or --prefix; or leave --issuer out when a host of your own is in front")),
            (Some(_), None) => Err(Failure::usage(
                "--issuer cannot be checked: without a region, or without https, this bucket has no public address",
            )
            .next("give --region, or leave --issuer out")),
            _ => Ok(()),
        }
    }
}

impl Name {
    fn run(&self) -> Result<(), Failure> {
        let mut random = [0; NAME_BITS / 8];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| Failure::new("this machine has no random numbers"))?;
        let name =
            unguessable(&self.prefix, random).map_err(|error| Failure::usage(format!("--for {error}")))?;
        write_stdout(format!("{name}\n").as_bytes())
    }
}

fn usage(invalid: &Invalid) -> Failure {
    Failure::usage(format!("{} {}", flag(invalid.field), invalid.rule))
}

fn failure(error: &BucketError) -> Failure {
    let about = error
        .field()
        .map_or(String::new(), |field| format!(" ({})", flag(field)));
    match error {
        BucketError::Invalid(invalid) => usage(invalid),
        BucketError::Call { operation, said, .. } => Failure::new(format!("{operation} failed{about}"))
            .cause(said)
            .next(error.next()),
        BucketError::Unsafe { found, .. } => Failure::new(format!("{found}{about}"))
            .cause("nothing was changed: everybody trusts what is published here")
            .next(error.next()),
        other => Failure::new(other.to_string()).next(other.next()),
    }
}

/// The option that sets a field of the configuration.
fn flag(field: &str) -> String {
    let name = match field {
        "azure.endpoint" => "blob-endpoint",
        "azure.resourceManager" => "endpoint",
        "s3.publicURL" | "gcs.publicURL" | "azure.publicURL" | "oci.publicURL" => "issuer",
        "tls.caFile" => "cacert",
        _ => field.split_once('.').map_or(field, |(_, name)| name),
    };
    let kebab: String = name
        .chars()
        .flat_map(|c| match c.is_ascii_uppercase() {
            true => vec!['-', c.to_ascii_lowercase()],
            false => vec![c],
        })
        .collect();
    format!("--{kebab}")
}

/// A text that is not empty: an option may come from a variable that is.
fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}
