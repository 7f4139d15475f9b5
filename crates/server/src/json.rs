//! What JSON must be before it is looked at any closer: not too deep, every key once, and no integer too large.
//!
//! `serde_json` takes the last of two equal keys of a map, so two programs could read one body in two ways.

use std::{collections::HashSet, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// LIMIT: how deep objects and arrays may be nested in a body.
pub(crate) const LIMIT_DEPTH: u32 = 64;

/// Checks a whole document.
///
/// # Errors
/// It is not JSON, has a duplicate key, is nested too deep, or has an integer above [`i64::MAX`].
pub(crate) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()
}

#[derive(Clone, Copy)]
struct Strict {
    depth: u32,
}

impl Strict {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == LIMIT_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {LIMIT_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, integer: u64) -> Result<(), E> {
        // What the store holds, and what the document says of every integer.
        if integer > i64::MAX as u64 {
            return Err(E::custom(format_args!("an integer is larger than {}", i64::MAX)));
        }
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if let Some(key) = seen.replace(key) {
                return Err(de::Error::custom(format_args!("duplicate key `{key}`")));
            }
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_documents_pass() {
        for text in ["{}", "[1,-2,3.5,null,true,\"x\"]", r#"{"a":{"b":1},"b":1}"#] {
            check(text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":1,"\u0061":2}}]"#] {
            let error = check(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("duplicate key `a`"), "{error}");
        }
    }

    #[test]
    fn integers_have_64_bits_with_a_sign() {
        check(b"[9223372036854775807,-9223372036854775808]").unwrap();
        assert!(check(b"9223372036854775808").is_err());
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        check(nested(64).as_bytes()).unwrap();
        assert!(check(nested(65).as_bytes()).is_err());
        assert!(check("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "NaN", "{} {}", r#""\ud800""#, "1e999", "\u{0}"] {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
    }
}
