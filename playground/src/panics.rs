//! The harness panics with a message for people. It must reach them after the screen is restored, not in
//! the middle of it.

use std::sync::Mutex;

static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the first panic's message instead of printing it.
pub(crate) fn keep() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |place| format!(" ({place})"));
        let message = panic.payload_as_str().unwrap_or("a panic without words");
        if let Ok(mut first) = FIRST.lock() {
            first.get_or_insert_with(|| format!("{message}{place}"));
        }
    }));
}

/// What went wrong first.
pub(crate) fn first() -> String {
    let first = FIRST.lock().ok().and_then(|first| first.clone());
    first.unwrap_or_else(|| "a part of the playground ended".to_owned())
}
