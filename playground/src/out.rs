//! Lines on standard output. A reader that has gone is no panic here: the playground ends by other means.

use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::time::Instant;

/// Prints a line.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Tells a step of the start.
pub(crate) fn step(text: &str) {
    let _ = line(&format!("{:5.1} s  {text}", since_start().as_secs_f64()));
}

/// Since the first call, which is the program's first deed.
pub(crate) fn since_start() -> std::time::Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
