//! Reading what the user names: a file, or `-` for standard input; never more than a bound.

use std::fs::File;
use std::io::{self, Read};

use crate::failure::Failure;

/// Reads at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, or is larger.
pub(crate) fn read(name: &str, limit: usize) -> Result<Vec<u8>, Failure> {
    let failed = |error: &io::Error| {
        Failure::new(format!("cannot read {}", shown(name)))
            .because(error)
            .next("check the path and its permissions; - reads standard input")
    };
    let bytes = match name {
        "-" => bounded(io::stdin().lock(), limit),
        path => File::open(path).and_then(|file| bounded(file, limit)),
    };
    let bytes = bytes.map_err(|error| failed(&error))?;
    if bytes.len() > limit {
        return Err(Failure::new(format!(
            "{} is larger than {limit} bytes",
            shown(name)
        )));
    }
    Ok(bytes)
}

/// How messages name an input.
pub(crate) fn shown(name: &str) -> String {
    match name {
        "-" => "standard input".to_owned(),
        path => format!("{path:?}"),
    }
}

fn bounded(reader: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
