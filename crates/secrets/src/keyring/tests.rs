//! Sealing, rotation and the file, on the real file system.

use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const PLACE: Place<'static> = Place { tenant: "t", scope: "app_1", name: "API_KEY", version: 1 };

fn new() -> (TempDir, Keyring) {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Keyring::create(&dir.path().join("secrets.key")).unwrap();
    (dir, keyring)
}

fn seal(keyring: &Keyring, value: &str) -> Sealed {
    keyring.seal(&PLACE, &SecretString::from(value))
}

fn opened(keyring: &Keyring, sealed: &Sealed) -> Result<String, UnsealError> {
    keyring.unseal(&PLACE, sealed).map(|value| value.expose_secret().to_owned())
}

#[test]
fn what_is_sealed_opens_in_its_place_alone() {
    let (_dir, keyring) = new();
    let sealed = seal(&keyring, "hunter2");
    assert_eq!(opened(&keyring, &sealed).unwrap(), "hunter2");
    for place in [
        Place { tenant: "u", ..PLACE },
        Place { scope: "app_2", ..PLACE },
        Place { name: "API_KEYS", ..PLACE },
        Place { version: 2, ..PLACE },
        // The same letters, cut elsewhere.
        Place { tenant: "ta", scope: "pp_1", ..PLACE },
    ] {
        assert!(matches!(keyring.unseal(&place, &sealed), Err(UnsealError::Damaged)), "{place:?}");
    }
    assert_ne!(sealed, seal(&keyring, "hunter2"), "a nonce of its own");
}

#[test]
fn s16_keys_are_rotated_and_what_was_sealed_before_still_opens() {
    let (dir, mut keyring) = new();
    let (first, sealed) = (keyring.active(), seal(&keyring, "old"));
    let second = keyring.rotate().unwrap();
    assert_ne!(first, second);
    assert_eq!(opened(&keyring, &sealed).unwrap(), "old");
    assert_eq!(seal(&keyring, "new").key(), second);
    let mut again = Keyring::load(&dir.path().join("secrets.key")).unwrap().unwrap();
    assert_eq!((again.active(), opened(&again, &sealed).unwrap().as_str()), (second, "old"));
    again.retire_old().unwrap();
    assert_eq!(opened(&again, &sealed), Err(UnsealError::KeyMissing { key: first }));
    let again = Keyring::load(&dir.path().join("secrets.key")).unwrap().unwrap();
    assert!(again.has(second) && !again.has(first));
}

#[test]
fn s16_another_servers_key_is_named_as_what_is_missing() {
    let ((_one, ours), (_two, theirs)) = (new(), new());
    let sealed = seal(&theirs, "theirs");
    let error = opened(&ours, &sealed).unwrap_err();
    assert_eq!(error, UnsealError::KeyMissing { key: theirs.active() });
    assert!(error.to_string().contains(&theirs.active().to_string()));
}

#[test]
fn the_file_is_ours_alone_and_is_never_replaced() {
    let (dir, keyring) = new();
    let path = dir.path().join("secrets.key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Keyring::create(&path), Err(KeyFileError::File { .. })));
    assert_eq!(Keyring::load(&path).unwrap().unwrap().active(), keyring.active());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Keyring::load(&path), Err(KeyFileError::Open { .. })));
    assert!(Keyring::load(&dir.path().join("none")).unwrap().is_none());
}

#[test]
fn a_line_that_is_no_key_is_told_and_nothing_of_it_shown() {
    let (dir, _keyring) = new();
    let path = dir.path().join("secrets.key");
    for (text, line) in [("# nothing\n", 2), ("", 1), ("\n!!\n", 2), ("c2hvcnQ=\n", 1)] {
        fs::write(&path, text).unwrap();
        let error = Keyring::load(&path).unwrap_err();
        assert!(
            matches!(error, KeyFileError::Garbled { line: told, .. } if told == line),
            "{text:?}"
        );
        assert!(!error.to_string().contains("c2hv"));
    }
}

#[test]
fn nothing_of_a_key_is_printed() {
    let (dir, keyring) = new();
    let text = fs::read_to_string(dir.path().join("secrets.key")).unwrap();
    let key = text.lines().last().unwrap();
    assert!(!format!("{keyring:?}").contains(key));
    assert!(!format!("{:?}", SecretString::from("hunter2")).contains("hunter2"));
}

proptest! {
    #[test]
    fn any_text_comes_back_and_any_changed_byte_is_seen(value in ".*", at in any::<prop::sample::Index>()) {
        let (_dir, keyring) = new();
        let sealed = seal(&keyring, &value);
        let stored = Sealed::from_bytes(sealed.as_bytes().to_vec()).unwrap();
        prop_assert_eq!(opened(&keyring, &stored).unwrap(), value);
        let mut changed = sealed.as_bytes().to_vec();
        let at = at.index(changed.len());
        changed[at] ^= 1;
        let is_seen = Sealed::from_bytes(changed).map_or(true, |bad| opened(&keyring, &bad).is_err());
        prop_assert!(is_seen);
    }

    #[test]
    fn what_is_nothing_of_ours_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let (_dir, keyring) = new();
        if let Ok(sealed) = Sealed::from_bytes(bytes) {
            prop_assert!(opened(&keyring, &sealed).is_err());
        }
    }
}
