//! Without privileges: the same sandbox, weaker where it says so. A process of another user runs it.

use std::{os::unix::fs::chown, process::Command};

use crate::rig::harness;

/// Some user who owns nothing here.
const UID: u32 = 54_321;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "starts the harness as a user, which nothing of ours does"
)]
fn an_ordinary_user_gets_a_sandbox_that_says_what_is_weaker() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let dir = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    // The user must be able to execute it, wherever it was built.
    let exe = dir.path().join("harness");
    std::fs::copy(harness(), &exe).unwrap();
    for name in ["data", "data/sandboxes", "shop"] {
        let path = dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        chown(&path, Some(UID), Some(UID)).unwrap();
    }
    let readme = dir.path().join("shop/readme");
    std::fs::write(&readme, "old").unwrap();
    chown(&readme, Some(UID), Some(UID)).unwrap();
    let output = Command::new(&exe)
        .arg("user-mode")
        .arg(dir.path())
        .env_clear()
        .uid(UID)
        .gid(UID)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("single_uid"), "{said}");
    assert_eq!(
        &lines[1..],
        [
            "inside: 1000 new",
            "fork: newforkedmade ",
            "stopped: Killed",
            "view: new old",
            "stopped: Killed",
            "at rest: new old"
        ]
    );
    assert_eq!(std::fs::read_to_string(&readme).unwrap(), "old");
}
