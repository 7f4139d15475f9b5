//! Integers in the document and in bodies: each as large as 64 bits with a sign hold, and `2.0` is one as `2` is.

use std::borrow::Cow;

use utoipa::{
    Number,
    openapi::{
        Object, RefOr, Schema, SchemaFormat,
        schema::{AdditionalProperties, ArrayItems, KnownFormat},
    },
};

/// Says of every unsigned integer below `schema` how large it may be: the format alone is that of a signed one.
pub(crate) fn bound(schema: &mut RefOr<Schema>) {
    if let RefOr::T(schema) = schema {
        bound_schema(schema);
    }
}

fn bound_schema(schema: &mut Schema) {
    match schema {
        Schema::Object(object) => bound_object(object),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                bound(items);
            }
            array.prefix_items.iter_mut().for_each(bound_schema);
            // A set takes what is said twice.
            array.unique_items = false;
        }
        Schema::OneOf(parts) => parts.items.iter_mut().for_each(bound),
        Schema::AllOf(parts) => parts.items.iter_mut().for_each(bound),
        Schema::AnyOf(parts) => parts.items.iter_mut().for_each(bound),
        // The type is open; the document has no other kind, and a test of the document would show one.
        _ => {}
    }
}

fn bound_object(object: &mut Object) {
    object.properties.values_mut().for_each(bound);
    if let Some(AdditionalProperties::RefOr(values)) = object.additional_properties.as_deref_mut() {
        bound(values);
    }
    if object.minimum.is_none() || object.maximum.is_some() {
        return;
    }
    let most = match object.format {
        Some(SchemaFormat::KnownFormat(KnownFormat::Int32)) => {
            usize::try_from(u32::MAX).unwrap_or(usize::MAX)
        }
        Some(SchemaFormat::KnownFormat(KnownFormat::Int64)) => {
            usize::try_from(i64::MAX).unwrap_or(usize::MAX)
        }
        Some(SchemaFormat::KnownFormat(_) | SchemaFormat::Custom(_)) | None => return,
    };
    object.format = Some(SchemaFormat::KnownFormat(KnownFormat::Int64));
    object.maximum = Some(Number::UInt(most));
}

/// Writes each number that is an integer as one: to JSON Schema `2.0` and `2e0` are `2`, to serde they are not.
///
/// What is no JSON stays as it is.
pub(crate) fn plain(body: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = end_of_text(body, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(body, at);
                if let Some(integer) = integer(&body[at..end]) {
                    out.extend_from_slice(&body[copied..at]);
                    out.extend_from_slice(integer.as_bytes());
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(body);
    }
    out.extend_from_slice(&body[copied..]);
    Cow::Owned(out)
}

/// Where the text ends whose quote stands before `at`.
fn end_of_text(body: &[u8], mut at: usize) -> usize {
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    body.len()
}

fn end_of_number(body: &[u8], at: usize) -> usize {
    let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    body[at..].iter().position(|b| !is_part(b)).map_or(body.len(), |length| at + length)
}

/// The integer that a number with a fraction or an exponent is, where a double holds it exactly.
fn integer(number: &[u8]) -> Option<String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        return None;
    }
    let value: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    // `+ 0.0`: zero has no sign.
    (value.fract() == 0.0 && value.abs() <= EXACT).then(|| format!("{:.0}", value + 0.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain_text(text: &str) -> String {
        String::from_utf8(plain(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn integers_are_written_as_such_and_nothing_else_is_touched() {
        for (given, expected) in [
            (r#"{"port": 29074.0}"#, r#"{"port": 29074}"#),
            ("[1e3,-2.0,-0.0,0.5,1E2]", "[1000,-2,0,0.5,100]"),
            (r#"["1.0","\"2.0",3.0]"#, r#"["1.0","\"2.0",3]"#),
            ("18446744073709551615", "18446744073709551615"),
            ("1e300", "1e300"),
            ("\"1.0", "\"1.0"),
            ("\"\\", "\"\\"),
            ("1.0.0", "1.0.0"),
        ] {
            assert_eq!(plain_text(given), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_the_same(
            numbers in prop::collection::vec(any::<i32>(), 0..8),
            texts in prop::collection::vec(any::<String>(), 0..8),
            // Of a power of two: one that is written and read again is the same.
            part in 1u16..1024,
        ) {
            let fraction = f64::from(part) / 1024.0;
            let floats: Vec<f64> = numbers.iter().map(|number| f64::from(*number)).collect();
            let given = serde_json::json!([floats, texts, fraction]).to_string();
            let read: serde_json::Value = serde_json::from_slice(&plain(given.as_bytes())).unwrap();
            prop_assert_eq!(read, serde_json::json!([numbers, texts, fraction]));
        }

        #[test]
        fn no_body_is_too_strange(body in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(plain(&body));
        }
    }
}
