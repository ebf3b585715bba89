//! Every field of the configuration file, in Markdown: what the parser asks for when it reads nothing.

use std::fmt::Write as _;

use serde_json::Value;

use super::section::{Absent, Field, Findings, Kind};
use super::{MAX_CONFIG_BYTES, duration};

/// The reference of the configuration file, as Markdown.
///
/// It is made by the parser itself, so it names exactly the fields that [`Config`](super::Config) reads,
/// with their bounds and defaults.
pub fn reference() -> String {
    let mut findings = Findings::default();
    let _ = super::read(Value::Null, &mut findings);
    let mut text = format!(
        "# Configuration\n\n\
         One YAML file of at most {} KiB, given to `kubeassume-controller run --config` and to \
         `kubeassume publish --config`. An unknown field is refused, and so is a value that breaks a rule: all \
         of them are named at once. An empty text counts as unset. A duration is whole numbers with their units \
         `h`, `m`, `s` and `ms`: `60s`, `1h30m`.\n\n\
         Secrets are not in this file; credentials come from where the SDK of the backend looks for them.\n",
        MAX_CONFIG_BYTES >> 10
    );
    for (path, about, fields) in &findings.sections {
        match path.as_str() {
            "" => text.push_str("\n## The file\n\n"),
            path => {
                let _ = writeln!(text, "\n## `{path}`\n\n{about}\n");
            }
        }
        text.push_str("| field | value | default | meaning |\n|---|---|---|---|\n");
        let is_section = |field: &&Field| matches!(field.kind, Kind::Mapping);
        let (sections, own): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(is_section);
        for field in own.into_iter().chain(sections) {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                field.name,
                value(path, field),
                default(field),
                field.about
            );
        }
    }
    text
}

fn value(path: &str, field: &Field) -> String {
    match &field.kind {
        // The anchor that renderers of Markdown make of the section's heading.
        Kind::Mapping => {
            let anchor = format!("{path}{}", field.name).replace('.', "").to_lowercase();
            format!("[section](#{anchor})")
        }
        Kind::Mappings => format!("list of [sections](#{})", field.name.trim_end_matches('s')),
        Kind::Text => "text".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Flag => "`true`, `false`".to_owned(),
        Kind::Duration(from, to) => format!("duration, {} to {}", duration::text(*from), duration::text(*to)),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
    }
}

fn default(field: &Field) -> String {
    match (&field.kind, &field.absent) {
        (Kind::Mapping, _) => String::new(),
        (_, Absent::Refused) => "required".to_owned(),
        (_, Absent::Unset) => "unset".to_owned(),
        (_, Absent::Is(value)) => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_shown_with_its_bounds_and_its_default() {
        let text = reference();
        for line in [
            "\n## `controller.rotation`\n\nHow keys come and go.\n",
            "| `overlapPeriod` | duration, 0s to 87600h | `24h` | How long a key stays public ",
            "| `onStateLoss` | `keep`, `drop` | `keep` | ",
            "| `issuer` | text | required | ",
            "| `endpoints` | list of texts | `[]` | ",
            "| `useIRSA` | `true`, `false` | unset | ",
            "| `rotation` | [section](#controllerrotation) |  | How keys come and go. |\n",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
    }
}
