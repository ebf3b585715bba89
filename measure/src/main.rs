//! `cargo xtask measure`: what KubeAssume claims of itself, measured.
//!
//! Everything runs here: the release build of the controller, etcd, kube-apiserver, an S3 server, nginx and
//! wrk. Nothing is asserted and nothing is remembered: each figure that is printed was taken in this run, and
//! a goal that is missed is said to be missed. The harness of the tests starts the servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's command: what cannot be had ends it, with a message"
)]

use std::process::ExitCode;

mod audit;
mod controller;
mod endpoint;
mod memory;
mod report;
mod start;
mod steady;
mod world;

use report::Report;

const HELP: &str = "\
Measures KubeAssume.

Usage: measure [controller | endpoint] [-o json]

  controller   size, start, requests, writes and memory of the release build (the default)
  endpoint     the built-in HTTPS server beside nginx: requests per second, p99, memory under attack
  -o json      JSON instead of a table
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (part, json) = match words.as_slice() {
        [] | ["controller"] => ("controller", false),
        ["-o", "json"] | ["controller", "-o", "json"] => ("controller", true),
        ["endpoint"] => ("endpoint", false),
        ["endpoint", "-o", "json"] => ("endpoint", true),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::new(part);
    let measured = async {
        match part {
            "endpoint" => endpoint::measure(&mut report).await,
            _ => controller::measure(&mut report).await,
        }
    };
    tokio::select! {
        () = measured => {}
        // What is dropped now ends its servers.
        _ = tokio::signal::ctrl_c() => return ExitCode::from(130),
    }
    if json {
        println!("{}", report.json());
    } else {
        print!("{}", report.markdown());
    }
    ExitCode::SUCCESS
}
