use std::{
    collections::BTreeMap,
    error::Error,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sandbar_store::{Driver as _, SnapshotContents};
use sandbar_store_sqlite::{SqliteDriver, inspect, snapshot_at_rest};

use super::*;
use crate::restore::restore_by_steps;

const RECORD: &str = "sandboxes/sb_01890000000070008000000000000001/record.json";

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn check(path: &Path) -> Result<SnapshotContents, Box<dyn Error + Send + Sync>> {
    block_on(inspect(path)).map_err(Into::into)
}

/// A data directory with a real store, told from others by `mark`.
fn data_dir(mark: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    block_on(async { SqliteDriver::new(dir.path()).open().await.unwrap().close().await });
    for name in ["config.toml", "secrets.key", "token", RECORD] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{name} of {mark}")).unwrap();
    }
    // Not part of a backup.
    fs::write(dir.path().join(RECORD).with_file_name("upper"), mark).unwrap();
    dir
}

fn backup_of(data_dir: &Path, to: &Path) -> Manifest {
    let staging = Staging::make(data_dir).unwrap();
    let database = staging.database();
    let contents = block_on(snapshot_at_rest(data_dir, &database)).unwrap();
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(to).unwrap();
    create(Source { data_dir, database: &database, contents: &contents }, &file).unwrap()
}

fn backup() -> (tempfile::TempDir, tempfile::TempDir, PathBuf) {
    let (data, place) = (data_dir("first"), tempfile::tempdir().unwrap());
    let file = place.path().join("backup");
    backup_of(data.path(), &file);
    (data, place, file)
}

/// Every file below `dir`, by its name there.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut pending) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn params<'a>(archive: &'a Path, data_dir: &'a Path, existing: Existing) -> RestoreParams<'a> {
    RestoreParams { archive, data_dir, existing, check: &check }
}

#[test]
fn bak5_what_was_backed_up_is_restored_into_an_empty_directory() {
    let (data, place, file) = backup();
    let verified = verify(&file, &place.path().join("scratch"), &check).unwrap();
    assert!(!place.path().join("scratch").exists());
    assert!(!data.path().join("backup.tmp").exists());
    let fresh = tempfile::tempdir().unwrap();
    let restored = restore(params(&file, fresh.path(), Existing::Refuse)).unwrap();
    assert_eq!((&restored.manifest, &restored.aside), (&verified, &None));
    let (before, after) = (files(data.path()), files(fresh.path()));
    for name in ["config.toml", "secrets.key", "token", RECORD] {
        assert_eq!(after[name], before[name], "{name}");
        let mode = fs::metadata(fresh.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(after.len(), verified.entries.len(), "{:?}", after.keys());
    block_on(async { SqliteDriver::new(fresh.path()).open().await.unwrap().close().await });
}

#[test]
fn bak5_a_flipped_byte_anywhere_is_told() {
    let (_data, place, file) = backup();
    let whole = fs::read(&file).unwrap();
    let (scratch, damaged) = (place.path().join("scratch"), place.path().join("damaged"));
    let near_an_end = |at: usize| at < 1200 || at > whole.len() - 100;
    let places = (0..whole.len()).filter(|at| at % 1031 == 0 || near_an_end(*at) && at % 7 == 0);
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(&damaged, &bytes).unwrap();
        assert!(verify(&damaged, &scratch, &check).is_err(), "byte {at} of {}", whole.len());
        assert!(!scratch.exists());
    }
    for len in [0, 1, 512, 5000, whole.len() / 2, whole.len() - 100, whole.len() - 1] {
        fs::write(&damaged, &whole[..len]).unwrap();
        assert!(verify(&damaged, &scratch, &check).is_err(), "cut off after {len}");
    }
    fs::write(&damaged, [&whole[..], b"more"].concat()).unwrap();
    assert!(verify(&damaged, &scratch, &check).is_err(), "longer than it was");
}

#[test]
fn the_entry_that_is_damaged_is_named() {
    let (_data, place, file) = backup();
    let mut bytes = fs::read(&file).unwrap();
    let secret = b"secrets.key of first";
    let at = bytes.windows(secret.len()).position(|there| there == secret).unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    let found = verify(&file, &place.path().join("scratch"), &check).unwrap_err();
    assert!(matches!(&found, VerifyError::Damaged { name } if name == "secrets.key"), "{found:?}");
}

#[test]
fn an_archive_that_leads_elsewhere_is_refused() {
    for name in
        ["sandboxes/sb_1/upper/x", "sandboxes/../token", "run/x", "sandboxes/sb_1/record.json/x"]
    {
        assert!(!name::is_known(name), "{name}");
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("crafted");
        let mut archive = tar::Builder::new(File::create(&path).unwrap());
        let entry = manifest::measure(&b"x"[..]).unwrap();
        let manifest = Manifest {
            format: 1,
            version: String::new(),
            schema: 6,
            rows: BTreeMap::new(),
            entries: BTreeMap::from([(name.to_owned(), entry)]),
        };
        let text = serde_json::to_vec(&manifest).unwrap();
        for (name, bytes) in [("manifest.json", &text[..]), (name, b"x")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            // `append_data` itself refuses `..`.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, bytes).unwrap();
        }
        archive.into_inner().unwrap();
        let found = verify(&path, &place.path().join("scratch"), &check).unwrap_err();
        assert!(matches!(found, VerifyError::Stranger { .. }), "{name}: {found:?}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn a_store_that_is_there_is_refused_and_else_moved_aside() {
    let (_data, _place, file) = backup();
    let old = data_dir("second");
    let before = files(old.path());
    let refused = restore(params(&file, old.path(), Existing::Refuse)).unwrap_err();
    assert!(matches!(refused, RestoreError::Existing { .. }), "{refused:?}");
    assert_eq!(files(old.path()), before);
    for number in 1..3 {
        let restored = restore(params(&file, old.path(), Existing::MoveAside)).unwrap();
        let aside = old.path().join(format!("replaced-{number}"));
        assert_eq!(restored.aside.as_deref(), Some(&*aside));
        let moved = files(&aside);
        let mark = if number == 1 { "second" } else { "first" };
        assert_eq!(moved["token"], format!("token of {mark}").into_bytes());
        assert!(moved.contains_key("sandbar.db"));
    }
    let after = files(old.path());
    assert_eq!(after["token"], b"token of first");
    // What lies beside a sandbox's files is of the same time as they are.
    assert_eq!(after[RECORD], before[RECORD]);
    assert_eq!(after["sandboxes/sb_01890000000070008000000000000001/upper"], b"second");
}

#[test]
fn a_damaged_backup_changes_nothing() {
    let (_data, _place, file) = backup();
    let old = data_dir("second");
    let before = files(old.path());
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let refused = restore(params(&file, old.path(), Existing::MoveAside)).unwrap_err();
    assert!(matches!(refused, RestoreError::Verify(_)), "{refused:?}");
    assert_eq!(files(old.path()), before);
}

/// What a server would start with.
fn state(data_dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = files(data_dir);
    all.retain(|name, _| !name.starts_with("replaced-"));
    all
}

#[test]
fn bak5_a_restore_that_is_killed_at_any_step_leaves_all_or_nothing() {
    let (data, _place, file) = backup();
    let old_state = |dir: &Path| {
        fs::write(dir.join("sandbar.db-wal"), "log of second").unwrap();
        state(dir)
    };
    let expected = {
        let dir = data_dir("second");
        old_state(dir.path());
        restore(params(&file, dir.path(), Existing::MoveAside)).unwrap();
        state(dir.path())
    };
    assert_eq!(expected["token"], files(data.path())["token"]);
    assert!(!expected.contains_key("sandbar.db-wal"));
    let mut outcomes = (0, 0);
    for kill_at in 0.. {
        let dir = data_dir("second");
        let before = old_state(dir.path());
        let mut left = kill_at;
        let killed = restore_by_steps(params(&file, dir.path(), Existing::MoveAside), &mut || {
            if left == 0 {
                return Err(io::Error::other("killed"));
            }
            left -= 1;
            Ok(())
        });
        if killed.is_ok() {
            break;
        }
        // What finishes it may be killed as well.
        for kill_at in 0..3 {
            let mut left = kill_at;
            drop(swap::recover_by_steps(dir.path(), &mut || {
                left -= 1;
                if left < 0 { Err(io::Error::other("killed")) } else { Ok(()) }
            }));
        }
        recover(dir.path()).unwrap();
        let after = state(dir.path());
        if after == before {
            outcomes.0 += 1;
        } else {
            assert_eq!(after, expected, "killed at step {kill_at}");
            let aside = files(&dir.path().join("replaced-1"));
            assert!(
                aside.iter().all(|(name, bytes)| before[name] == *bytes) && aside.len() == 5,
                "something is lost after step {kill_at}: {:?}",
                aside.keys()
            );
            outcomes.1 += 1;
        }
    }
    assert!(outcomes.0 >= 3 && outcomes.1 >= 9, "{outcomes:?}");
}
