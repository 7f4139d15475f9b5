//! Escapes of URLs and forms.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Everything but what RFC 3986 (2.3) leaves unreserved.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Escapes what may not stand in a segment of a path, or in a value of a query or a form.
#[must_use]
pub fn escaped(text: &[u8]) -> String {
    percent_encode(text, &RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unreserved_stays_and_everything_else_is_bytes() {
        assert_eq!(escaped(b"aZ09-._~"), "aZ09-._~");
        assert_eq!(escaped("a b/c%?&=ü\0".as_bytes()), "a%20b%2Fc%25%3F%26%3D%C3%BC%00");
    }
}
