//! What a notice says to people: in Kubernetes Events and in logs, in the same words.

use kubeassume_core::{FindingKind, StateError, Verification};

use crate::Notice;

/// A notice in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Whether somebody should look into it.
    pub(crate) warning: bool,
    /// A name in the style of Kubernetes Event reasons.
    pub(crate) reason: &'static str,
    /// One sentence.
    pub(crate) text: String,
    /// Whether it may come again and again with the same words, saying nothing new.
    pub(crate) repeats: bool,
}

impl Told {
    /// Nothing for what happens all the time when all is well.
    pub(crate) fn of(notice: &Notice<'_>) -> Option<Self> {
        let told = |warning, reason, text| {
            Some(Self {
                warning,
                reason,
                text,
                repeats: warning,
            })
        };
        match notice {
            Notice::Rotation(event) => Some(Self {
                warning: event.is_warning(),
                reason: event.reason(),
                text: event.to_string(),
                repeats: false,
            }),
            Notice::Finding { endpoint, finding } => {
                let left_out = matches!(finding.kind, FindingKind::LeftOut(_));
                told(
                    left_out,
                    "KeyFinding",
                    format!("API server {endpoint}: {finding}"),
                )
            }
            Notice::EndpointFailed { endpoint, error } => {
                told(true, "EndpointFailed", format!("API server {endpoint} {error}"))
            }
            Notice::EndpointBack { endpoint } => told(
                false,
                "EndpointBack",
                format!("API server {endpoint} answers again"),
            ),
            Notice::StateRepaired { reason } => told(
                true,
                "StateRepaired",
                format!("the stored state was rewritten: {reason}"),
            ),
            // Somebody else was faster: that is what compare-and-swap is for.
            Notice::StateFailed(StateError::Conflict) => None,
            Notice::StateFailed(error) => told(true, "StateFailed", error.to_string()),
            Notice::Published {
                location, published, ..
            } => {
                if published.written.is_empty() {
                    return None;
                }
                let documents: Vec<String> = published.written.iter().map(ToString::to_string).collect();
                told(
                    false,
                    "Published",
                    format!("{location}: wrote {}", documents.join(" and ")),
                )
            }
            Notice::PublishFailed { location, error, .. } => {
                told(true, "PublishFailed", format!("{location}: {error}"))
            }
            Notice::ReadBack {
                location,
                verification: Verification::Failed(error),
                ..
            } => told(true, "PublicCopyWrong", format!("{location}: {error}")),
            Notice::Blocked { reason } => {
                told(true, "Blocked", format!("nothing can be published: {reason}"))
            }
            Notice::Leading(true) => told(false, "Leading", "this replica leads".to_owned()),
            Notice::Leading(false) => told(false, "Following", "this replica follows".to_owned()),
            Notice::Polled { .. } | Notice::Saved { .. } | Notice::ReadBack { .. } => None,
        }
    }
}
