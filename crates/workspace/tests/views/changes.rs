//! Single findings: faults of the seeds, hostile names, limits, cost.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
};

use rustix::fs::Mode;
use sandbar_types::{ChangeFlag, ChangeKind, Entry};
use sandbar_workspace::{ChangeLimits, ChangesError, changes};

use crate::overlay::{Overlay, at, path, paths};

#[test]
fn b14_opaque_directory_is_reported() {
    let overlay = Overlay::new(|source| {
        fs::create_dir_all(source.join("dir/sub")).unwrap();
        fs::write(source.join("dir/a"), "a").unwrap();
        fs::write(source.join("dir/sub/b"), "b").unwrap();
    });
    fs::remove_dir_all(overlay.inside().join("dir")).unwrap();
    fs::create_dir(overlay.inside().join("dir")).unwrap();
    fs::write(overlay.inside().join("dir/new"), "n").unwrap();
    let set = overlay.changes();
    assert_eq!(paths(&set), ["dir/a", "dir/new", "dir/sub", "dir/sub/b"]);
    for hidden in ["dir/a", "dir/sub", "dir/sub/b"] {
        assert_eq!(at(&set, hidden).kind, ChangeKind::Deleted);
        assert!(at(&set, hidden).flags.contains(&ChangeFlag::Opaque));
    }
    assert_eq!(at(&set, "dir/new").kind, ChangeKind::Added);
}

#[test]
fn b14_mode_only_change_is_reported() {
    let overlay = Overlay::new(|source| fs::write(source.join("run"), "#!/bin/sh\n").unwrap());
    let run = overlay.inside().join("run");
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
    let set = overlay.changes();
    assert_eq!(at(&set, "run").kind, ChangeKind::ModeChanged);
    assert!(at(&set, "run").flags.contains(&ChangeFlag::ExecBit));
}

#[test]
fn b14_dangling_symlink_does_not_abort() {
    let overlay = Overlay::new(|_| {});
    symlink("nowhere", overlay.inside().join("link")).unwrap();
    symlink("loop", overlay.inside().join("loop")).unwrap();
    fs::write(overlay.inside().join("other"), "x").unwrap();
    assert_eq!(paths(&overlay.changes()), ["link", "loop", "other"]);
}

#[test]
fn b21_symlink_is_shown_never_followed() {
    let overlay = Overlay::new(|source| {
        fs::create_dir(source.join("dir")).unwrap();
        fs::write(source.join("dir/file"), "f").unwrap();
    });
    let inside = overlay.inside();
    symlink("/etc/hostname", inside.join("absolute")).unwrap();
    symlink("../../etc/hostname", inside.join("climbing")).unwrap();
    symlink("dir/file", inside.join("within")).unwrap();
    symlink("/etc", inside.join("way")).unwrap();
    symlink("way/hostname", inside.join("through")).unwrap();
    let set = overlay.changes();
    let target = |name| match &at(&set, name).new {
        Some(Entry::Symlink { target }) => String::from_utf8(target.0.clone()).unwrap(),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!(target("absolute"), "/etc/hostname");
    assert_eq!(target("through"), "way/hostname");
    let external = |name| at(&set, name).flags.contains(&ChangeFlag::SymlinkExternal);
    assert!(external("absolute") && external("climbing") && external("through"));
    assert!(!external("within"));
    assert_eq!(set.changes.len(), 5);
}

#[test]
fn an_edit_of_the_same_size_with_the_old_time_is_found_and_a_reverted_one_is_not() {
    let overlay = Overlay::new(|source| {
        fs::write(source.join("sly"), "one\n").unwrap();
        fs::write(source.join("back"), "one\n").unwrap();
    });
    let sly = overlay.inside().join("sly");
    let times = fs::metadata(&sly).unwrap();
    fs::write(&sly, "two\n").unwrap();
    let times = fs::FileTimes::new()
        .set_modified(times.modified().unwrap())
        .set_accessed(times.accessed().unwrap());
    fs::File::options().write(true).open(&sly).unwrap().set_times(times).unwrap();
    let back = overlay.inside().join("back");
    fs::write(&back, "two\n").unwrap();
    fs::write(&back, "one\n").unwrap();
    let set = overlay.changes();
    assert_eq!(paths(&set), ["sly"]);
    assert_eq!(at(&set, "sly").kind, ChangeKind::Modified);
}

#[test]
fn hostile_names_are_listed_with_their_bytes_and_their_flags() {
    let long = [b'x'; 255];
    let names: [(&[u8], Option<ChangeFlag>); 15] = [
        (b"new\nline", Some(ChangeFlag::NameControlChars)),
        (b"tab\there", Some(ChangeFlag::NameControlChars)),
        (b"esc\x1b[31m", Some(ChangeFlag::NameControlChars)),
        (b"\xff\xfe", Some(ChangeFlag::NameNonUtf8)),
        ("gpj.\u{202e}exe".as_bytes(), Some(ChangeFlag::NameBidi)),
        ("zero\u{200b}width".as_bytes(), Some(ChangeFlag::NameBidi)),
        (b"-rf", None),
        (&long, None),
        (b"dot.", None),
        (b"space ", None),
        (b"CON", None),
        ("e\u{301}".as_bytes(), Some(ChangeFlag::CaseCollision)),
        ("\u{e9}".as_bytes(), Some(ChangeFlag::CaseCollision)),
        (b"..foo", None),
        (b"back\\slash", None),
    ];
    let overlay = Overlay::new(|source| fs::write(source.join("readme"), "r").unwrap());
    for (name, _) in names {
        fs::write(overlay.inside().join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::write(overlay.inside().join("README"), "r").unwrap();
    let set = overlay.changes();
    assert_eq!(set.changes.len(), names.len() + 1);
    for (name, flag) in names {
        let change = set.changes.iter().find(|change| change.path.as_bytes() == name);
        let change = change.unwrap_or_else(|| panic!("{} is missing", name.escape_ascii()));
        if let Some(one) = flag {
            assert!(change.flags.contains(&one), "{change:?}");
        }
    }
    assert!(at(&set, "README").flags.contains(&ChangeFlag::CaseCollision));
}

#[test]
fn a_tree_deeper_than_any_path_is_walked_to_its_end() {
    const DEPTH: usize = 2100;
    let overlay = Overlay::new(|source| fs::write(source.join("f"), "f").unwrap());
    make_deep(&overlay.inside(), DEPTH);
    let set = overlay.changes();
    assert_eq!(set.changes.len(), DEPTH + 1);
    let last = &set.changes[DEPTH];
    assert_eq!(last.path.components().count(), DEPTH + 1);
    assert_eq!(last.path.name(), b"end");
}

/// Directories `d/d/d/…` with a file at the end.
pub(crate) fn make_deep(root: &Path, depth: usize) {
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let mut dir = rustix::fs::open(root, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&dir, "d", Mode::from_raw_mode(0o755)).unwrap();
        dir = rustix::fs::openat(&dir, "d", flags, Mode::empty()).unwrap();
    }
    let create = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    rustix::fs::openat(&dir, "end", create, Mode::from_raw_mode(0o644)).unwrap();
}

#[test]
fn what_is_no_file_is_listed_and_blocks_nothing() {
    let overlay = Overlay::new(|source| fs::write(source.join("was_file"), "w").unwrap());
    let inside = overlay.inside();
    let fifo = |name| {
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, inside.join(name), kind, Mode::RUSR, 0).unwrap();
    };
    fifo("fifo");
    fs::remove_file(inside.join("was_file")).unwrap();
    fifo("was_file");
    let _socket = UnixListener::bind(inside.join("socket")).unwrap();
    let device = rustix::fs::FileType::CharacterDevice;
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(rustix::fs::CWD, inside.join("device"), device, Mode::RUSR, null).unwrap();
    fs::write(inside.join("locked"), "l").unwrap();
    fs::set_permissions(inside.join("locked"), fs::Permissions::from_mode(0o0)).unwrap();
    let set = overlay.changes();
    assert_eq!(paths(&set), ["device", "fifo", "locked", "socket", "was_file"]);
    for (name, what) in [("device", "char_device"), ("fifo", "fifo"), ("socket", "socket")] {
        assert_eq!(at(&set, name).new, Some(sandbar_workspace::entry::special(what)));
        assert!(at(&set, name).flags.contains(&ChangeFlag::Special));
    }
    assert_eq!(at(&set, "was_file").kind, ChangeKind::TypeChanged);
}

#[test]
fn bits_and_attributes_that_are_dropped_are_flagged() {
    let overlay = Overlay::new(|_| {});
    let file = overlay.inside().join("tool");
    fs::write(&file, "t").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&file, "user.x", b"v", flags).unwrap();
    let set = overlay.changes();
    for flag in [ChangeFlag::Setuid, ChangeFlag::XattrDropped, ChangeFlag::ExecBit] {
        assert!(at(&set, "tool").flags.contains(&flag), "{flag:?}");
    }
}

#[test]
fn what_is_too_large_to_show_is_exact_all_the_same() {
    let overlay = Overlay::new(|source| fs::write(source.join("f"), "a\nb\n").unwrap());
    fs::write(overlay.inside().join("f"), "a\nb\nc\nd\n").unwrap();
    let limits = ChangeLimits { display_bytes_max: 5, ..ChangeLimits::default() };
    let set = changes(&overlay.layers(), &overlay.base, &limits).unwrap();
    let change = at(&set, "f");
    assert!(change.flags.contains(&ChangeFlag::TruncatedDisplay) && change.lines.is_none());
    assert_eq!(set.diff_id, overlay.changes().diff_id);
}

#[test]
fn a_limit_is_an_error_that_names_it_and_never_an_omission() {
    let overlay = Overlay::new(|_| {});
    fs::write(overlay.inside().join("a"), "12345").unwrap();
    fs::write(overlay.inside().join("b"), "1").unwrap();
    let list = |limits| changes(&overlay.layers(), &overlay.base, &limits);
    let few = ChangeLimits { changes_max: 1, ..ChangeLimits::default() };
    assert!(matches!(list(few), Err(ChangesError::TooMany { limit: 1 })));
    let small = ChangeLimits { file_bytes_max: 4, ..ChangeLimits::default() };
    let Err(ChangesError::TooLarge { path: at, size_bytes: 5, .. }) = list(small) else {
        panic!("not refused");
    };
    assert_eq!(at, path("a"));
}

#[test]
fn the_id_follows_content_and_mode_and_nothing_else() {
    let overlay = Overlay::new(|source| fs::write(source.join("f"), "one").unwrap());
    let file = overlay.inside().join("f");
    fs::write(&file, "two").unwrap();
    let first = overlay.changes().diff_id;
    fs::write(&file, "two").unwrap();
    assert_eq!(overlay.changes().diff_id, first);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let second = overlay.changes().diff_id;
    fs::write(&file, "six").unwrap();
    let third = overlay.changes().diff_id;
    assert!(first != second && second != third && first != third);
}

#[test]
fn our_own_names_at_the_top_are_left_out_and_only_there() {
    let overlay = Overlay::new(|source| fs::create_dir(source.join(".sandbar-stage-1")).unwrap());
    fs::write(overlay.inside().join(".sandbar-stage-1/n"), "n").unwrap();
    fs::create_dir(overlay.inside().join("d")).unwrap();
    fs::write(overlay.inside().join("d/.sandbar-stage-1"), "n").unwrap();
    assert_eq!(paths(&overlay.changes()), ["d", "d/.sandbar-stage-1"]);
}

#[test]
#[ignore = "a measurement: prints how long 100 changes in 50,000 files take"]
fn a_hundred_changes_in_fifty_thousand_files() {
    let overlay = Overlay::new(|source| {
        for dir in 0..500 {
            let dir = source.join(format!("d{dir}"));
            fs::create_dir(&dir).unwrap();
            for file in 0..100 {
                fs::write(dir.join(format!("f{file}")), format!("{file}\n").repeat(100)).unwrap();
            }
        }
    });
    for dir in 0..100 {
        fs::write(overlay.inside().join(format!("d{dir}/f7")), "changed\n".repeat(100)).unwrap();
    }
    for _ in 0..5 {
        let start = std::time::Instant::now();
        assert_eq!(overlay.changes().changes.len(), 100);
        println!("{:?}", start.elapsed());
    }
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_it() {
    let overlay = Overlay::new(|source| fs::write(source.join("open"), "o").unwrap());
    fs::write(overlay.inside().join("open"), "changed").unwrap();
    fs::write(overlay.inside().join("closed"), "c").unwrap();
    fs::set_permissions(overlay.inside().join("closed"), fs::Permissions::from_mode(0o600))
        .unwrap();
    let found = std::thread::scope(|scope| {
        let unprivileged = scope.spawn(|| {
            // Of this thread only, as the kernel has it.
            let nobody = rustix::fs::Uid::from_raw(65_534);
            rustix::thread::set_thread_uid(nobody).unwrap();
            changes(&overlay.layers(), &overlay.base, &ChangeLimits::default())
        });
        unprivileged.join().unwrap()
    });
    let Err(ChangesError::Unreadable { path: at, .. }) = found else {
        panic!("{found:?}");
    };
    assert_eq!(at, path("closed"));
}

#[test]
fn nothing_hides_by_being_ignored_generated_long_binary_or_one_of_many() {
    let overlay = Overlay::new(|source| {
        fs::write(source.join(".gitignore"), "ignored\n").unwrap();
        fs::write(source.join(".gitattributes"), "*.lock -diff\ngen.rs linguist-generated\n")
            .unwrap();
        for name in ["a.lock", "gen.rs"] {
            fs::write(source.join(name), "before\n").unwrap();
        }
    });
    let inside = overlay.inside();
    for name in ["ignored", "a.lock", "gen.rs"] {
        fs::write(inside.join(name), "payload\n").unwrap();
    }
    let mut line = vec![b' '; 5 << 20];
    line.extend_from_slice(b"payload");
    fs::write(inside.join("one_line"), &line).unwrap();
    fs::write(inside.join("nul_first"), b"\0\npayload\n").unwrap();
    fs::create_dir(inside.join("many")).unwrap();
    for index in 0..2_000 {
        fs::write(inside.join(format!("many/{index:04}")), "trivial\n").unwrap();
    }
    let set = overlay.changes();
    assert_eq!(set.changes.len(), 2_006);
    for name in ["ignored", "a.lock", "gen.rs"] {
        assert!(at(&set, name).lines.is_some_and(|lines| lines.added == 1), "{name}");
    }
    assert!(at(&set, "one_line").flags.contains(&ChangeFlag::TruncatedDisplay));
    assert!(at(&set, "nul_first").binary);
    let Some(Entry::File { size, .. }) = at(&set, "one_line").new else {
        panic!("no file");
    };
    assert_eq!(size, line.len() as u64);
}
