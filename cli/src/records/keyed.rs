//! A JSON object one of whose fields is the key, looked through without being kept.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Most brackets and braces of a record inside of each other: who reads it back with a recursive
/// parser must not run out of stack.
pub(crate) const JSON_DEPTH_MAX: usize = 64;

/// The key of a record, or what is wrong with it.
pub(super) fn key(line: &[u8], field: &str) -> Result<Bytes, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("is no UTF-8 from byte {} on", error.valid_up_to() + 1))?;
    if depth(line) > JSON_DEPTH_MAX {
        return Err(format!("is nested deeper than {JSON_DEPTH_MAX} levels"));
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let found = Object(field).deserialize(&mut parser);
    match found.and_then(|found| parser.end().map(|()| found)) {
        Ok(Found::NoObject) => Err("is no JSON object".to_owned()),
        Ok(Found::Keys { count: 0, .. }) => {
            Err(format!("has no field '{field}', which is the key"))
        }
        Ok(Found::Keys { count: 1, last }) => match last {
            Value::String(key) if key.is_empty() => Err(format!("has an empty '{field}'")),
            Value::String(key) => Ok(key.into()),
            Value::Number(number) => Ok(number.to_string().into()),
            _ => Err(format!("has a '{field}' that is no text and no number")),
        },
        Ok(Found::Keys { .. }) => Err(format!("has '{field}' more than once")),
        Err(error) => Err(format!("is no JSON: {error}")),
    }
}

/// How many brackets and braces are open at most.
pub(super) fn depth(json: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

enum Found {
    NoObject,
    /// How often the field is there, and what it holds.
    Keys {
        count: usize,
        last: Value,
    },
}

/// Looks for a field in an object.
struct Object<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Found, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Found, A::Error> {
        let (mut count, mut last) = (0, Value::Null);
        while let Some(is_key) = fields.next_key_seed(Is(self.0))? {
            if is_key {
                count += 1;
                last = fields.next_value()?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Found::Keys { count, last })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::NoObject)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::NoObject)
    }
}

/// Whether a field's name is this one.
struct Is<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// Whether a text is one JSON document of the type.
pub(super) fn parse<'de, T: Deserialize<'de>>(line: &'de [u8]) -> Result<T, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("is no UTF-8 from byte {} on", error.valid_up_to() + 1))?;
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        key(line.as_bytes(), "k").expect_err("it is bad")
    }

    #[test]
    fn the_key_is_found_and_all_else_is_looked_through() {
        let line = br#"{"a":{"k":"inner"},"b":["k",{"k":1}],"k":"outer","c":"}]"}"#;
        assert_eq!(key(line, "k").expect("good"), "outer");
        assert_eq!(key(br#"{"\u006b":7}"#, "k").expect("good"), "7");
        assert_eq!(key(br#"{"k":1.5}"#, "k").expect("good"), "1.5");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(told("{\"k\":").contains("is no JSON: EOF"));
        assert!(told("{\"k\":1} x").contains("is no JSON: trailing"));
        assert!(told("[1]").contains("no JSON object"));
        assert!(told("17").contains("no JSON object"));
        assert!(told("{\"x\":1}").contains("no field 'k'"));
        assert!(told("{\"k\":1,\"k\":2}").contains("'k' more than once"));
        assert!(told("{\"k\":[]}").contains("no text and no number"));
        assert!(key(b"{\"k\":\"\xff\"}", "k").is_err_and(|told| told.contains("from byte 7")));
    }

    #[test]
    fn a_record_may_be_so_deep_and_no_deeper() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            format!("{{\"text\":\"[[[\\\"{{\",\"x\":{open}{close},\"k\":1}}")
        };
        assert_eq!(
            depth(nested(5).as_bytes()),
            5,
            "brackets in texts count not"
        );
        key(nested(JSON_DEPTH_MAX).as_bytes(), "k").expect("as deep as may be");
        assert!(told(&nested(JSON_DEPTH_MAX + 1)).contains("deeper than 64"));
        assert!(told(&nested(400_000)).contains("deeper than 64"));
    }
}
