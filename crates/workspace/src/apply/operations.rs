//! From changes to steps: what is one rename, and what the host has afterwards.

use std::collections::BTreeMap;

use sandbar_types::{Change, Entry, WorkspacePath};

use super::{
    Expected, Op,
    closure::Table,
    mode,
    tree::{Node, Tree},
};

pub(super) fn operations<'a>(
    table: &Table<'a>,
    chosen: &BTreeMap<&'a WorkspacePath, &'a Change>,
    umask: u32,
) -> (Vec<Op>, Vec<Expected>) {
    let mut ops = Vec::new();
    let mut modes = Vec::new();
    let mut approved = Vec::new();
    let mut swallowed: Option<&WorkspacePath> = None;
    for (path, change) in chosen.iter().map(|(path, change)| (*path, *change)) {
        let entry = host_entry(change, umask);
        approved.push(Expected {
            path: path.clone(),
            workspace: change.new.clone(),
            host: entry.clone(),
        });
        if swallowed.is_some_and(|top| path.is_within(top)) || entry == change.old {
            continue;
        }
        let path = path.clone();
        let old = change.old.clone().map(|top| old_tree(table, &path, top));
        match (old, entry) {
            (None, None) => {}
            (None, Some(top)) => {
                let new = new_tree(table, chosen, &path, top, umask);
                ops.push(Op::Create { path, new });
            }
            (Some(old), None) => ops.push(Op::Delete { path, old }),
            (Some(old), Some(top)) => {
                // What is inside a directory that stays is a step of its own.
                if let (Entry::Directory { mode: old }, Entry::Directory { mode: new }) =
                    (&old.entry, &top)
                {
                    modes.push(Op::Mode { path, old: *old, new: *new });
                    continue;
                }
                let new = new_tree(table, chosen, &path, top, umask);
                ops.push(Op::Replace { path, old, new });
            }
        }
        swallowed = Some(&change.path);
    }
    // The bits of directories last, the deepest first: what is below must stay within reach until it is done.
    ops.extend(modes.into_iter().rev());
    (ops, approved)
}

fn old_tree(table: &Table<'_>, path: &WorkspacePath, top: Entry) -> Tree {
    if !matches!(top, Entry::Directory { .. }) {
        return Tree::leaf(top);
    }
    let below = table.within(path).filter_map(|change| {
        let entry = change.old.clone()?;
        Some(Node { path: relative(&change.path, path)?, entry })
    });
    Tree { entry: top, below: below.collect() }
}

fn new_tree<'a>(
    table: &Table<'a>,
    chosen: &BTreeMap<&'a WorkspacePath, &'a Change>,
    path: &WorkspacePath,
    top: Entry,
    umask: u32,
) -> Tree {
    if !matches!(top, Entry::Directory { .. }) {
        return Tree::leaf(top);
    }
    let below = table.within(path).filter(|change| chosen.contains_key(&change.path)).filter_map(
        |change| {
            let entry = host_entry(change, umask)?;
            Some(Node { path: relative(&change.path, path)?, entry })
        },
    );
    Tree { entry: top, below: below.collect() }
}

/// The part of `path` below `top`; `None` for `top` itself.
fn relative(path: &WorkspacePath, top: &WorkspacePath) -> Option<WorkspacePath> {
    let rest = path.as_bytes().get(top.as_bytes().len() + 1..)?;
    WorkspacePath::parse(rest).ok()
}

/// What the host has at a path once its change is applied: the workspace's content, the host's rules for modes.
fn host_entry(change: &Change, umask: u32) -> Option<Entry> {
    let new = change.new.clone()?;
    Some(match (new, &change.old) {
        (Entry::File { size, mode, sha256 }, old) => Entry::File {
            size,
            mode: match old {
                Some(Entry::File { mode: host, .. }) => mode::of_existing_file(*host, mode),
                None
                | Some(Entry::Directory { .. } | Entry::Symlink { .. } | Entry::Special { .. }) => {
                    mode::of_new_file(mode, umask)
                }
            },
            sha256,
        },
        (Entry::Directory { mode }, Some(Entry::Directory { mode: host })) => {
            Entry::Directory { mode: mode::of_existing_directory(*host, mode) }
        }
        (Entry::Directory { .. }, _) => Entry::Directory { mode: mode::of_new_directory(umask) },
        (link @ Entry::Symlink { .. }, _) => link,
        (special @ Entry::Special { .. }, _) => special,
    })
}
