//! Names in a diff, as git quotes them.

/// A name with its prefix, quoted where `core.quotePath` quotes it, and where a directory's name ends in a space: git
/// 2.39 looks for the end of an unquoted name in `diff --git` at each space, and gives up at one before a slash.
pub(super) struct Quoted {
    pub(super) bytes: Vec<u8>,
    is_plain: bool,
}

impl Quoted {
    pub(super) fn new(prefix: &str, path: &[u8]) -> Self {
        let is_plain =
            !path.iter().any(|byte| needs_quote(*byte)) && !path.windows(2).any(|two| two == b" /");
        let mut bytes = Vec::with_capacity(prefix.len() + path.len() + 2);
        if is_plain {
            bytes.extend_from_slice(prefix.as_bytes());
            bytes.extend_from_slice(path);
            return Self { bytes, is_plain };
        }
        bytes.push(b'"');
        bytes.extend_from_slice(prefix.as_bytes());
        path.iter().for_each(|byte| push_quoted(&mut bytes, *byte));
        bytes.push(b'"');
        Self { bytes, is_plain }
    }

    /// What follows the name on a `---` or `+++` line: a name that holds a space ends with a tab, or what reads the
    /// diff would take what follows the space for a date.
    pub(super) fn terminator(&self) -> &'static [u8] {
        if self.is_plain && self.bytes.contains(&b' ') { b"\t" } else { b"" }
    }
}

fn needs_quote(byte: u8) -> bool {
    !(0x20..0x7f).contains(&byte) || byte == b'"' || byte == b'\\'
}

fn push_quoted(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        0x07 => b'a',
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0b => b'v',
        0x0c => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        _ if !needs_quote(byte) => {
            out.push(byte);
            return;
        }
        _ => {
            out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        for (name, expected) in [
            (&b"plain name"[..], &b"a/plain name"[..]),
            (b"tab\t", b"\"a/tab\\t\""),
            (b"q\"b\\", b"\"a/q\\\"b\\\\\""),
            (b"\xc3\xa9", b"\"a/\\303\\251\""),
            (b"\x01\x7f", b"\"a/\\001\\177\""),
            (b"end /of a directory", b"\"a/end /of a directory\""),
            (b"end ", b"a/end "),
        ] {
            assert_eq!(Quoted::new("a/", name).bytes, expected);
        }
    }
}
