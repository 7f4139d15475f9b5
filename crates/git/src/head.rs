//! The commit that a directory's repository is at, by a few small files: no process, no lock, no error.

use std::path::Path;

use crate::repository::{self, bounded, small};

/// LIMIT: bytes of packed branches that are read; with more, there is no answer.
const PACKED_REFS_MAX: u64 = 4 << 20;
/// LIMIT: symbolic names on the way to a commit.
const DEPTH_MAX: usize = 5;

/// Returns the id of the commit that `HEAD` is, of the repository that `dir` is in.
///
/// `None` where there is no repository or no commit yet, and where the answer would take more than a glance (names in
/// another format, very many of them): this is for a merge that can do without it.
#[must_use]
pub fn head_commit(dir: &Path) -> Option<String> {
    let repository = repository::discover(dir)?;
    let mut said = small(&repository.git_dir.join("HEAD")).ok()?;
    for _step in 0..DEPTH_MAX {
        let Some(name) = said.strip_prefix("ref:").map(|name| name.trim().to_owned()) else {
            return is_id(&said).then_some(said);
        };
        if !is_name(&name) {
            return None;
        }
        let loose = [&repository.git_dir, &repository.common_dir]
            .into_iter()
            .find_map(|dir| small(&dir.join(&name)).ok());
        match loose {
            Some(found) => said = found,
            None => return packed(&repository.common_dir.join("packed-refs"), &name),
        }
    }
    None
}

fn packed(path: &Path, name: &str) -> Option<String> {
    let listed = String::from_utf8(bounded(path, PACKED_REFS_MAX).ok()?).ok()?;
    let found = listed.lines().filter_map(|line| line.split_once(' ')).find(|(_, n)| *n == name);
    found.map(|(id, _)| id.to_owned()).filter(|id| is_id(id))
}

/// A name that stays in the repository.
fn is_name(name: &str) -> bool {
    name.starts_with("refs/") && name.split('/').all(|part| !part.is_empty() && part != "..")
}

pub(crate) fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn repository(head: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for below in [".git/objects", ".git/refs/heads/a", "sub/dir"] {
            fs::create_dir_all(dir.path().join(below)).unwrap();
        }
        fs::write(dir.path().join(".git/HEAD"), head).unwrap();
        dir
    }

    #[test]
    fn a_commit_is_found_loose_packed_and_detached_and_from_below_the_top() {
        let dir = repository("ref: refs/heads/a/b\n");
        assert_eq!(head_commit(dir.path()), None, "no commit yet");
        let packed = format!(
            "# pack-refs with: peeled\n{} refs/heads/a\n{ID} refs/heads/a/b\n^{ID}\n",
            ID.replace('0', "f")
        );
        fs::write(dir.path().join(".git/packed-refs"), packed).unwrap();
        assert_eq!(head_commit(&dir.path().join("sub/dir")).as_deref(), Some(ID));
        let loose = ID.replace('0', "e");
        fs::write(dir.path().join(".git/refs/heads/a/b"), format!("{loose}\n")).unwrap();
        assert_eq!(head_commit(dir.path()), Some(loose));
        fs::write(dir.path().join(".git/HEAD"), format!("{ID}\n")).unwrap();
        assert_eq!(head_commit(dir.path()).as_deref(), Some(ID));
    }

    #[test]
    fn what_is_odd_has_no_commit() {
        for head in
            ["", "ref: ../../etc/passwd", "ref: refs/../x", "ref: refs/heads/.invalid", "xyz"]
        {
            assert_eq!(head_commit(repository(head).path()), None, "{head}");
        }
        let looping = repository("ref: refs/heads/l\n");
        fs::write(looping.path().join(".git/refs/heads/l"), "ref: refs/heads/l\n").unwrap();
        assert_eq!(head_commit(looping.path()), None);
        assert_eq!(head_commit(tempfile::tempdir().unwrap().path()), None);
    }

    #[test]
    fn a_linked_worktree_has_a_head_of_its_own_and_shares_its_branches() {
        let main = repository("ref: refs/heads/a/m\n");
        let own = main.path().join(".git/worktrees/w");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("HEAD"), "ref: refs/heads/a/w\n").unwrap();
        fs::write(own.join("commondir"), "../..\n").unwrap();
        fs::write(main.path().join(".git/refs/heads/a/w"), ID).unwrap();
        let linked = tempfile::tempdir().unwrap();
        fs::write(linked.path().join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        assert_eq!(head_commit(linked.path()).as_deref(), Some(ID));
    }
}
