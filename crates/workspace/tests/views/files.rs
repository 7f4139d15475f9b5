//! Files from outside: what they can do, and that nothing gets out.

use std::{
    fs,
    io::Read,
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::fs::{FileType, Mode, RenameFlags};
use sandbar_workspace::{
    SizeLimits,
    files::{
        ArchiveLimits, Depth, ExtractLimits, FileKind, Files, FilesError, Parents, Replace,
        SearchLimits, SearchSpec, WriteParams,
    },
    sizes,
};

use crate::{
    changes::make_deep,
    fidelity::snapshot,
    overlay::{Overlay, path},
};

const OWNER: (u32, u32) = (12_345, 12_346);

const PARAMS: WriteParams =
    WriteParams { mode: None, bytes_max: 1 << 20, parents: Parents::Required };

const EXTRACT: ExtractLimits =
    ExtractLimits { entries_max: 1_000, bytes_max: 1 << 20, archive_bytes_max: 4 << 20 };

const ARCHIVE: ArchiveLimits = ArchiveLimits { entries_max: 1_000, bytes_max: 1 << 20 };

fn files(overlay: &Overlay) -> Files<'_> {
    Files::new(overlay.layers().merged, OWNER)
}

/// A workspace with a secret right outside of it.
fn with_secret() -> Overlay {
    let overlay = Overlay::new(|source| {
        fs::create_dir(source.join("dir")).unwrap();
        fs::write(source.join("dir/file"), "content").unwrap();
        fs::write(source.join("top"), "top").unwrap();
    });
    fs::write(overlay.beside("secret"), "secret").unwrap();
    overlay
}

fn put(overlay: &Overlay, at: &str, content: &[u8]) -> Result<(), FilesError> {
    let mut content = content;
    files(overlay).write(&path(at), &mut content, &PARAMS).map(|_| ())
}

#[test]
fn a_write_replaces_the_file_whole_keeps_its_mode_and_gives_it_to_the_sandbox() {
    let overlay = with_secret();
    let file = overlay.inside().join("dir/file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let mut before = fs::File::open(&file).unwrap();
    put(&overlay, "dir/file", b"new").unwrap();
    let mut old = String::new();
    before.read_to_string(&mut old).unwrap();
    assert_eq!(old, "content");
    let meta = fs::metadata(&file).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (OWNER.0, OWNER.1, 0o755));
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(fs::read_to_string(overlay.source().join("dir/file")).unwrap(), "content");
    assert_eq!(fs::read_dir(overlay.inside().join("dir")).unwrap().count(), 1);
}

#[test]
fn a_write_that_is_too_large_leaves_the_old_file_and_nothing_else() {
    let overlay = with_secret();
    let params = WriteParams { bytes_max: 3, ..PARAMS };
    let refused = files(&overlay).write(&path("top"), &mut &b"four"[..], &params);
    assert!(matches!(refused, Err(FilesError::TooMuch { limit: 3, .. })));
    assert_eq!(fs::read_to_string(overlay.inside().join("top")).unwrap(), "top");
    assert_eq!(fs::read_dir(overlay.inside()).unwrap().count(), 2);
}

#[test]
fn links_lead_inside_and_never_out() {
    let overlay = with_secret();
    let inside = overlay.inside();
    symlink("/dir/file", inside.join("absolute")).unwrap();
    symlink("../../../../dir/file", inside.join("climbing")).unwrap();
    symlink("dir", inside.join("way")).unwrap();
    let secret = overlay.beside("secret");
    symlink(&secret, inside.join("out")).unwrap();
    symlink(secret.parent().unwrap(), inside.join("out_way")).unwrap();
    symlink("/proc/self/root", inside.join("magic")).unwrap();
    let read = |at: &str| files(&overlay).read(&path(at), 0..100);
    for at in ["absolute", "climbing", "way/file"] {
        assert_eq!(read(at).unwrap(), b"content", "{at}");
    }
    for at in ["out", "out_way/secret", "magic", "magic/etc/hostname"] {
        assert!(matches!(read(at), Err(FilesError::NotFound { .. })), "{at}");
        assert!(files(&overlay).list(Some(&path(at)), 10).is_err(), "{at}");
    }
    put(&overlay, "absolute", b"through the link").unwrap();
    assert_eq!(fs::read(inside.join("dir/file")).unwrap(), b"through the link");
    for at in ["out", "out_way/secret", "out_way/new"] {
        assert!(put(&overlay, at, b"written").is_err(), "{at}");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    files(&overlay).remove(&path("out_way"), Depth::Tree).unwrap();
    assert!(secret.exists());
}

#[test]
fn a_directory_that_is_swapped_for_a_link_meanwhile_never_leads_out() {
    let overlay = with_secret();
    let outside = overlay.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "secret").unwrap();
    symlink(&outside, overlay.inside().join("swap")).unwrap();
    let stop = AtomicBool::new(false);
    let root = overlay.layers().merged;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(root, "dir", root, "swap", RenameFlags::EXCHANGE)
                    .unwrap();
            }
        });
        for round in 0..5_000 {
            match files(&overlay).read(&path("dir/file"), 0..100) {
                Ok(bytes) => assert_ne!(bytes, b"secret"),
                Err(FilesError::NotFound { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
            let content = format!("round {round}");
            let _raced = put(&overlay, "dir/file", content.as_bytes());
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn a_fifo_is_listed_and_removed_and_never_waited_for() {
    let overlay = with_secret();
    let fifo = overlay.inside().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let all = files(&overlay);
    let listing = all.list(None, 2).unwrap();
    assert!(listing.is_truncated && listing.entries[1].name == b"fifo");
    assert_eq!(listing.entries[1].stat.kind, FileKind::Special);
    assert!(matches!(all.open(&path("fifo")), Err(FilesError::WrongKind { .. })));
    assert!(matches!(put(&overlay, "fifo", b"x"), Err(FilesError::WrongKind { .. })));
    all.remove(&path("fifo"), Depth::One).unwrap();
}

#[test]
fn directories_are_made_moved_and_removed() {
    let overlay = with_secret();
    let all = files(&overlay);
    all.make_dir(&path("a/b/c"), Parents::Create).unwrap();
    all.make_dir(&path("a/b/c"), Parents::Create).unwrap();
    assert!(matches!(all.make_dir(&path("a"), Parents::Required), Err(FilesError::Exists { .. })));
    assert_eq!(fs::metadata(overlay.inside().join("a/b")).unwrap().uid(), OWNER.0);
    assert!(matches!(
        all.rename(&path("a"), &path("dir"), Replace::Never),
        Err(FilesError::Exists { .. })
    ));
    all.rename(&path("dir"), &path("a/moved"), Replace::Never).unwrap();
    assert_eq!(all.read(&path("a/moved/file"), 3..5).unwrap(), b"te");
    assert!(matches!(all.remove(&path("a"), Depth::One), Err(FilesError::NotEmpty { .. })));
    all.remove(&path("a"), Depth::Tree).unwrap();
    assert!(matches!(all.stat(Some(&path("a"))), Err(FilesError::NotFound { .. })));
    assert_eq!(all.stat(None).unwrap().kind, FileKind::Directory);
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    let overlay = with_secret();
    make_deep(&overlay.inside(), 2100);
    files(&overlay).remove(&path("d"), Depth::Tree).unwrap();
    assert!(!overlay.inside().join("d").exists());
}

#[test]
fn search_finds_lines_and_names_within_its_limits() {
    let overlay = with_secret();
    put(&overlay, "dir/a.rs", b"fn one() {}\nfn two() {}\n").unwrap();
    put(&overlay, "dir/b.txt", b"fn three\n").unwrap();
    put(&overlay, "dir/binary.rs", b"\0fn four\n").unwrap();
    symlink("/", overlay.inside().join("loop")).unwrap();
    let mut spec = SearchSpec {
        name: Some(b"*.rs".to_vec()),
        text: Some(b"fn ".to_vec()),
        ..SearchSpec::default()
    };
    let limits = SearchLimits::default();
    let found = files(&overlay).search(&spec, &limits).unwrap();
    let lines: Vec<_> =
        found.matches.iter().map(|m| (m.path.to_string(), m.line.as_ref().unwrap().0)).collect();
    assert_eq!(lines, [("dir/a.rs".to_owned(), 1), ("dir/a.rs".to_owned(), 2)]);
    let one = SearchLimits { matches_max: 1, ..limits };
    let found = files(&overlay).search(&spec, &one).unwrap();
    assert!(found.is_truncated && found.matches.len() == 1);
    spec.text = None;
    assert_eq!(files(&overlay).search(&spec, &limits).unwrap().matches.len(), 2);
}

#[test]
fn an_archive_comes_back_as_the_tree_it_was_made_from() {
    let overlay = with_secret();
    let inside = overlay.inside();
    let long = "n".repeat(200);
    fs::create_dir_all(inside.join("dir").join(&long).join(&long)).unwrap();
    fs::write(inside.join("dir").join(&long).join(&long).join("deep\n"), "d").unwrap();
    fs::write(inside.join("dir/run"), "#!").unwrap();
    fs::set_permissions(inside.join("dir/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../outside", inside.join("dir/link")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, inside.join("dir/fifo"), FileType::Fifo, Mode::RWXU, 0)
        .unwrap();
    let mut tar = Vec::new();
    let outcome = files(&overlay).archive(Some(&path("dir")), &mut tar, &ARCHIVE).unwrap();
    assert_eq!(outcome.left_out, [b"fifo".to_vec()]);
    files(&overlay).extract(Some(&path("copy/of")), &mut &tar[..], &EXTRACT).unwrap();
    let mut expected = snapshot(&inside.join("dir"));
    expected.remove(&b"fifo"[..]);
    assert_eq!(snapshot(&inside.join("copy/of")), expected);
    assert_eq!(fs::symlink_metadata(inside.join("copy/of/link")).unwrap().uid(), OWNER.0);
}

/// An archive of one entry, with a name that no careful program writes.
fn hostile(kind: tar::EntryType, name: &[u8], link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_mode(0o4755);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}

#[test]
fn an_archive_cannot_leave_the_directory_it_is_unpacked_into() {
    use tar::EntryType as Is;
    let overlay = with_secret();
    let inside = overlay.inside();
    symlink(overlay.beside("").as_path(), inside.join("out")).unwrap();
    for (kind, name, link) in [
        (Is::Regular, &b"/absolute"[..], &b""[..]),
        (Is::Regular, b"../climbing", b""),
        (Is::Regular, b"a/../../climbing", b""),
        (Is::Regular, b"out/secret", b""),
        (Is::Directory, b"out/made", b""),
        (Is::Link, b"hard", b"../secret"),
        (Is::Link, b"hard", b"out/secret"),
        (Is::Link, b"hard", b"/etc/hostname"),
        (Is::Char, b"device", b""),
        (Is::Block, b"device", b""),
        (Is::Fifo, b"fifo", b""),
    ] {
        let tar = hostile(kind, name, link, b"");
        let refused = files(&overlay).extract(None, &mut &tar[..], &EXTRACT);
        assert!(
            matches!(refused, Err(FilesError::Refused { .. })),
            "{}: {refused:?}",
            name.escape_ascii()
        );
    }
    // A link made by the archive, and then a file through it.
    let target = overlay.beside("");
    let mut tar = hostile(Is::Symlink, b"fresh", target.to_str().unwrap().as_bytes(), b"");
    tar.extend(hostile(Is::Regular, b"fresh/secret", b"", b"overwritten"));
    assert!(files(&overlay).extract(None, &mut &tar[..], &EXTRACT).is_err());
    assert_eq!(fs::read_to_string(overlay.beside("secret")).unwrap(), "secret");
    let left: Vec<_> = fs::read_dir(&inside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn an_archive_is_bounded_and_its_dangerous_bits_are_dropped() {
    let overlay = with_secret();
    let tar = hostile(tar::EntryType::Regular, b"tool", b"", b"0123456789");
    let small = ExtractLimits { bytes_max: 9, ..EXTRACT };
    let refused = files(&overlay).extract(None, &mut &tar[..], &small);
    assert!(matches!(refused, Err(FilesError::TooMuch { limit: 9, .. })));
    assert!(!overlay.inside().join("tool").exists());
    files(&overlay).extract(None, &mut &tar[..], &EXTRACT).unwrap();
    assert_eq!(fs::metadata(overlay.inside().join("tool")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn sizes_are_those_of_the_writable_layer_and_artifacts_are_told_apart() {
    let overlay = with_secret();
    let inside = overlay.inside();
    let file = |at: &str, bytes: usize| {
        let full = inside.join(at);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, vec![b'x'; bytes]).unwrap();
    };
    file("target/debug/app", 100_000);
    file("web/node_modules/lib/target/x", 50_000);
    file("mine", 10_000);
    fs::hard_link(inside.join("mine"), inside.join("mine_too")).unwrap();
    fs::remove_file(inside.join("top")).unwrap();
    let limits = SizeLimits { largest_max: 2, ..SizeLimits::default() };
    let sizes = sizes(overlay.layers().upper.as_fd(), &limits).unwrap();
    let named: Vec<_> = sizes.artifacts.iter().map(|a| a.path.to_string()).collect();
    assert_eq!(named, ["target", "web/node_modules"]);
    assert!(sizes.artifacts[0].bytes >= 100_000 && sizes.artifacts[1].bytes >= 50_000);
    let largest: Vec<_> = sizes.largest.iter().map(|large| large.path.to_string()).collect();
    assert_eq!(largest, ["target/debug/app", "web/node_modules/lib/target/x"]);
    assert_eq!(sizes.files, 9);
    assert_eq!(sizes.bytes, disk_use(&overlay.beside("upper")));
}

/// What is allocated below `root`, a hard link once, by other means.
fn disk_use(root: &Path) -> u64 {
    let mut seen = std::collections::BTreeSet::new();
    let mut total = 0;
    let mut pending = vec![root.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let full = entry.unwrap().path();
            let meta = fs::symlink_metadata(&full).unwrap();
            if meta.is_dir() {
                pending.push(full);
            }
            if seen.insert(meta.ino()) {
                total += meta.blocks() * 512;
            }
        }
    }
    total
}
