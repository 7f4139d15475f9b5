//! Checkpoints over a real overlay: nothing is left out, nothing old changes, and the way back is exact.

use std::{
    collections::BTreeMap,
    fs,
    io::{Seek, SeekFrom, Write},
    os::{
        fd::AsFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
            net::UnixListener,
        },
    },
    path::Path,
};

use proptest::{collection::vec, prelude::*, sample::select};
use sandbar_types::WorkspacePath;
use sandbar_workspace::{
    ChangeLimits, OverlayMarks, changes_between,
    checkpoint::{Deed, Log, RevertError, RevertPlan, bring, hand_over, make_durable, revert},
};

use crate::{
    fidelity::snapshot,
    overlay::{Assembled, Overlay, Taken, path, paths},
};

fn fill(source: &Path) {
    for dir in ["a", "a/deep", "b"] {
        fs::create_dir_all(source.join(dir)).unwrap();
    }
    for file in ["a/one", "a/deep/two", "b/three", "top", "other"] {
        let lines: String = (0..20).map(|line| format!("{file} {line}\n")).collect();
        fs::write(source.join(file), lines).unwrap();
    }
    symlink("top", source.join("link")).unwrap();
}

/// Everything of a layer on disk that a checkpoint has to hold.
fn raw(layer: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut pending = vec![layer.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for full in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            let meta = fs::symlink_metadata(&full).unwrap();
            let path = full.strip_prefix(layer).unwrap().display().to_string();
            let content = if meta.is_dir() {
                pending.push(full.clone());
                String::new()
            } else if meta.is_symlink() {
                fs::read_link(&full).unwrap().display().to_string()
            } else if meta.is_file() {
                format!("{:?}", fs::read(&full).unwrap())
            } else {
                format!("device {}", meta.rdev())
            };
            let is_whiteout = meta.file_type().is_char_device();
            let dress = if is_whiteout {
                String::new()
            } else {
                let time = (meta.mtime(), meta.mtime_nsec());
                format!(
                    "{:o} {}:{} {time:?} {}",
                    meta.mode(),
                    meta.uid(),
                    meta.gid(),
                    xattrs(&full)
                )
            };
            found.insert(path.clone(), format!("{content} {dress}"));
            if meta.is_file() {
                names
                    .entry(meta.ino())
                    .and_modify(|all| *all = format!("{all} {path}"))
                    .or_insert(path);
            }
        }
    }
    for all in names.into_values().filter(|all| all.contains(' ')) {
        let mut all: Vec<_> = all.split(' ').collect();
        all.sort_unstable();
        found.insert(format!("names of one: {all:?}"), String::new());
    }
    found
}

fn xattrs(path: &Path) -> String {
    let mut list = vec![0; 4096];
    let len = rustix::fs::llistxattr(path, list.as_mut_slice()).unwrap();
    let mut shown: Vec<_> = list[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 4096];
            let len = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap();
            format!("{}={:?}", String::from_utf8_lossy(name), &value[..len])
        })
        .collect();
    shown.sort_unstable();
    shown.join(",")
}

/// Brings the workspace to `to`.
fn restore(overlay: &Overlay, to: &Taken) {
    let (to, now, limits) = (to.point(), overlay.point(), ChangeLimits::default());
    let set = changes_between(to, now, overlay.marks(), &limits).unwrap();
    let deeds = set.changes.into_iter().map(|change| (change.path, Deed::Take)).collect();
    bring(now.merged, to.merged, &deeds).unwrap();
}

fn plan_of(overlay: &Overlay, before: &Taken, after: &Taken) -> Result<RevertPlan, RevertError> {
    let limits = ChangeLimits::default();
    let (before, after) = (before.point(), after.point());
    let set = changes_between(before, after, overlay.marks(), &limits).unwrap();
    revert((before.merged, after.merged), overlay.point().merged, &set, &limits)
}

fn take_back(overlay: &Overlay, before: &Taken, after: &Taken) -> Vec<WorkspacePath> {
    let plan = plan_of(overlay, before, after).unwrap();
    bring(overlay.point().merged, before.point().merged, &plan.deeds).unwrap();
    plan.merged
}

fn conflicts(overlay: &Overlay, before: &Taken, after: &Taken) -> Vec<String> {
    match plan_of(overlay, before, after) {
        Err(RevertError::Conflict { paths }) => paths.iter().map(ToString::to_string).collect(),
        other => panic!("no conflict: {other:?}"),
    }
}

/// What a program inside may do.
#[derive(Debug, Clone)]
enum Act {
    Write(&'static str, String),
    Append(&'static str),
    Remove(&'static str),
    RemoveTree(&'static str),
    MakeDir(&'static str),
    Move(&'static str, &'static str),
    Name(&'static str, &'static str),
    Link(&'static str),
    Bits(&'static str, u32),
    Fifo(&'static str),
    Attribute(&'static str),
    Owner(&'static str),
    Sparse(&'static str),
    Time(&'static str),
}

const PATHS: [&str; 12] = [
    "a",
    "a/one",
    "a/deep",
    "a/deep/two",
    "b",
    "b/three",
    "b/new",
    "top",
    "other",
    "link",
    "c",
    "c/x",
];

fn acts() -> impl Strategy<Value = Act> {
    let path = || select(PATHS.to_vec());
    prop_oneof![
        4 => (path(), "[a-z\n]{0,30}").prop_map(|(path, text)| Act::Write(path, text)),
        2 => path().prop_map(Act::Append),
        2 => path().prop_map(Act::Remove),
        1 => path().prop_map(Act::RemoveTree),
        2 => path().prop_map(Act::MakeDir),
        3 => (path(), path()).prop_map(|(from, to)| Act::Move(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Act::Name(from, to)),
        1 => path().prop_map(Act::Link),
        1 => (path(), select(vec![0o700, 0o755, 0o644, 0o4755, 0o000])).prop_map(|(path, mode)| Act::Bits(path, mode)),
        1 => path().prop_map(Act::Fifo),
        1 => path().prop_map(Act::Attribute),
        1 => path().prop_map(Act::Owner),
        1 => path().prop_map(Act::Sparse),
        1 => path().prop_map(Act::Time),
    ]
}

/// Does it, where it can be done.
fn act(root: &Path, act: &Act) {
    // Whoever opens a fifo waits for the other side, also where a link leads to it.
    let is_fifo = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo());
    let done = match act {
        Act::Write(path, _) | Act::Append(path) | Act::Sparse(path) | Act::Time(path)
            if is_fifo(&root.join(path)) =>
        {
            Ok(())
        }
        Act::Write(path, text) => fs::write(root.join(path), text),
        Act::Append(path) => fs::OpenOptions::new()
            .append(true)
            .open(root.join(path))
            .and_then(|mut file| file.write_all(b"more\n")),
        Act::Remove(path) => fs::remove_file(root.join(path)),
        Act::RemoveTree(path) => fs::remove_dir_all(root.join(path)),
        Act::MakeDir(path) => fs::create_dir(root.join(path)),
        Act::Move(from, to) => fs::rename(root.join(from), root.join(to)),
        Act::Name(from, to) => fs::hard_link(root.join(from), root.join(to)),
        Act::Link(path) => symlink("../nowhere", root.join(path)),
        Act::Bits(path, mode) if !root.join(path).is_symlink() => {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(*mode))
        }
        Act::Bits(..) => Ok(()),
        Act::Fifo(path) => {
            let kind = rustix::fs::FileType::Fifo;
            let mode = rustix::fs::Mode::RWXU;
            rustix::fs::mknodat(rustix::fs::CWD, root.join(path), kind, mode, 0).map_err(Into::into)
        }
        Act::Attribute(path) => {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::lsetxattr(root.join(path), "user.note", b"kept", flags).map_err(Into::into)
        }
        Act::Owner(path) => std::os::unix::fs::lchown(root.join(path), Some(1234), Some(4321)),
        Act::Sparse(path) => fs::File::create(root.join(path)).and_then(|mut file| {
            file.seek(SeekFrom::Start(300_000))?;
            file.write_all(b"end")
        }),
        Act::Time(path) if !root.join(path).is_symlink() => fs::File::open(root.join(path))
            .and_then(|file| file.set_modified(std::time::UNIX_EPOCH)),
        Act::Time(_) => Ok(()),
    };
    // A program inside is refused now and then, too.
    drop(done);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn a5_a_checkpoint_is_its_layer_and_later_work_changes_none_of_it(
        first in vec(acts(), 0..25), second in vec(acts(), 0..25), is_user in any::<bool>()
    ) {
        let marks = if is_user { OverlayMarks::User } else { OverlayMarks::Trusted };
        let overlay = Overlay::with(marks, fill);
        let layer = |taken: &Taken| raw(&proc(&taken.layer));
        let upper = overlay.beside("upper");
        first.iter().for_each(|one| act(&overlay.inside(), one));
        let one = overlay.checkpoint("one", None);
        prop_assert_eq!(layer(&one), raw(&upper));
        prop_assert_eq!(snapshot(&one.inside()), snapshot(&overlay.inside()));
        let (held, seen) = (layer(&one), snapshot(&one.inside()));
        second.iter().for_each(|one| act(&overlay.inside(), one));
        let two = overlay.checkpoint("two", Some(&one));
        prop_assert_eq!(layer(&two), raw(&upper));
        prop_assert_eq!(layer(&one), held);
        let now = snapshot(&overlay.inside());
        restore(&overlay, &one);
        prop_assert_eq!(snapshot(&overlay.inside()), seen.clone());
        restore(&overlay, &two);
        prop_assert_eq!(snapshot(&overlay.inside()), now);
        prop_assert_eq!(snapshot(&one.inside()), seen);
    }

    #[test]
    fn a5_layers_are_put_together_of_what_changed_also_when_captures_go(
        rounds in vec(vec(acts(), 0..8), 3..6), is_user in any::<bool>(), goes in any::<prop::sample::Index>()
    ) {
        let marks = if is_user { OverlayMarks::User } else { OverlayMarks::Trusted };
        let overlay = Overlay::with(marks, fill);
        let layer = |taken: &Taken| raw(&proc(&taken.layer));
        let mut all: Vec<(Taken, _)> = Vec::new();
        for (round, acts) in rounds.iter().enumerate() {
            acts.iter().for_each(|one| act(&overlay.inside(), one));
            settle(&overlay);
            let seen = raw(&overlay.beside("upper"));
            let taken = overlay.checkpoint(&round.to_string(), all.last().map(|(taken, _)| taken));
            prop_assert_eq!(layer(&taken), seen.clone());
            all.push((taken, seen));
        }
        // What is enough to compare two of them says the same as all of them.
        let (first, last) = (&all[0].0, &all[all.len() - 1].0);
        let limits = ChangeLimits::default();
        let whole = changes_between(first.point(), last.point(), marks, &limits).unwrap();
        let wanted = first.captured.manifest.differing(&last.captured.manifest);
        let few = [("few first", first), ("few last", last)].map(|(name, taken)| {
            overlay.assembled(name, (&taken.captured.manifest, Some(&wanted)), &taken.held)
        });
        let [one, other] = few.each_ref().map(Assembled::point);
        prop_assert_eq!(changes_between(one, other, marks, &limits).unwrap(), whole);
        // One goes, and those after it are put together without it.
        let gone = goes.index(all.len() - 1);
        let (old, next) = (&all[gone].0, &all[gone + 1].0);
        for _ in 0..2 {
            hand_over(old.held[0].as_fd(), (next.held[0].as_fd(), &next.captured.manifest)).unwrap();
        }
        for (at, (taken, seen)) in all.iter().enumerate().skip(gone + 1) {
            let mut held: Vec<_> = taken.held.iter().map(|held| held.try_clone().unwrap()).collect();
            held.remove(at - gone);
            let again = overlay.assembled(&format!("{at} again"), (&taken.captured.manifest, None), &held);
            prop_assert_eq!(&raw(&proc(&again.layer)), seen);
        }
    }

    #[test]
    fn what_is_taken_back_alone_leaves_the_tree_as_without_it(
        first in vec(acts(), 0..12), second in vec("[x-z]{1,8}", 0..4), line in 0_usize..8
    ) {
        let overlay = Overlay::new(|source| {
            fill(source);
            let lines: String = (0..40).map(|line| format!("{line}\n")).collect();
            fs::write(source.join("text"), lines).unwrap();
        });
        // The same later work in a workspace that never saw the first.
        let without = Overlay::new(|source| {
            fill(source);
            let lines: String = (0..40).map(|line| format!("{line}\n")).collect();
            fs::write(source.join("text"), lines).unwrap();
        });
        let edit = |root: &Path, at: usize, to: &str| {
            let text = fs::read_to_string(root.join("text")).unwrap();
            let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
            lines[at] = to.to_owned();
            fs::write(root.join("text"), lines.join("\n") + "\n").unwrap();
        };
        let later = |root: &Path| {
            edit(root, line * 2 + 20, "later");
            for name in &second {
                fs::create_dir_all(root.join("later").join(name)).unwrap();
                fs::write(root.join("later").join(name).join("file"), name).unwrap();
            }
        };
        let before = overlay.checkpoint("before", None);
        first.iter().for_each(|one| act(&overlay.inside(), one));
        edit(&overlay.inside(), line * 2, "first");
        let after = overlay.checkpoint("after", Some(&before));
        later(&overlay.inside());
        later(&without.inside());
        prop_assert_eq!(take_back(&overlay, &before, &after), [path("text")]);
        prop_assert_eq!(snapshot(&overlay.inside()), snapshot(&without.inside()));
        // Repeated, as after a crash, it changes nothing.
        let plan = plan_of(&overlay, &before, &after).unwrap();
        prop_assert!(plan.merged.is_empty(), "{:?}", plan);
        bring(overlay.point().merged, before.point().merged, &plan.deeds).unwrap();
        prop_assert_eq!(snapshot(&overlay.inside()), snapshot(&without.inside()));
    }
}

fn proc(fd: &impl std::os::fd::AsRawFd) -> std::path::PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// Waits until the kernel's clock of files is past what a capture may not be sure of.
fn settle(overlay: &Overlay) {
    let begun = crate::overlay::clock(&overlay.beside("source"));
    while crate::overlay::clock(&overlay.beside("source")) < begun + 60_000_000 {}
}

#[test]
fn what_did_not_change_is_shared_and_a_write_in_place_is_seen() {
    let overlay = Overlay::new(fill);
    let root = overlay.inside();
    for n in 0..50 {
        fs::write(root.join(format!("new{n}")), format!("{n:1000}")).unwrap();
    }
    let file = fs::OpenOptions::new().write(true).open(root.join("new7")).unwrap();
    settle(&overlay);
    let one = overlay.checkpoint("one", None);
    assert_eq!((one.captured.copied, one.captured.shared), (50, 0));
    for log in [Log::of(&one.held[0]).unwrap(), Log::Each] {
        make_durable(one.held[0].as_fd(), &one.captured, log).unwrap();
    }
    // As long as before, and with the time of before.
    let before = file.metadata().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"in place", 0).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    settle(&overlay);
    let two = overlay.checkpoint("two", Some(&one));
    assert_eq!((two.captured.copied, two.captured.shared), (1, 49));
    let read = |taken: &Taken| fs::read(taken.inside().join("new7")).unwrap();
    assert!(read(&two).starts_with(b"in place"));
    assert!(!read(&one).starts_with(b"in place"));
    let shared = |taken: &Taken| fs::metadata(proc(&taken.layer).join("new8")).unwrap().ino();
    assert_eq!(shared(&one), shared(&two));
    let living = fs::metadata(overlay.beside("upper").join("new8")).unwrap().ino();
    assert_ne!(living, shared(&one), "a living file is never shared");
    let set = changes_between(one.point(), two.point(), overlay.marks(), &ChangeLimits::default());
    assert_eq!(paths(&set.unwrap()), ["new7"]);
    // Handed over, it is still there when the first one is gone.
    hand_over(one.held[0].as_fd(), (two.held[0].as_fd(), &two.captured.manifest)).unwrap();
    fs::remove_dir_all(overlay.beside("one").join("held")).unwrap();
    assert_eq!(fs::read(overlay.beside("two/held/new8")).unwrap().len(), 1000);
    assert!(fs::read(overlay.beside("two/held/new7")).unwrap().starts_with(b"in place"));
}

#[test]
fn a5_holes_names_and_sockets_are_kept_or_said() {
    let overlay = Overlay::new(fill);
    let root = overlay.inside();
    let large = fs::File::create(root.join("large")).unwrap();
    large.set_len(1 << 26).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&large, b"middle", 1 << 25).unwrap();
    fs::write(root.join("names"), "one file").unwrap();
    fs::hard_link(root.join("names"), root.join("b/names")).unwrap();
    fs::remove_file(root.join("top")).unwrap();
    let _listener = UnixListener::bind(root.join("top")).unwrap();
    let taken = overlay.checkpoint("one", None);
    assert_eq!(taken.captured.left_out, 1);
    let inside = taken.inside();
    let meta = fs::metadata(inside.join("large")).unwrap();
    assert_eq!(meta.len(), 1 << 26);
    assert!(meta.blocks() < 1000, "{}", meta.blocks());
    let layer = proc(&taken.layer);
    let ino = |name: &str| fs::metadata(layer.join(name)).unwrap().ino();
    assert_eq!(ino("names"), ino("b/names"));
    assert!(!inside.join("top").exists(), "what the socket hides does not come back");
    let set =
        changes_between(taken.point(), overlay.point(), overlay.marks(), &ChangeLimits::default());
    assert_eq!(paths(&set.unwrap()), [] as [&str; 0]);
    restore(&overlay, &taken);
    let kind = fs::symlink_metadata(root.join("top")).unwrap().file_type();
    assert!(kind.is_socket(), "it is left alone");
}

#[test]
fn later_work_that_overlaps_is_a_conflict_with_every_path() {
    let overlay = Overlay::new(fill);
    let root = overlay.inside();
    let before = overlay.checkpoint("before", None);
    fs::write(root.join("top"), "task\n").unwrap();
    fs::remove_file(root.join("other")).unwrap();
    fs::create_dir(root.join("made")).unwrap();
    fs::write(root.join("made/file"), "task\n").unwrap();
    fs::remove_file(root.join("b/three")).unwrap();
    fs::remove_file(root.join("a/one")).unwrap();
    fs::create_dir(root.join("a/one")).unwrap();
    fs::write(root.join("bin"), [0, 1, 2]).unwrap();
    let after = overlay.checkpoint("after", Some(&before));
    let held = snapshot(&root);
    // Another edit of the same line; something new in its place; a file put into what would be replaced; its parent gone.
    fs::write(root.join("top"), "later\n").unwrap();
    fs::write(root.join("other"), "later\n").unwrap();
    fs::write(root.join("a/one/later"), "").unwrap();
    fs::remove_dir(root.join("b")).unwrap();
    fs::write(root.join("bin"), [0, 1, 3]).unwrap();
    assert_eq!(conflicts(&overlay, &before, &after), ["a/one", "b/three", "bin", "other", "top"]);
    // A directory that later work is in stays, and is no conflict; what is back already needs nothing.
    restore(&overlay, &after);
    assert_eq!(snapshot(&root), held);
    fs::write(root.join("made/later"), "later\n").unwrap();
    fs::write(root.join("b/three"), fs::read(overlay.source().join("b/three")).unwrap()).unwrap();
    assert_eq!(take_back(&overlay, &before, &after), []);
    assert!(root.join("made/later").exists() && !root.join("made/file").exists());
    assert!(
        root.join("a/one").is_file() && root.join("other").is_file() && !root.join("bin").exists()
    );
}

#[test]
fn b21_no_link_leads_a_restore_elsewhere() {
    let overlay = Overlay::new(fill);
    let root = overlay.inside();
    let outside = overlay.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("one"), "not ours\n").unwrap();
    let before = overlay.checkpoint("before", None);
    fs::remove_dir_all(root.join("a")).unwrap();
    symlink(&outside, root.join("a")).unwrap();
    let after = overlay.checkpoint("after", Some(&before));
    assert_eq!(snapshot(&after.inside()), snapshot(&root));
    restore(&overlay, &before);
    assert!(root.join("a/deep/two").is_file());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read(outside.join("one")).unwrap(), b"not ours\n");
}
