//! From the start of the process to the first publication, every time from nothing.

use std::time::Duration;

use jiff::Timestamp;
use kubeassume_tests::Replica;
use serde_json::Value;

use crate::report::{Goal, Report, median};
use crate::world::{LIMIT, PERIOD, World};

const RUNS: usize = 11;

/// The last one is the figure.
const STEPS: [&str; 5] = [
    "configuration, TLS and listeners ready",
    "Lease held",
    "keys read from the API server",
    "state saved",
    "both documents in the S3 server's access log",
];

/// When each step was reached, in seconds since the process was started.
type Run = [f64; STEPS.len()];

pub(crate) async fn measure(world: &World, report: &mut Report) {
    let mut runs = Vec::with_capacity(RUNS);
    for nth in 0..RUNS {
        world.forget().await;
        let mut replica = world.replica(&format!("start-{nth}"), PERIOD).await;
        runs.push(run(world, &mut replica).await);
        replica.stop().await;
    }
    let last = STEPS.len() - 1;
    let column = |step: usize| runs.iter().map(|run: &Run| run[step]).collect::<Vec<f64>>();
    let ends = column(last);
    let (best, worst) = ends.iter().fold((f64::MAX, 0_f64), |(best, worst), &end| {
        (best.min(end), worst.max(end))
    });
    report.judge(
        "start to first publication",
        Goal::AtMost(0.3),
        median(ends),
        "s",
        format!(
            "median of {RUNS} starts ({best:.3} to {worst:.3}), each with no state, no Lease and an empty bucket; from \
             before the process is forked until the S3 server has logged both successful PUTs"
        ),
    );
    for (step, name) in STEPS.iter().enumerate().take(last) {
        let how = "median of the same starts, since the same moment";
        report.add(&format!("... {name}"), median(column(step)), "s", how);
    }
}

async fn run(world: &World, replica: &mut Replica) -> Run {
    let puts = world.puts();
    let known = world.audit.requests().len();
    let begun = Timestamp::now();
    replica.start();
    let deadline = begun + LIMIT;
    let published = loop {
        let now = Timestamp::now();
        if world.puts().iter().zip(puts).all(|(now, before)| *now > before) {
            break now;
        }
        assert!(now < deadline, "nothing was published: {}", replica.log());
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    // It says so after it published.
    let log = loop {
        let log = replica.log();
        if logged(&log, "reason", "Published").is_some() {
            break log;
        }
        assert!(
            Timestamp::now() < deadline,
            "no line about the publication: {log}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let requests = world.audit.requests().split_off(known);
    let answered = |verb: &str, what: &str| {
        let wanted = |request: &&crate::audit::Request| request.verb == verb && request.what == what;
        requests.iter().find(wanted).map(|request| request.answered)
    };
    let moments = [
        logged(&log, "message", "started"),
        logged(&log, "reason", "Leading"),
        answered("get", "/openid/v1/jwks"),
        answered("create", "configmaps"),
        Some(published),
    ];
    let since = |moment: Option<Timestamp>| moment.expect("every step left a trace").duration_since(begun);
    moments.map(|moment| since(moment).as_secs_f64())
}

/// When the first line with this field was logged.
fn logged(log: &str, field: &str, text: &str) -> Option<Timestamp> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .into_iter()
        .find(|line| line[field] == text)
        .and_then(|line| line["timestamp"].as_str()?.parse().ok())
}
