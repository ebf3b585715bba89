//! What a replica does, told on standard error.

use kubeassume_controller::{Notice, Observer};
use tokio::sync::watch;

use crate::output::remark;

/// Tells people, and counts polls.
pub(super) struct Told {
    pub(super) polls: watch::Sender<u32>,
}

impl Observer for Told {
    fn notice(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Polled { .. } => self.polls.send_modify(|polls| *polls = polls.saturating_add(1)),
            Notice::Rotation(event) => remark(&event.to_string()),
            Notice::Finding { endpoint, finding } => remark(&format!("{endpoint}: {finding}")),
            Notice::EndpointFailed { endpoint, error } => remark(&format!("{endpoint} {error}")),
            Notice::EndpointBack { endpoint } => remark(&format!("{endpoint} answers again")),
            Notice::StateRepaired { reason } => remark(&format!("the state was repaired: {reason}")),
            Notice::StateFailed(error) => remark(&error.to_string()),
            Notice::Published {
                location, published, ..
            } if !published.written.is_empty() => {
                let names: Vec<String> = published.written.iter().map(ToString::to_string).collect();
                remark(&format!("{location}: wrote {}", names.join(" and ")));
            }
            Notice::PublishFailed { location, error, .. } => remark(&format!("{location}: {error}")),
            Notice::Blocked { reason } => remark(reason),
            _ => {}
        }
    }
}
