//! What a token may not exceed and may not contain.

use std::time::Duration;

/// How far the clocks of issuer and relying party may differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The longest token that is looked at, in bytes. Kubernetes' have about one KiB.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Header parameters that let a token bring its own key (`jku`, `jwk`, `x5u`, `x5c`), demand an extension
/// (`crit`, `b64`), or that belong to encryption (`zip`, `enc`). Issuers of identity tokens use none.
pub(super) const FORBIDDEN_PARAMETERS: [&str; 8] = ["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc"];
