//! Load by wrk: both documents in turns over connections that stay open.

use kubeassume_tests::Testbed;
use serde_json::Value;
use tokio::process::Command;

use super::Target;

/// What is run, for people.
pub(super) const COMMAND: &str = "wrk -t 2 -c 64 -d 10s";

const SCRIPT: &str = r#"
local requests, last = {}, 0
function init(paths)
  for number, path in ipairs(paths) do requests[number] = wrk.format("GET", path) end
end
function request()
  last = last % #requests + 1
  return requests[last]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests": %d, "microseconds": %d, "p99": %f, "errors": %d}\n',
    summary.requests, summary.duration, latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;

/// What one run reached.
pub(super) struct Load {
    pub(super) per_second: f64,
    /// In milliseconds.
    pub(super) p99: f64,
    /// By the server, in microseconds for each request.
    pub(super) computed: f64,
}

/// One run.
///
/// # Panics
/// A request failed: then it is no measurement.
pub(super) async fn load(bed: &Testbed, target: &Target) -> Load {
    let script = bed.path().join("load.lua");
    std::fs::write(&script, SCRIPT).expect("the script");
    let before = target.computed();
    let mut words = COMMAND.split(' ');
    let output = Command::new(words.next().expect("a program"))
        .args(words)
        .arg("-s")
        .arg(&script)
        .arg(target.url(""))
        .arg("--")
        .args(target.documents.iter().map(|document| &document.path))
        .kill_on_drop(true)
        .output()
        .await
        .expect("wrk starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{'));
    let line = line.unwrap_or_else(|| panic!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)));
    let found: Value = serde_json::from_str(line).expect("the script writes JSON");
    let number = |name: &str| found[name].as_f64().expect("a number");
    assert!(
        number("errors") == 0.0 && number("requests") > 0.0,
        "{} failed under load: {text}",
        target.name
    );
    Load {
        per_second: number("requests") / number("microseconds") * 1e6,
        p99: number("p99") / 1e3,
        computed: (target.computed() - before) / number("requests") * 1e6,
    }
}
