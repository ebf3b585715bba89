//! `kubeassume demo`: the whole pipeline in one process, without a cluster or a cloud.
//!
//! Three small issuers stand for an HA control plane; all else is what runs in production: the controller
//! (two replicas, one of which is killed while it leads), the publish algorithm on a `file` store, the built-in HTTPS
//! endpoint in front of it with a certificate authority of the demo's own, and the verifier. Only time is compressed, see [`Pace`].

mod control_plane;
mod live;
mod outcome;
mod pace;
mod picture;
mod pods;
mod replicas;
mod report;
mod rollout;
mod signing_key;
mod stage;
mod timeline;
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::outcome::Outcome;
use self::pace::Pace;
use self::stage::Stage;
use crate::duration::duration;
use crate::failure::Failure;
use crate::output::{Format, Output, remark, show};
use crate::runtime;

/// How long, how, and what to leave behind.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How long the pods run, in seconds
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = clap::value_parser!(u64).range(5..=3600))]
    seconds: u64,
    /// How long a key stays public after the last API server dropped it
    ///
    /// Tokens live 5 s and relying parties keep keys for 1 s, so less than 6s must fail: 0s shows how.
    #[arg(long, default_value = "6s", value_name = "DURATION", value_parser = duration)]
    overlap: Duration,
    /// Write a self-contained HTML report with the timeline as a picture
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Demo {
    /// Runs it.
    ///
    /// # Errors
    /// A valid token was rejected, no rotation was finished, too few tokens were verified, or this machine
    /// cannot run it.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let pace = Pace {
            run: Duration::from_secs(self.seconds),
            overlap: self.overlap,
        };
        let bucket = tempfile::Builder::new()
            .prefix("kubeassume-demo-")
            .tempdir()
            .map_err(|error| Failure::new("cannot make a temporary directory").because(&error))?;
        runtime::block_on(async {
            tokio::select! {
                result = self.play(pace, bucket.path()) => result,
                _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted").code(130)),
            }
        })
    }

    async fn play(&self, pace: Pace, bucket: &Path) -> Result<(), Failure> {
        let people = self.output.format == Format::Table;
        if people {
            remark(&format!(
                "{} API servers, 2 controller replicas, {} pods; a token lives {} s, a key stays public for {} s \
                 after its last API server",
                Pace::API_SERVERS,
                Pace::PODS,
                Pace::TOKEN_LIFE.as_secs(),
                pace.overlap.as_secs_f64(),
            ));
        }
        let stage = Stage::set(pace, bucket).await?;
        let ran = stage.play(people).await?;
        let history = stage.history();
        let outcome = Outcome::new(&history, pace, ran);
        if let Some(path) = &self.report {
            let html = report::html(&history, &outcome, pace, ran);
            std::fs::write(path, html)
                .map_err(|error| Failure::new(format!("cannot write the report {path:?}")).because(&error))?;
        }
        show(&outcome, self.output.format)?;
        outcome.verdict()
    }
}
