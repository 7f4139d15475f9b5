//! Paths of a layer as bytes; the empty one is its top.

/// The directory that `path` is in; that of the top is the top.
pub(super) fn parent(path: &[u8]) -> &[u8] {
    &path[..cut(path).unwrap_or(0)]
}

/// The directory that `path` is in, and its name there; the name of the top is a dot.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match cut(path) {
        Some(cut) => (&path[..cut], &path[cut + 1..]),
        None if path.is_empty() => (b"", b"."),
        None => (b"", path),
    }
}

/// The directories above `path`, the top excluded, the deepest first.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(parent(path)), |above| Some(parent(above)))
        .take_while(|above| !above.is_empty())
}

fn cut(path: &[u8]) -> Option<usize> {
    path.iter().rposition(|byte| *byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_one_parent_and_the_top_is_its_own() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
        assert_eq!(split(b""), (&b""[..], &b"."[..]));
        assert_eq!(ancestors(b"a/b/c").collect::<Vec<_>>(), [&b"a/b"[..], b"a"]);
        assert_eq!(ancestors(b"a").count() + ancestors(b"").count(), 0);
    }
}
