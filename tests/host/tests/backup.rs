//! The server's own state in one file, made while the server runs, and put back with nothing lost.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use sandbar_host_tests::{Project, Server};

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn bak5_what_a_running_server_backed_up_is_restored_over_a_damaged_store() {
    let mut server = Server::start();
    let project = Project::new().file("main.rs", "1\n");
    let place = tempfile::tempdir().expect("made");
    let (good, cold) = (place.path().join("good"), place.path().join("cold"));
    let (good, cold) = (good.to_str().expect("text"), cold.to_str().expect("text"));
    done(&server.sandbar(project.path(), &["create", "--name", "bak5"]));
    done(&server.sandbar(project.path(), &["exec", "bak5", "--", "sh", "-c", "echo 2 >main.rs"]));
    let key = server.sandbar(Path::new("/"), &["key", "create", "ci"]);
    done(&key);
    let key = String::from_utf8_lossy(&key.stdout).trim().to_owned();
    let keys = server.sandbar(Path::new("/"), &["key", "ls", "--json"]).stdout;

    let run = |server: &Server, args: &[&str]| server.sandbar(Path::new("/"), args);
    done(&run(&server, &["backup", "create", good]));
    done(&run(&server, &["backup", "verify", good]));
    let bytes = fs::read(good).expect("read");
    assert!(!key.is_empty() && !bytes.windows(key.len()).any(|there| there == key.as_bytes()));
    assert_eq!(fs::metadata(good).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(place.path()).expect("listed").count(),
        1,
        "something is left beside it"
    );
    let again = run(&server, &["backup", "create", good]);
    assert_eq!(again.status.code(), Some(4), "{}", told(&again));
    let refused = run(&server, &["backup", "restore", good, "--replace"]);
    assert_eq!(refused.status.code(), Some(4), "{}", told(&refused));

    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(place.path().join("damaged"), damaged).expect("written");
    let damaged = place.path().join("damaged");
    let found = run(&server, &["backup", "verify", damaged.to_str().expect("text")]);
    assert_eq!(found.status.code(), Some(1), "{}", told(&found));
    assert!(told(&found).contains("`sandbar.db` in it is damaged"), "{}", told(&found));

    server.kill();
    done(&run(&server, &["backup", "create", cold]));
    let refused = run(&server, &["backup", "restore", good]);
    assert_eq!(refused.status.code(), Some(4), "{}", told(&refused));
    assert!(told(&refused).contains("--replace"), "{}", told(&refused));
    let store = server.data_dir().join("sandbar.db");
    let mut broken = fs::read(&store).expect("read");
    broken[4096..].fill(0xa5);
    fs::write(&store, &broken).expect("written");
    for log in ["sandbar.db-wal", "sandbar.db-shm"] {
        fs::remove_file(server.data_dir().join(log)).ok();
    }
    let start = run(&server, &["serve", "--listen", "none"]);
    let exact =
        format!("sandbar backup restore FILE --replace --data-dir {}", server.data_dir().display());
    assert!(!start.status.success() && told(&start).contains(&exact), "{}", told(&start));
    assert_eq!(fs::read(&store).expect("read"), broken, "it was changed");

    done(&run(&server, &["backup", "restore", good, "--replace"]));
    let aside = server.data_dir().join("replaced-1/sandbar.db");
    assert_eq!(fs::read(aside).expect("moved aside"), broken);
    server.restart();
    assert_eq!(run(&server, &["key", "ls", "--json"]).stdout, keys);
    let changes = run(&server, &["changes", "bak5"]);
    assert!(String::from_utf8_lossy(&changes.stdout).contains("main.rs"), "{changes:?}");
}
