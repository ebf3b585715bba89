//! Reading a configuration field by field, so that every complaint names its field, its rule and the fix.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::duration;
use super::error::Problem;
use super::nearest::nearest;

/// A mapping of the configuration. What was read from it is known; what is left at the end is not.
pub(super) struct Section {
    path: String,
    fields: Map<String, Value>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Section {
    /// The whole document.
    pub(super) fn root(value: Value) -> Self {
        let mut root = Self::new(String::new(), Map::new());
        match value {
            Value::Object(fields) => root.fields = fields,
            Value::Null => {}
            _ => root.problems.push(Problem::new(
                "the file",
                "is not a mapping of fields",
                "begin with issuer: https://…",
            )),
        }
        root
    }

    /// Nothing, about which there is nothing to complain.
    pub(super) fn empty() -> Self {
        Self::new(String::new(), Map::new())
    }

    fn new(path: String, fields: Map<String, Value>) -> Self {
        Self {
            path,
            fields,
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The mapping in a field; an absent one is empty.
    pub(super) fn section(&mut self, name: &'static str) -> Self {
        let path = self.field(name);
        let fields = match self.take(name) {
            None => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(other) => {
                self.wrong_kind(name, "a mapping of fields", &other, "indent its fields below it");
                Map::new()
            }
        };
        Self::new(path, fields)
    }

    /// Whether a field is there, for those of which only one may be. An empty text counts as absent.
    pub(super) fn has(&self, name: &str) -> bool {
        !matches!(self.fields.get(name), None | Some(Value::Null)) && {
            self.fields.get(name).and_then(Value::as_str) != Some("")
        }
    }

    /// A text; `None` when absent or empty.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text),
            other => {
                let fix = format!("put it in quotes: {name}: \"{}\"", shown(&other));
                self.wrong_kind(name, "a text", &other, &fix);
                None
            }
        }
    }

    /// A text that has to be there.
    pub(super) fn required(&mut self, name: &'static str, fix: &str) -> Option<String> {
        let problems = self.problems.len();
        let text = self.text(name);
        if text.is_none() && self.problems.len() == problems {
            self.problem(name, "is missing", fix);
        }
        text
    }

    /// A text that parses.
    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &'static str,
        text: Option<String>,
        fix: &str,
    ) -> Option<T> {
        let text = text?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, &format!("is {text:?}: {error}"), fix);
                None
            }
        }
    }

    /// `true` or `false`; `None` when absent.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            other => {
                let fix = format!("write {name}: true or {name}: false, without quotes");
                self.wrong_kind(name, "true or false", &other, &fix);
                None
            }
        }
    }

    /// A list of texts; an absent one is empty.
    pub(super) fn texts(&mut self, name: &'static str) -> Vec<String> {
        let items = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                let fix = format!("write {name}: [\"{}\"]", shown(&other));
                self.wrong_kind(name, "a list", &other, &fix);
                return Vec::new();
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) if !text.is_empty() => texts.push(text),
                other => {
                    let field = format!("{}[{index}]", self.field(name));
                    let rule = format!("must be a text, is {}", shown(&other));
                    self.problems
                        .push(Problem::new(field, rule, "put it in quotes, or remove it"));
                }
            }
        }
        texts
    }

    /// A duration such as `60s`, within bounds; `default` when absent.
    pub(super) fn duration(
        &mut self,
        name: &'static str,
        default: Duration,
        bounds: std::ops::RangeInclusive<Duration>,
    ) -> Duration {
        let example = format!("write for example {name}: {}", duration::text(default));
        let text = match self.take(name) {
            None => return default,
            Some(Value::String(text)) => text,
            Some(other) => {
                self.wrong_kind(name, "a duration with its unit", &other, &example);
                return default;
            }
        };
        let value = match duration::parse(&text) {
            Ok(value) => value,
            Err(reason) => {
                self.problem(name, &format!("is {text:?}: {reason}"), &example);
                return default;
            }
        };
        if !bounds.contains(&value) {
            let (least, most) = (duration::text(*bounds.start()), duration::text(*bounds.end()));
            self.problem(
                name,
                &format!("must be from {least} to {most}, is {text}"),
                &example,
            );
            return default;
        }
        value
    }

    /// One of a few words; the first is the default.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        match self.text(name) {
            Some(text) => self.one_of(name, &text, choices),
            None => choices.first().map(|(_, first)| *first),
        }
    }

    /// The choice that a text names.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        name: &str,
        text: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let all: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let fix = match nearest(text, all.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("choose one of {}", all.join(", ")),
        };
        let rule = format!("must be {}, is {text:?}", all.join(" or "));
        self.problem(name, &rule, &fix);
        None
    }

    /// Fields that may be there and mean nothing here.
    pub(super) fn skip(&mut self, names: &[&'static str]) {
        for name in names {
            self.take(name);
        }
    }

    /// Complains about a field.
    pub(super) fn problem(&mut self, name: &str, rule: &str, fix: &str) {
        let field = self.field(name);
        self.problems.push(Problem::new(field, rule, fix));
    }

    /// Complaints of this section and its unknown fields.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for name in self.fields.keys() {
            let field = self.field(name);
            let fix = match nearest(name, self.known.iter().copied()) {
                Some(near) => format!("did you mean {}?", self.field(near)),
                None if self.known.is_empty() => "remove it".to_owned(),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.problems.push(Problem::new(field, "is unknown", fix));
        }
        self.problems
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn wrong_kind(&mut self, name: &str, expected: &str, found: &Value, fix: &str) {
        self.problem(name, &format!("must be {expected}, is {}", shown(found)), fix);
    }

    fn field(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }
}

/// A value as a message shows it: short, and on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => text
            .chars()
            .take(64)
            .collect::<String>()
            .escape_debug()
            .to_string(),
        other => other.to_string(),
    }
}
