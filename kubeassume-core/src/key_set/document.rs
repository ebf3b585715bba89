//! A key set document as a stranger wrote it: the entries of `keys`, none of them judged on its own yet.

use serde::de::{MapAccess, SeqAccess};

use super::{Limits, Refusal};
use crate::json::{self, Depth, Json, Names, Shape, Whole};
use crate::jwk::{Entry, Members};

/// Reads a whole document. Not JSON comes before all else that it may be refused for, then private material,
/// then the number of keys.
pub(super) fn read(limits: Limits, bytes: &[u8]) -> Result<Vec<Members<'_>>, Refusal> {
    let most = limits.rsa.saturating_add(limits.ec).saturating_add(limits.other);
    let document = Document {
        limits,
        // Entries have some 250 bytes (EC) to 500 (RSA).
        likely: most.min(bytes.len() / 250),
    };
    let entries = json::parse(bytes, document).map_err(|e| Refusal::Malformed(e.to_string()))?;
    let entries = entries
        .ok_or_else(|| Refusal::Malformed("there is no array \"keys\" (RFC 7517 section 5)".to_owned()))?;
    if let Some(what) = entries.private {
        return Err(Refusal::PrivateMaterial(what));
    }
    if entries.rsa > limits.rsa || entries.ec > limits.ec || entries.other > limits.other {
        return Err(Refusal::TooManyKeys(limits));
    }
    Ok(entries.read)
}

/// The entries of `keys`, in order, as many as can be accepted: what is refused anyway takes no memory.
#[derive(Default)]
struct Entries<'j> {
    read: Vec<Members<'j>>,
    /// The first private or symmetric material.
    private: Option<&'static str>,
    rsa: usize,
    ec: usize,
    other: usize,
}

impl Entries<'_> {
    /// Counts the entry that was read last.
    fn count(&mut self, limits: Limits) {
        let Some(entry) = self.read.last() else { return };
        self.private = self.private.or(entry.private());
        let (count, limit) = match entry.kind() {
            Some("RSA") => (&mut self.rsa, limits.rsa),
            Some("EC") => (&mut self.ec, limits.ec),
            _ => (&mut self.other, limits.other),
        };
        *count += 1;
        if *count > limit {
            self.read.pop();
        }
    }
}

/// How the document is read. Without an array `keys` it is `None`.
#[derive(Clone, Copy)]
struct Document {
    limits: Limits,
    /// How many entries to make room for at once.
    likely: usize,
}

impl<'de> Shape<'de> for Document {
    type Value = Option<Entries<'de>>;

    fn whole(self, _: Json<'de>) -> Self::Value {
        None
    }

    fn object<A: MapAccess<'de>>(self, mut members: A, depth: Depth) -> Result<Self::Value, A::Error> {
        let mut entries = None;
        let mut names = Names::new(depth);
        while let Some(name) = names.next(&mut members)? {
            let is_keys = name == "keys";
            names.note(name)?;
            if is_keys {
                entries = members.next_value_seed(depth.inside(Keys(self))?)?;
            } else {
                members.next_value_seed(depth.inside(Whole)?)?;
            }
        }
        Ok(entries)
    }
}

/// How the value of `keys` is read.
struct Keys(Document);

impl<'de> Shape<'de> for Keys {
    type Value = Option<Entries<'de>>;

    fn whole(self, _: Json<'de>) -> Self::Value {
        None
    }

    fn array<A: SeqAccess<'de>>(self, mut items: A, depth: Depth) -> Result<Self::Value, A::Error> {
        let mut entries = Entries {
            read: Vec::with_capacity(self.0.likely),
            ..Entries::default()
        };
        loop {
            entries.read.push(Members::default());
            let Some(place) = entries.read.last_mut() else {
                break;
            };
            if items.next_element_seed(depth.inside(Entry(place))?)?.is_none() {
                entries.read.pop();
                break;
            }
            entries.count(self.0.limits);
        }
        Ok(Some(entries))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE_OF_EACH: Limits = Limits {
        rsa: 1,
        ec: 1,
        other: 1,
    };

    fn refusal(document: &str) -> Refusal {
        read(ONE_OF_EACH, document.as_bytes()).err().unwrap()
    }

    #[test]
    fn what_is_worse_is_said_first_wherever_it_stands() {
        let crowd = r#"{"kty":"RSA"},{"kty":"RSA"},{"kty":"RSA"}"#;
        let private = r#"{"kty":"RSA","k":"x","d":null}"#;
        let crowded = Refusal::TooManyKeys(ONE_OF_EACH);
        assert_eq!(refusal(&format!(r#"{{"keys":[{crowd}]}}"#)), crowded);
        // Beyond what is kept, too; and of several members the one that comes first in the list.
        let both = format!(r#"{{"keys":[{crowd},{private}]}}"#);
        assert_eq!(refusal(&both), Refusal::PrivateMaterial("d"));
        let all = format!(r#"{{"keys":[{private},{crowd}],"x":{{"a":1,"a":1}}}}"#);
        assert!(matches!(refusal(&all), Refusal::Malformed(message) if message.contains("stands twice")));
    }

    #[test]
    fn nothing_is_kept_of_what_is_refused_anyway() {
        let document = format!(r#"{{"keys":[{}0]}}"#, "{},".repeat(300_000));
        let limits = Limits::default();
        let shape = Document { limits, likely: 0 };
        let entries = json::parse(document.as_bytes(), shape).unwrap().unwrap();
        assert_eq!((entries.read.len(), entries.other), (limits.other, 300_001));
    }

    #[test]
    fn every_member_counts_as_one_whatever_is_done_with_it() {
        let members = |count: usize| {
            let unknown: Vec<String> = (2..count).map(|i| format!("\"m{i}\":0")).collect();
            format!(r#"{{"keys":[{{"kty":"RSA","n":"AQ",{}}}]}}"#, unknown.join(","))
        };
        assert!(read(ONE_OF_EACH, members(256).as_bytes()).is_ok());
        assert!(matches!(refusal(&members(257)), Refusal::Malformed(message) if message.contains("256")));
        for twice in [
            r#""n":"","n":"""#,
            r#""n":"","\u006e":null"#,
            r#""x5c":0,"x5c":0"#,
            r#""d":0,"d":0"#,
        ] {
            let document = format!(r#"{{"keys":[{{{twice}}}]}}"#);
            assert!(
                matches!(refusal(&document), Refusal::Malformed(message) if message.contains("stands twice"))
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

        /// Taking a document apart while it is read finds what reading it as a whole finds, with the same words.
        #[test]
        fn the_same_documents_are_malformed(
            text in r#"[\[\]{}",:0-9\\u\x80nkety ]{0,40}"#,
            around in prop::sample::select(vec!["$", r#"{"keys":$}"#, r#"{"keys":[$]}"#, r#"{"keys":[{$}]}"#, r#"{"x":[[$]]}"#]),
            byte in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut bytes = around.replace('$', &text).into_bytes();
            if let Some((at, byte)) = byte && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            match (Json::parse(&bytes), read(Limits::default(), &bytes)) {
                (Err(error), Err(refusal)) => prop_assert_eq!(Refusal::Malformed(error.to_string()), refusal),
                (Ok(json), read) => {
                    let has_keys = matches!(json.member("keys"), Some(Json::Array(_)));
                    prop_assert_eq!(has_keys, !matches!(read, Err(Refusal::Malformed(_))));
                }
                (Err(error), Ok(_)) => prop_assert!(false, "{}", error),
            }
        }
    }
}
