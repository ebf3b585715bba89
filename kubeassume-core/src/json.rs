//! JSON from strangers: bounded, and without the ambiguity of a member that stands twice.
//!
//! RFC 8259 section 4 leaves duplicate members to the reader, so two readers may see two documents; RFC
//! 7517 section 4 and RFC 7519 section 4 require that they are refused (or the last one taken). We refuse.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read;

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
        parse(bytes, Whole)
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

/// Parses one whole document into a shape, with the limits and the errors of [`Json::parse`].
pub(crate) fn parse<'a, S: Shape<'a>>(bytes: &'a [u8], shape: S) -> Result<S::Value, serde_json::Error> {
    // One look at all bytes costs less than one at each string; bytes that are no text have an error
    // somewhere, and the slow way finds where.
    match std::str::from_utf8(bytes) {
        Ok(text) => read(serde_json::Deserializer::from_str(text), shape),
        Err(_) => read(serde_json::Deserializer::from_slice(bytes), shape),
    }
}

fn read<'a, S: Shape<'a>>(
    mut deserializer: serde_json::Deserializer<impl Read<'a>>,
    shape: S,
) -> Result<S::Value, serde_json::Error> {
    let depth = Depth(MAX_DEPTH);
    let value = Within { depth, shape }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// What becomes of a value. Arrays and objects can be taken apart while they are read, so that no more of
/// them is kept than somebody asks for; whatever is not kept is checked all the same.
pub(crate) trait Shape<'de>: Sized {
    type Value;

    /// Of a value that is not taken apart.
    fn whole(self, value: Json<'de>) -> Self::Value;

    /// Of an array.
    fn array<A: SeqAccess<'de>>(self, items: A, depth: Depth) -> Result<Self::Value, A::Error> {
        Ok(self.whole(Whole.array(items, depth)?))
    }

    /// Of an object.
    fn object<A: MapAccess<'de>>(self, members: A, depth: Depth) -> Result<Self::Value, A::Error> {
        Ok(self.whole(Whole.object(members, depth)?))
    }
}

/// A value as it is.
pub(crate) struct Whole;

impl<'de> Shape<'de> for Whole {
    type Value = Json<'de>;

    fn whole(self, value: Json<'de>) -> Json<'de> {
        value
    }

    fn array<A: SeqAccess<'de>>(self, mut items: A, depth: Depth) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(depth.inside(Self)?)? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn object<A: MapAccess<'de>>(self, mut members: A, depth: Depth) -> Result<Json<'de>, A::Error> {
        let mut object: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let mut names = Names::new(depth);
        while let Some(name) = names.next(&mut members)? {
            if object.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Names::twice(&name));
            }
            let value = members.next_value_seed(depth.inside(Self)?)?;
            object.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

/// The names of one object's members, while they are read.
pub(crate) struct Names<'de> {
    depth: Depth,
    count: usize,
    noted: Vec<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    pub(crate) fn new(depth: Depth) -> Self {
        Self {
            depth,
            count: 0,
            noted: Vec::new(),
        }
    }

    /// The next one. Whether it stands twice is for the caller to find, by its own means or by
    /// [`note`](Self::note).
    pub(crate) fn next<A: MapAccess<'de>>(
        &mut self,
        members: &mut A,
    ) -> Result<Option<Cow<'de, str>>, A::Error> {
        let Some(Json::Text(name)) = members.next_key_seed(self.depth.inside(Whole)?)? else {
            return Ok(None);
        };
        if self.count == MAX_MEMBERS {
            return Err(A::Error::custom(format_args!(
                "an object has more than {MAX_MEMBERS} members"
            )));
        }
        self.count += 1;
        Ok(Some(name))
    }

    /// Refuses a name that was noted before.
    pub(crate) fn note<E: serde::de::Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        if self.noted.contains(&name) {
            return Err(Self::twice(&name));
        }
        self.noted.push(name);
        Ok(())
    }

    pub(crate) fn twice<E: serde::de::Error>(name: &str) -> E {
        let shown: String = name.chars().take(64).collect();
        E::custom(format_args!("member {shown:?} stands twice"))
    }
}

/// How many levels may follow.
#[derive(Clone, Copy)]
pub(crate) struct Depth(u8);

impl Depth {
    /// The shape of a value one level further down.
    pub(crate) fn inside<S, E: serde::de::Error>(self, shape: S) -> Result<Within<S>, E> {
        match self.0.checked_sub(1) {
            Some(depth) => Ok(Within {
                depth: Self(depth),
                shape,
            }),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

/// A shape at its level.
pub(crate) struct Within<S> {
    depth: Depth,
    shape: S,
}

impl<'de, S: Shape<'de>> DeserializeSeed<'de> for Within<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: Shape<'de>> Visitor<'de> for Within<S> {
    type Value = S::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<S::Value, E> {
        Ok(self.shape.whole(Json::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<S::Value, E> {
        Ok(self.shape.whole(Json::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<S::Value, E> {
        Ok(self.shape.whole(Json::Integer(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<S::Value, E> {
        let number = i64::try_from(value).map_or(Json::Number(value as f64), Json::Integer);
        Ok(self.shape.whole(number))
    }

    fn visit_f64<E>(self, value: f64) -> Result<S::Value, E> {
        Ok(self.shape.whole(Json::Number(value)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<S::Value, E> {
        Ok(self.shape.whole(Json::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<S::Value, E> {
        Ok(self.shape.whole(Json::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<S::Value, A::Error> {
        self.shape.array(items, self.depth)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<S::Value, A::Error> {
        self.shape.object(members, self.depth)
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
