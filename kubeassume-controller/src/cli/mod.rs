//! The binary: arguments in, a controller in a cluster until a signal ends it.
//!
//! Exit code 0 after a signal, 1 when it cannot run or had to stop, 2 when arguments or configuration are
//! wrong. Errors go to standard error with their cause and the next step; logs too, as text on a terminal
//! and as JSON elsewhere, filtered by `RUST_LOG`.

mod check;
mod run;

use std::fmt;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;

/// Publishes a Kubernetes cluster's service account keys and keeps them right.
#[derive(Debug, Parser)]
#[command(name = "kubeassume-controller", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Poll, observe, save, publish and verify, until a signal ends it
    Run(Run),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The configuration file
    #[arg(
        long,
        value_name = "FILE",
        env = "KUBEASSUME_CONFIG",
        default_value = "/etc/kubeassume/config.yaml"
    )]
    config: PathBuf,
    /// The cluster, if not the one whose pod this is
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Where the ConfigMap, the Lease and the Events are
    #[arg(long, env = "POD_NAMESPACE", default_value = "kubeassume-system")]
    namespace: String,
    /// Where /healthz, /readyz and /verifiedz are answered
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "KUBEASSUME_HEALTH_LISTEN",
        default_value = "0.0.0.0:8081"
    )]
    health_listen: SocketAddr,
    /// Where /metrics is answered; may be the same address
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "KUBEASSUME_METRICS_LISTEN",
        default_value = "0.0.0.0:9090"
    )]
    metrics_listen: SocketAddr,
    /// Check the configuration, say what it does, and exit
    #[arg(long)]
    check_config: bool,
    /// Publish even where another owner's documents are
    #[arg(long)]
    take_over: bool,
    /// The Lease holder's identity; no two replicas may have the same
    #[arg(long, env = "POD_NAME", hide = true)]
    identity: Option<String>,
}

/// How many threads there are for all the waiting, and for the TLS of the built-in server.
const WORKERS: usize = 2;

/// The command line, for its reference.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the binary.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let Command::Run(run) = arguments.command;
    match start(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn start(run: Run) -> Result<(), Failure> {
    let config = Config::load(&run.config).map_err(Failure::configuration)?;
    check::endpoints(&config)?;
    if run.check_config {
        return std::io::stdout()
            .write_all(check::summary(&config, &run.namespace).as_bytes())
            .map_err(Failure::running);
    }
    log();
    // Before anything that speaks TLS; with two providers compiled in, the first use would panic.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let _ = provider.install_default();
    tokio::runtime::Builder::new_multi_thread()
        // Everything here waits for others; a thread for each core of a large node would only cost memory.
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(Failure::running)?
        .block_on(run::run(run, config))
}

/// `RUST_LOG` is levels by target: `info,kubeassume_core=debug`. What is no such thing counts as absent.
fn log() {
    let asked = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter: Targets = asked
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    if std::io::stderr().is_terminal() {
        registry.with(lines).init();
    } else {
        registry.with(lines.json().flatten_event(true)).init();
    }
}

/// Why the binary ends with another code than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// Somebody has to correct arguments or configuration.
    fn configuration(reason: impl fmt::Display) -> Self {
        Self {
            code: 2,
            text: reason.to_string(),
        }
    }

    /// It could not run, or had to stop.
    fn running(reason: impl fmt::Display) -> Self {
        Self {
            code: 1,
            text: reason.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
