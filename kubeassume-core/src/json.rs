//! JSON from strangers: bounded, and without the ambiguity of a member that stands twice.
//!
//! RFC 8259 section 4 leaves duplicate members to the reader, so two readers may see two documents; RFC
//! 7517 section 4 and RFC 7519 section 4 require that they are refused (or the last one taken). We refuse.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The deepest nesting of arrays and objects.
const MAX_DEPTH: u8 = 16;
/// The most members of one object. Checking for duplicates is quadratic in it.
const MAX_MEMBERS: usize = 256;

/// A JSON value that borrows what it can.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Integer(i64),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Parses one whole document. The error says where and why, never more of the input than a member's
    /// name.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = Strict { depth: MAX_DEPTH }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    /// The member of an object.
    pub(crate) fn member(&self, name: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Strict {
    depth: u8,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth }),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(value).map_or(Json::Number(value as f64), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let mut object: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(Json::Text(name)) = members.next_key_seed(self.deeper()?)? {
            if object.len() == MAX_MEMBERS {
                return Err(A::Error::custom(format_args!(
                    "an object has more than {MAX_MEMBERS} members"
                )));
            }
            if object.iter().any(|(earlier, _)| *earlier == name) {
                let shown: String = name.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("member {shown:?} stands twice")));
            }
            let value = members.next_value_seed(self.deeper()?)?;
            object.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Json::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn reads_ordinary_documents() {
        let json = Json::parse(br#"{"a":["x",1,1.5,null,true],"\u0062":{"c":"\n"}}"#).unwrap();
        assert_eq!(json.member("b").unwrap().member("c").unwrap().text(), Some("\n"));
    }

    #[test]
    fn refuses_duplicates_at_any_level_also_when_escaped() {
        assert!(error(r#"{"a":1,"a":1}"#).contains("\"a\" stands twice"));
        assert!(error(r#"[{"x":{"a":1,"\u0061":1}}]"#).contains("stands twice"));
    }

    #[test]
    fn refuses_depth_size_and_rubbish() {
        assert!(error(&format!("{}{}", "[".repeat(100), "]".repeat(100))).contains("nested deeper"));
        let many: Vec<String> = (0..300).map(|i| format!("\"m{i}\":0")).collect();
        assert!(error(&format!("{{{}}}", many.join(","))).contains("more than 256"));
        for rubbish in ["", "{", "{}x", "{} {}", "nul", "\"\\ud800\"", "{1:2}", "[1,]"] {
            error(rubbish);
        }
        assert!(Json::parse(b"\"\xff\"").is_err());
    }
}
