//! What one sees while the demo runs: on a terminal a view that changes, elsewhere a line for each step.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::pace::Pace;
use super::replicas::Lease;
use super::timeline::{Lane, Step, Timeline, short};
use crate::output::{Paint, remark};

/// How many keys fit.
const SHOWN_KEYS: usize = 6;

/// Shows the run until it is dropped or stopped.
pub(super) struct Live {
    pub(super) timeline: Arc<Timeline>,
    pub(super) lease: Arc<Lease>,
    pub(super) pace: Pace,
    /// Whether steps are told as lines where there is no terminal.
    pub(super) lines: bool,
}

impl Live {
    /// Shows it, for ever.
    pub(super) async fn run(self) {
        let bar = ProgressBar::with_draw_target(
            Some(u64::try_from(self.pace.run.as_millis()).unwrap_or(u64::MAX)),
            ProgressDrawTarget::stderr(),
        );
        if bar.is_hidden() {
            return self.tell().await;
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:50.green/dim} {prefix}\n{msg}") {
            bar.set_style(style);
        }
        let bar = Cleared(bar);
        loop {
            let elapsed = self.timeline.elapsed();
            bar.0
                .set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            bar.0.set_prefix(format!(
                "{:.0}/{} s",
                elapsed.as_secs_f64(),
                self.pace.run.as_secs()
            ));
            bar.0.set_message(self.message(elapsed));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn message(&self, elapsed: Duration) -> String {
        let paint = Paint::stderr();
        let history = self.timeline.history();
        let rejected = format!("{} rejected", history.tokens_rejected);
        let rejected = match history.tokens_rejected {
            0 => rejected,
            _ => paint.bad(&rejected),
        };
        let mut lines = vec![format!(
            "tokens  {} verified in {} uses, {rejected}\nwrites  {}\nleader  {}",
            history.tokens_verified,
            history.verifications,
            history.writes,
            self.lease
                .holder()
                .unwrap_or_else(|| paint.warn("nobody: the last one was killed")),
        )];
        let lanes = history.lanes();
        let skipped = lanes.len().saturating_sub(SHOWN_KEYS);
        for lane in lanes.iter().skip(skipped) {
            lines.push(self.key(lane, elapsed, paint));
        }
        lines.join("\n")
    }

    fn key(&self, lane: &Lane, elapsed: Duration, paint: Paint) -> String {
        let state = format!("{:<9}", lane.state());
        let state = match lane.state() {
            "live" => paint.good(&state),
            "retiring" => paint.warn(&state),
            _ => paint.dim(&state),
        };
        let note = match (lane.retiring, lane.removed, lane.signers) {
            (_, Some(_), _) => "gone".to_owned(),
            (Some(since), None, _) => {
                let left = (since + self.pace.overlap).saturating_sub(elapsed);
                format!("public for {:.1} s more", left.as_secs_f64())
            }
            (None, None, 0) => String::new(),
            (None, None, signers) => format!("signs on {signers} of {} API servers", Pace::API_SERVERS),
        };
        format!("key     {}  {:<8}  {state}  {note}", short(&lane.kid), lane.kind)
    }

    async fn tell(&self) {
        let mut seen = 0;
        let mut rejections = 0;
        loop {
            for (at, step) in self.timeline.news(seen) {
                seen += 1;
                if matches!(step, Step::Rejected { .. }) {
                    rejections += 1;
                    // One or two say it all; there may be hundreds.
                    if rejections > 2 {
                        continue;
                    }
                }
                if self.lines {
                    remark(&format!("{:5.1} s  {step}", at.as_secs_f64()));
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A bar that leaves the terminal clean, however its task ends.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
