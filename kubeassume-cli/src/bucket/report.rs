//! What is printed.

use std::fmt::Write as _;

use kubeassume_publishers::bucket::{Grant, Plan};
use serde::Serialize;
use serde_json::Value;

use crate::output::{Paint, Report};

/// A plan, and whether its changes were made.
#[derive(Serialize)]
pub(super) struct Made {
    #[serde(flatten)]
    pub(super) plan: Plan,
    pub(super) applied: bool,
}

/// What a bucket is to grant.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Policy(pub(super) Grant);

/// What somebody else has to run.
#[derive(Serialize)]
pub(super) struct ByHand {
    pub(super) commands: Vec<String>,
}

impl Report for Made {
    fn table(&self, paint: Paint) -> String {
        let plan = &self.plan;
        let mut text = format!("bucket    {}\n", plan.location);
        if let Some(issuer) = &plan.issuer {
            let _ = writeln!(text, "issuer    {issuer}");
        }
        for change in &plan.changes {
            let verb = match self.applied {
                true => paint.good("changed   "),
                false => paint.warn("to change "),
            };
            let _ = writeln!(text, "{verb}{}", change.what);
            for call in &change.calls {
                let _ = writeln!(text, "  call    {}: {}", call.operation, call.request);
            }
            let _ = writeln!(text, "  before  {}\n  after   {}", change.before, change.after);
        }
        if plan.changes.is_empty() {
            let _ = writeln!(text, "{}nothing to do", paint.good("ok        "));
        }
        for finding in &plan.findings {
            let _ = writeln!(
                text,
                "{}{}\n  next    {}",
                paint.warn("note      "),
                finding.what,
                finding.next
            );
        }
        for step in &plan.by_hand {
            let _ = writeln!(text, "{}{step}", paint.warn("by hand   "));
        }
        text
    }
}

impl Report for Policy {
    /// As it is given to the cloud: the policy, else the statements and commands.
    fn table(&self, _: Paint) -> String {
        match &self.0.policy {
            Value::Null => self
                .0
                .commands
                .iter()
                .map(|command| format!("{command}\n"))
                .collect(),
            policy => serde_json::to_string_pretty(policy).unwrap_or_default() + "\n",
        }
    }
}

impl Report for ByHand {
    fn table(&self, _: Paint) -> String {
        let head = "# Without --access-token-file nothing was asked or changed. The same by Azure's own command line:\n";
        let commands = self.commands.iter().map(|command| format!("{command}\n"));
        std::iter::once(head.to_owned()).chain(commands).collect()
    }
}
