//! The HTML report: figures, the picture, and everything that happened. One file, no script, no network.

use std::fmt::Write as _;
use std::time::Duration;

use super::outcome::Outcome;
use super::pace::Pace;
use super::picture::{self, escape};
use super::timeline::{History, Step};

/// How many rejections are told one by one.
const TOLD_REJECTIONS: usize = 20;

/// The whole document.
pub(super) fn html(history: &History, outcome: &Outcome, pace: Pace, ran: Duration) -> String {
    let (class, verdict) = match outcome.verdict() {
        Ok(()) => ("good", "No valid token was rejected.".to_owned()),
        Err(failure) => ("bad", format!("Failed: {}.", failure.message())),
    };
    let tiles: String = [
        (history.tokens_verified, "tokens verified"),
        (history.verifications, "uses accepted"),
        (history.tokens_rejected, "valid tokens rejected"),
        (history.rotations, "rotations finished"),
        (history.leader_changes, "leader changes"),
        (history.writes, "documents written"),
    ]
    .iter()
    .map(|(figure, what)| format!("<div class=\"tile\"><b>{figure}</b><span>{what}</span></div>"))
    .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>KubeAssume demo: key rotation without a rejected token</title>\n<style>{STYLE}</style></head>\n<body>\
         <h1>Key rotation on an HA control plane</h1>\n<p class=\"{class}\"><b>{verdict}</b></p>\n\
         <p>{} API servers rolled one signing key after the other while {} pods used their tokens. Two replicas of \
         the controller kept the public documents right; the leader was killed in the middle. Tokens lived {} s, \
         relying parties kept keys for {} s, and a key stayed public for {} s after its last API server \
         (<code>overlapPeriod</code>). The run took {:.1} s.</p>\n\
         <div class=\"tiles\">{tiles}</div>\n<figure>{}</figure>\n\
         <h2>What happened</h2>\n<table><thead><tr><th>Time</th><th>Step</th></tr></thead><tbody>{}</tbody></table>\n\
         </body></html>\n",
        Pace::API_SERVERS,
        Pace::PODS,
        Pace::TOKEN_LIFE.as_secs(),
        Pace::MAX_AGE.as_secs(),
        pace.overlap.as_secs_f64(),
        ran.as_secs_f64(),
        picture::svg(history, ran),
        steps(history),
    )
}

fn steps(history: &History) -> String {
    let mut rows = String::new();
    let mut rejections = 0;
    for (at, step) in &history.steps {
        let class = match step {
            Step::Rejected { .. } => {
                rejections += 1;
                if rejections > TOLD_REJECTIONS {
                    continue;
                }
                "bad"
            }
            Step::Died { .. } | Step::Trouble { .. } => "warn",
            Step::Rotation(_) => "key",
            _ => "",
        };
        let _ = write!(
            rows,
            "<tr class=\"{class}\"><td>{:.2} s</td><td>{}</td></tr>",
            at.as_secs_f64(),
            escape(&step.to_string())
        );
    }
    if rejections > TOLD_REJECTIONS {
        let _ = write!(
            rows,
            "<tr class=\"bad\"><td></td><td>and {} more rejected tokens</td></tr>",
            rejections - TOLD_REJECTIONS
        );
    }
    rows
}

const STYLE: &str = "
:root { --bg:#fcfcfb; --ink:#1d2326; --soft:#66707a; --line:#dfe3e6; --card:#f2f4f4;
  --new:#9db8d9; --live:#2f9e6b; --retiring:#e0a030; --signs:#2563ab; --bad:#d33c3c; --lead:#7a58b8; --write:#1d2326; }
@media (prefers-color-scheme: dark) { :root { --bg:#14181a; --ink:#e6eaec; --soft:#96a1a9; --line:#2d3438; --card:#1d2326;
  --new:#4d6a8f; --live:#3cb881; --retiring:#dca544; --signs:#6aa6ee; --bad:#f06a6a; --lead:#a78be0; --write:#e6eaec; } }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; background: var(--bg); color: var(--ink);
  max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 25px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 8px; }
p { max-width: 78ch; margin: 6px 0; } p.good b { color: var(--live); } p.bad b { color: var(--bad); }
code { font-size: 13px; background: var(--card); padding: 1px 5px; border-radius: 4px; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0; }
.tile { background: var(--card); border-radius: 8px; padding: 9px 16px; min-width: 132px; }
.tile b { display: block; font-size: 21px; font-variant-numeric: tabular-nums; } .tile span { color: var(--soft); font-size: 13px; }
figure { margin: 0; overflow-x: auto; } svg { width: 100%; min-width: 760px; height: auto; display: block; }
table { border-collapse: collapse; font-size: 13.5px; } td, th { text-align: left; padding: 3px 16px 3px 0; border-bottom: 1px solid var(--line); }
td:first-child { font-variant-numeric: tabular-nums; color: var(--soft); white-space: nowrap; }
tr.key td:last-child { color: var(--signs); } tr.warn td:last-child { color: var(--retiring); } tr.bad td:last-child { color: var(--bad); }
svg text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); } svg .head { font-weight: 600; } svg .grid { stroke: var(--line); stroke-width: 1; }
svg .new { fill: var(--new); } svg .live { fill: var(--live); } svg .retiring { fill: var(--retiring); }
svg .signs { fill: var(--signs); } svg .lead { fill: var(--lead); } svg .bad { fill: var(--bad); }
svg .up { stroke: var(--lead); stroke-width: 1.5; opacity: .55; } svg .write { fill: var(--write); }
svg .gone { fill: none; stroke: var(--soft); stroke-width: 1.5; } svg .death { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 4 4; }
svg .cross { stroke: var(--bad); stroke-width: 2.5; }
";
