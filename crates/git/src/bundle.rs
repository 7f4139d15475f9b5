//! The head of a bundle, as `gitformat-bundle(5)` has it. It comes from a sandbox: every byte is suspect.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use crate::{GitError, head::is_id};

/// LIMIT: bytes of a head; ours has two lines.
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// Reads the head of `bundle`, leaves it where the pack begins, and returns the one commit that it is about.
pub(crate) fn tip(mut bundle: &File) -> Result<String, GitError> {
    let unreadable = |_err| bad("it cannot be read");
    let mut head = Vec::new();
    bundle.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    bundle.take(HEAD_BYTES_MAX).read_to_end(&mut head).map_err(unreadable)?;
    let end =
        head.windows(2).position(|two| two == b"\n\n").ok_or_else(|| bad("it is no bundle"))?;
    let tip = parse(&String::from_utf8_lossy(&head[..end]))?;
    bundle.seek(SeekFrom::Start(end as u64 + 2)).map_err(unreadable)?;
    Ok(tip)
}

fn parse(head: &str) -> Result<String, GitError> {
    let mut lines = head.lines();
    if !matches!(lines.next(), Some("# v2 git bundle" | "# v3 git bundle")) {
        return Err(bad("it is no bundle"));
    }
    let mut tips = Vec::new();
    for line in lines {
        if let Some(capability) = line.strip_prefix('@') {
            // A filter would leave objects out.
            if !capability.starts_with("object-format=") {
                return Err(bad("the bundle needs what is not known here"));
            }
        } else if !line.starts_with('-') {
            tips.push(line.split_once(' ').map_or(line, |(id, _name)| id));
        }
    }
    match tips.as_slice() {
        [tip] if is_id(tip) => Ok((*tip).to_owned()),
        _other => Err(bad("the bundle is not about one commit")),
    }
}

pub(crate) fn bad(reason: impl Into<String>) -> GitError {
    GitError::BadBundle { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_names_one_commit_and_nothing_else_is_taken() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let good = format!("# v2 git bundle\n-{id} base\n{id} HEAD");
        assert_eq!(parse(&good).unwrap(), id);
        assert!(parse(&format!("# v3 git bundle\n@object-format=sha1\n{id} HEAD")).is_ok());
        for wrong in [
            String::new(),
            "# v4 git bundle".to_owned(),
            "# v2 git bundle".to_owned(),
            "# v2 git bundle\n--upload-pack=x HEAD".to_owned(),
            "# v2 git bundle\n../../x HEAD".to_owned(),
            format!("# v2 git bundle\n{id} HEAD\n{id} refs/heads/x"),
            format!("# v3 git bundle\n@filter=blob:none\n{id} HEAD"),
        ] {
            assert!(matches!(parse(&wrong), Err(GitError::BadBundle { .. })), "{wrong}");
        }
    }
}
