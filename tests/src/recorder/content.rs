//! What a body or a query holds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Recorded;

/// A body, as its content type says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing.
    Empty,
    /// `application/json`.
    Json(Value),
    /// `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// `multipart/related` (RFC 2387).
    Multipart(Vec<Part>),
    /// Anything else, and what is not what it says.
    Text(String),
}

/// One part of a `multipart` body.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its content type.
    pub content_type: String,
    /// Its body.
    pub body: String,
}

impl Recorded {
    /// The body, read.
    pub fn content(&self) -> Content {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let declared = self.header("content-type").unwrap_or_default();
        let kind = declared.split(';').next().unwrap_or_default().trim();
        match kind {
            _ if text.is_empty() => Content::Empty,
            "application/json" => serde_json::from_str(&text).map_or(Content::Text(text), Content::Json),
            "application/x-www-form-urlencoded" => Content::Form(pairs(&text)),
            "multipart/related" => parts(declared, &text).map_or(Content::Text(text), Content::Multipart),
            _ => Content::Text(text),
        }
    }
}

/// The parameters of a query, decoded.
pub fn query(target: &str) -> BTreeMap<String, String> {
    pairs(target.split_once('?').map_or("", |(_, query)| query))
}

/// Percent-decoded.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        })
        .collect()
}

fn parts(declared: &str, text: &str) -> Option<Vec<Part>> {
    let (_, boundary) = declared.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim_matches(['"', '\'', ' ']);
    let delimiter = format!("--{boundary}");
    let mut pieces = text.split(delimiter.as_str());
    // What stands before the first delimiter is no part; the last piece is the closing `--`.
    pieces.next()?;
    let mut parts = Vec::new();
    for piece in pieces {
        if piece.starts_with("--") {
            return Some(parts);
        }
        let (head, body) = piece.split_once("\r\n\r\n")?;
        let mut headers = head.lines().filter_map(|line| line.split_once(':'));
        let content_type = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        parts.push(Part {
            content_type: content_type?.1.trim().to_owned(),
            body: body.strip_suffix("\r\n")?.to_owned(),
        });
    }
    None
}
