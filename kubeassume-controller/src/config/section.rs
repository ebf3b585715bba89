//! Reading a configuration field by field, so that every complaint names its field, its rule and the fix.
//!
//! Whoever asks for a field says what it means. So the parser is the schema: the reference is what it asked
//! for when it read nothing (see [`reference`](super::reference)).

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::duration;
use super::error::Problem;
use super::nearest::nearest;

/// A mapping of the configuration. What was read from it is known; what is left at the end is not.
pub(super) struct Section {
    path: String,
    about: &'static str,
    fields: Map<String, Value>,
    known: Vec<Field>,
    problems: Vec<Problem>,
}

/// A field that was asked for.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) absent: Absent,
    pub(super) about: &'static str,
}

/// What may stand in a field.
pub(super) enum Kind {
    Mapping,
    Mappings,
    Text,
    Texts,
    Flag,
    /// From, to.
    Duration(Duration, Duration),
    Choice(Vec<&'static str>),
}

/// What the absence of a field means.
pub(super) enum Absent {
    /// It has to be there.
    Refused,
    /// What its description says.
    Unset,
    /// The same as this.
    Is(String),
}

/// What reading has brought to light, section by section.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    /// Path, description and fields of each section.
    pub(super) sections: Vec<(String, &'static str, Vec<Field>)>,
}

impl Section {
    /// The whole document.
    pub(super) fn root(value: Value, about: &'static str) -> Self {
        let mut root = Self::new(String::new(), about, Map::new());
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

    fn new(path: String, about: &'static str, fields: Map<String, Value>) -> Self {
        Self {
            path,
            about,
            fields,
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The mapping in a field; an absent one is empty.
    pub(super) fn section(&mut self, name: &'static str, about: &'static str) -> Self {
        let path = self.field(name);
        let fields = match self.take(name, Kind::Mapping, Absent::Unset, about) {
            None => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(other) => {
                self.wrong_kind(name, "a mapping of fields", &other, "indent its fields below it");
                Map::new()
            }
        };
        Self::new(path, about, fields)
    }

    /// The mappings in a list; an absent one is empty, and `None` one that is no list of mappings.
    pub(super) fn sections(&mut self, name: &'static str, about: &'static str) -> Option<Vec<Self>> {
        const FIX: &str = "begin each entry with `- type: …`";
        let items = match self.take(name, Kind::Mappings, Absent::Unset, about) {
            None => return Some(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.wrong_kind(name, "a list of mappings", &other, FIX);
                return None;
            }
        };
        let problems = self.problems.len();
        let mut sections = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.field(name));
            match item {
                Value::Object(fields) => sections.push(Self::new(path, "", fields)),
                other => {
                    let rule = format!("must be a mapping of fields, is {}", shown(&other));
                    self.problems.push(Problem::new(path, rule, FIX));
                }
            }
        }
        (self.problems.len() == problems).then_some(sections)
    }

    /// Whether a field is there, for those of which only one may be. An empty text counts as absent.
    pub(super) fn has(&self, name: &str) -> bool {
        !matches!(self.fields.get(name), None | Some(Value::Null)) && {
            self.fields.get(name).and_then(Value::as_str) != Some("")
        }
    }

    /// A text; `None` when absent or empty.
    pub(super) fn text(&mut self, name: &'static str, about: &'static str) -> Option<String> {
        self.read_text(name, Kind::Text, Absent::Unset, about)
    }

    /// A text with a default.
    pub(super) fn text_or(&mut self, name: &'static str, default: &str, about: &'static str) -> String {
        self.read_text(name, Kind::Text, Absent::Is(default.to_owned()), about)
            .unwrap_or_else(|| default.to_owned())
    }

    /// A text that has to be there.
    pub(super) fn required(&mut self, name: &'static str, fix: &str, about: &'static str) -> Option<String> {
        self.read_required(name, Kind::Text, fix, about)
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
    pub(super) fn flag(&mut self, name: &'static str, about: &'static str) -> Option<bool> {
        self.read_flag(name, Absent::Unset, about)
    }

    /// `true` or `false`, with a default.
    pub(super) fn flag_or(&mut self, name: &'static str, default: bool, about: &'static str) -> bool {
        self.read_flag(name, Absent::Is(default.to_string()), about)
            .unwrap_or(default)
    }

    /// A list of texts; an absent one is empty.
    pub(super) fn texts(&mut self, name: &'static str, about: &'static str) -> Vec<String> {
        let items = match self.take(name, Kind::Texts, Absent::Is("[]".to_owned()), about) {
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
        about: &'static str,
    ) -> Duration {
        let example = format!("write for example {name}: {}", duration::text(default));
        let kind = Kind::Duration(*bounds.start(), *bounds.end());
        let text = match self.take(name, kind, Absent::Is(duration::text(default)), about) {
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
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
        about: &'static str,
    ) -> Option<T> {
        let words = words(choices);
        let default = words.first().copied().unwrap_or_default();
        let absent = Absent::Is(default.to_owned());
        let text = self.read_text(name, Kind::Choice(words), absent, about);
        self.one_of(name, text.as_deref().unwrap_or(default), choices)
    }

    /// One of a few words, which has to be there.
    pub(super) fn required_choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
        about: &'static str,
    ) -> Option<T> {
        let words = words(choices);
        let examples: Vec<String> = words.iter().map(|word| format!("{name}: {word}")).collect();
        let fix = format!("write {}", examples.join(" or "));
        let text = self.read_required(name, Kind::Choice(words), &fix, about)?;
        self.one_of(name, &text, choices)
    }

    /// A word out of a few; `None` when absent or empty.
    pub(super) fn optional_choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
        about: &'static str,
    ) -> Option<T> {
        let text = self.read_text(name, Kind::Choice(words(choices)), Absent::Unset, about)?;
        self.one_of(name, &text, choices)
    }

    fn one_of<T: Copy>(&mut self, name: &str, text: &str, choices: &[(&'static str, T)]) -> Option<T> {
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let all = words(choices);
        let fix = match nearest(text, all.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("choose one of {}", all.join(", ")),
        };
        let rule = format!("must be {}, is {text:?}", all.join(" or "));
        self.problem(name, &rule, &fix);
        None
    }

    /// Forgives what stands in its fields, because it means nothing; an unknown field remains one.
    pub(super) fn unused(&mut self) {
        self.problems.clear();
    }

    /// A section that is not read, because another one counts; it has no unknown fields then.
    pub(super) fn skipped(mut self) -> Self {
        self.fields.clear();
        self
    }

    /// Complains about a field.
    pub(super) fn problem(&mut self, name: &str, rule: &str, fix: &str) {
        let field = self.field(name);
        self.problems.push(Problem::new(field, rule, fix));
    }

    /// Hands over complaints, unknown fields among them, and what was asked for.
    pub(super) fn finish(mut self, findings: &mut Findings) {
        let known: Vec<&str> = self.known.iter().map(|field| field.name).collect();
        for name in self.fields.keys() {
            let field = self.field(name);
            let fix = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {}?", self.field(near)),
                None => format!("known here: {}", known.join(", ")),
            };
            self.problems.push(Problem::new(field, "is unknown", fix));
        }
        findings.problems.append(&mut self.problems);
        findings.sections.push((self.path, self.about, self.known));
    }

    fn read_text(
        &mut self,
        name: &'static str,
        kind: Kind,
        absent: Absent,
        about: &'static str,
    ) -> Option<String> {
        match self.take(name, kind, absent, about)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text),
            other => {
                let fix = format!("put it in quotes: {name}: \"{}\"", shown(&other));
                self.wrong_kind(name, "a text", &other, &fix);
                None
            }
        }
    }

    fn read_required(
        &mut self,
        name: &'static str,
        kind: Kind,
        fix: &str,
        about: &'static str,
    ) -> Option<String> {
        let problems = self.problems.len();
        let text = self.read_text(name, kind, Absent::Refused, about);
        if text.is_none() && self.problems.len() == problems {
            self.problem(name, "is missing", fix);
        }
        text
    }

    fn read_flag(&mut self, name: &'static str, absent: Absent, about: &'static str) -> Option<bool> {
        match self.take(name, Kind::Flag, absent, about)? {
            Value::Bool(flag) => Some(flag),
            other => {
                let fix = format!("write {name}: true or {name}: false, without quotes");
                self.wrong_kind(name, "true or false", &other, &fix);
                None
            }
        }
    }

    fn take(&mut self, name: &'static str, kind: Kind, absent: Absent, about: &'static str) -> Option<Value> {
        self.known.push(Field {
            name,
            kind,
            absent,
            about,
        });
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

fn words<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(word, _)| *word).collect()
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
