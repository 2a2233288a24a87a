//! One value of a JSON document, found by its pointer (RFC 6901). A key that is there twice on the way makes the document
//! ambiguous: parsers differ in which one they take (RFC 8259, section 4), so neither is.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The value at the pointer; `None` where there is none. A pointer begins with a slash, or is empty for the whole document.
///
/// # Errors
///
/// The document is not JSON, or a key on the way is there twice.
pub(super) fn at(document: &[u8], pointer: &str) -> Result<Option<Value>, serde_json::Error> {
    let path: Vec<String> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let mut reader = serde_json::Deserializer::from_slice(document);
    let found = At(&path).deserialize(&mut reader)?;
    reader.end()?;
    Ok(found.filter(|_| pointer.is_empty() || pointer.starts_with('/')))
}

/// The kind of a value, in words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number out of range",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The rest of the way.
struct At<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(reader).map(Some);
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let Some((wanted, rest)) = self.0.split_first() else { return Ok(None) };
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != *wanted {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value_seed(At(rest))?).is_some() {
                return Err(M::Error::custom(format!("the key {key:?} is there twice")));
            }
        }
        Ok(found.flatten())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        let Some((wanted, rest)) = self.0.split_first() else { return Ok(None) };
        // RFC 6901, section 4: digits without a leading zero.
        let is_index = wanted == "0" || (!wanted.starts_with('0') && wanted.bytes().all(|b| b.is_ascii_digit()));
        let wanted: Option<usize> = wanted.parse().ok().filter(|_| is_index);
        let mut found = None;
        for place in 0_usize.. {
            let next = match wanted == Some(place) {
                true => list.next_element_seed(At(rest))?.map(|value| found = value),
                false => list.next_element::<IgnoredAny>()?.map(|_| ()),
            };
            if next.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_is_there_twice_on_the_way_is_an_error_and_elsewhere_it_is_not() {
        for (document, pointer, found) in [
            (r#"{"a": 1, "a": 2}"#, "/a", None),
            (r#"{"a": {"b": 1, "b": 1}}"#, "/a/b", None),
            (r#"{"a": 1, "\u0061": 2}"#, "/a", None),
            (r#"{"b": 1, "b": 2, "a": 3}"#, "/a", Some(json!(3))),
            (r#"{"a": {"c": {"b": 1, "b": 2}, "d": 4}}"#, "/a/d", Some(json!(4))),
        ] {
            let read = at(document.as_bytes(), pointer);
            assert_eq!(read.ok().flatten(), found, "{document}");
        }
        for broken in ["", "{", "{\"a\": 1} x", "{\"a\": 1,}", "[1, 2"] {
            assert!(at(broken.as_bytes(), "/a").is_err(), "{broken}");
        }
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from)];
        let leaf = prop_oneof![leaf, "[a-c~/]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c~/01]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// As serde_json's own pointer, which has no eyes for doubles.
        #[test]
        fn a_document_without_doubles_is_read_as_by_another(document in documents(), pointer in "(/([a-c]|~0|~1|[01]){0,2}){0,3}") {
            let read = at(document.to_string().as_bytes(), &pointer).expect("JSON");
            prop_assert_eq!(read.as_ref(), document.pointer(&pointer));
        }
    }
}
