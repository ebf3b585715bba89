//! [`Log`]: what happens, as log lines.

use crate::told::Told;
use crate::{Notice, Observer};

/// Writes notices with [`tracing`]: warnings as such, the rest as information. Holds no secrets, because
/// notices hold none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Log;

impl Observer for Log {
    fn notice(&self, notice: &Notice<'_>) {
        match Told::of(notice) {
            Some(Told {
                warning: true,
                reason,
                text,
                ..
            }) => tracing::warn!(reason, "{text}"),
            Some(Told { reason, text, .. }) => tracing::info!(reason, "{text}"),
            None => tracing::debug!(?notice),
        }
    }
}
