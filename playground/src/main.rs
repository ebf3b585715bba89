//! `cargo xtask playground`: a real rotation to play with.
//!
//! Two kube-apiservers on one etcd, an S3 server, two controllers and relying parties, all real processes
//! on 127.0.0.1, kept running for a person; single keys stage, switch and drop signing keys, kill the leader
//! and break the bucket, and a live view shows what comes of it. [`model`] knows, [`draw`] shows, [`world`]
//! does. It asserts nothing about the product: the tests do.
//!
//! However it ends (a letter, a signal, a closed terminal, a failure while starting), no process and no
//! folder stays; only `kill -9` leaves the folder behind, and even then no process.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a developer's program on the test harness: what cannot be had ends it, with a message"
)]

mod draw;
mod event;
mod model;
mod out;
mod panics;
mod plain;
mod screen;
mod session;
mod world;

use std::io::{IsTerminal as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use kubeassume_tests::Testbed;
use tokio::task::LocalSet;

use crate::session::Ended;
use crate::world::Settings;

/// Play with a real key rotation: two API servers, an S3 server, two controllers, relying parties.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask playground", version)]
pub(crate) struct Arguments {
    /// How long a dropped key stays public, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    overlap: u64,
    /// How long a pod uses a token, in seconds; above --overlap, dropped keys are missed
    #[arg(long, value_name = "SECONDS", default_value_t = 45, value_parser = clap::value_parser!(u64).range(1..=540))]
    hold: u64,
    /// Lines instead of a screen; letters are read from lines (`s`, `w K2`, `q`)
    #[arg(long)]
    plain: bool,
}

fn main() -> ExitCode {
    out::since_start();
    let arguments = Arguments::parse();
    panics::keep();
    let ended = play(&arguments);
    match ended {
        Ok(ended) => {
            let _ = out::line(&format!("ended ({ended}): no process is left, and no folder"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "playground: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn play(arguments: &Arguments) -> Result<Ended, String> {
    if std::env::var_os("KUBEASSUME_BIN_DIR").is_none() {
        return Err("start it with `cargo xtask playground`, which builds what it needs".to_owned());
    }
    let settings = Settings {
        overlap: Duration::from_secs(arguments.overlap),
        hold: Duration::from_secs(arguments.hold),
    };
    let plain = arguments.plain || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal();
    // Held here until everything else is gone, so that the folder goes last, and also after a panic.
    let bed = catch_unwind(AssertUnwindSafe(|| Testbed::new("playground"))).map_err(|_| panics::first())?;
    let bed = Arc::new(bed);
    let folder = bed.path().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let tasks = LocalSet::new();
    let session = tasks.run_until(session::run(&bed, settings, plain));
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(session)));
    let ended = ended.unwrap_or_else(|_| Err(panics::first()));
    drop(tasks);
    // Ends every task, and with the tasks their processes; a thread that reads a terminal may stay.
    runtime.shutdown_timeout(Duration::from_secs(20));
    drop(bed);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{} is left behind: {error}", folder.display()))
        }
        _ => ended,
    }
}
