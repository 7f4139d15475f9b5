//! Names in the headings of a patch, as git writes them: plain, or in C's quotes.

/// One name; what diff writes after a tab is a date.
pub(super) fn name(text: &[u8]) -> Option<Vec<u8>> {
    if text.first() == Some(&b'"') {
        let (name, rest) = unquoted(text)?;
        return (rest.is_empty() || rest.starts_with(b"\t")).then_some(name);
    }
    let end = text.iter().position(|byte| *byte == b'\t').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_vec())
}

/// The path in `a/x b/x`, where both sides name the same.
pub(super) fn both(text: &[u8]) -> Option<Vec<u8>> {
    if text.first() == Some(&b'"') {
        let (old, rest) = unquoted(text)?;
        let new = name(rest.strip_prefix(b" ")?)?;
        let old = old.strip_prefix(b"a/")?;
        return (Some(old) == new.strip_prefix(b"b/")).then(|| old.to_vec());
    }
    // Blanks are not quoted, so the middle is where both halves are the same.
    let half = text.len().checked_sub(1)? / 2;
    let (old, new) = (text.get(..half)?.strip_prefix(b"a/")?, text.get(half + 1..)?);
    (text.get(half) == Some(&b' ') && Some(old) == new.strip_prefix(b"b/")).then(|| old.to_vec())
}

fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut out = Vec::new();
    loop {
        let (byte, tail) = rest.split_first()?;
        rest = tail;
        match byte {
            b'"' => return Some((out, rest)),
            b'\\' => {
                let (code, tail) = rest.split_first()?;
                rest = tail;
                out.push(match code {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'"' | b'\\' => *code,
                    b'0'..=b'3' => {
                        let (more, tail) = rest.split_at_checked(2)?;
                        rest = tail;
                        let digit = |byte: u8| byte.checked_sub(b'0').filter(|digit| *digit < 8);
                        (digit(*code)? << 6) | (digit(more[0])? << 3) | digit(more[1])?
                    }
                    _ => return None,
                });
            }
            byte => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_git_writes_them() {
        assert_eq!(name(b"a/x y\t2026-01-01"), Some(b"a/x y".to_vec()));
        assert_eq!(name(br#""a/\303\244\"\n""#), Some("a/ä\"\n".as_bytes().to_vec()));
        assert_eq!(both(b"a/x b/x b/x b/x"), Some(b"x b/x".to_vec()));
        assert_eq!(both(br#""a/\377" "b/\377""#), Some(b"\xff".to_vec()));
        for wrong in [&b"a/x b/y"[..], b"", b"\"a/x", b"a/x"] {
            assert_eq!(both(wrong), None);
        }
    }
}
