//! Undo and its history, through the real binary.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Output,
};

use sandbar_host_tests::{Project, Server};

/// Every path with its bits and its bytes, or what it links to.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).expect("a directory can be listed") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            let content = if metadata.is_dir() {
                todo.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).expect("a file can be read")
            };
            seen.insert(path, (metadata.mode(), content));
        }
    }
    seen
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_approve_is_undone_after_a_restart_and_the_log_says_so() {
    let mut server = Server::start();
    let project = Project::new()
        .file("src/main.rs", "fn main() {}\n")
        .file("private", "secret\n")
        .file("gone/deep/file", "bye\n")
        .file("bin", [0, 159, 146, 150]);
    fs::set_permissions(project.path().join("private"), fs::Permissions::from_mode(0o600))
        .expect("bits can be set");
    symlink("private", project.path().join("link")).expect("a link can be made");
    let before = tree(project.path());
    let script = "echo '// more' >>src/main.rs; echo x >>private; rm -r gone; printf '\\0\\1' >bin; \
        ln -sf bin link; mkdir -p new/empty; echo n >new/file; chmod +x src/main.rs";
    let ran = server.sandbar(project.path(), &["run", "--name", "cart", "--", "sh", "-c", script]);
    assert!(ran.status.success(), "{:?}", text(&ran));
    let approved =
        server.sandbar(project.path(), &["approve", "cart", "--all", "--allow", "exec_bit"]);
    assert!(approved.status.success(), "{:?}", text(&approved));
    let after = tree(project.path());
    assert_ne!(after, before);
    assert!(!after.keys().any(|path| path.to_string_lossy().contains(".sandbar")), "{after:?}");
    server.kill();
    server.restart();
    // From below the source, with nothing named.
    let undone = server.sandbar(&project.path().join("src"), &["undo"]);
    assert!(undone.status.success(), "{:?}", text(&undone));
    assert_eq!(tree(project.path()), before, "{:?}", text(&undone));
    let (log, _) = text(&server.sandbar(project.path(), &["log"]));
    let user = log.lines().filter(|line| line.starts_with("Sandbox: cart")).count();
    assert_eq!(user, 2, "{log}");
    for line in
        ["(undone)", "Undoes:  ap_", "  M src/main.rs", "  D gone/deep/file", "  A new/file"]
    {
        assert!(log.contains(line), "{line:?} is not in {log}");
    }
    let (of_one, _) =
        text(&server.sandbar(&project.path().join("src"), &["log", "../bin", "-n", "1"]));
    assert!(of_one.starts_with("undo ap_") && of_one.contains("  M bin"), "{of_one}");
    // The sandbox has its changes still, and they are pending as before.
    let again =
        server.sandbar(project.path(), &["approve", "cart", "--all", "--allow", "exec_bit"]);
    assert!(again.status.success(), "{:?}", text(&again));
    assert_eq!(tree(project.path()), after);
    let removed = server.sandbar(project.path(), &["rm", "--force", "cart"]);
    assert!(removed.status.success(), "{:?}", text(&removed));
    let undone = server.sandbar(project.path(), &["undo", "--json"]);
    assert!(undone.status.success(), "{:?}", text(&undone));
    assert_eq!(tree(project.path()), before, "without its sandbox");
    let nothing = server.sandbar(project.path(), &["undo"]);
    assert_eq!(nothing.status.code(), Some(3), "{:?}", text(&nothing));
}

#[test]
fn b16_nothing_is_lost_where_the_host_went_on_after_an_approve() {
    let server = Server::start();
    let project = Project::new().file("both", "1\n2\n3\n4\n5\n").file("theirs", "base\n");
    let sandbox = server.create(&project);
    server.sh(&sandbox, "sed -i s/5/five/ both; echo agent >theirs");
    assert_eq!(server.approve_all(&sandbox).status, 200);
    fs::write(project.path().join("theirs"), "mine, not committed\n").expect("the host may write");
    let refused = server.sandbar(project.path(), &["undo"]);
    assert_eq!(refused.status.code(), Some(4), "{:?}", text(&refused));
    let (_, said) = text(&refused);
    assert!(said.contains("theirs: ") && said.contains("hint: "), "{said}");
    assert_eq!(project.read("theirs").expect("there"), b"mine, not committed\n");
    assert_eq!(project.read("both").expect("there"), b"1\n2\n3\n4\nfive\n");
    // Where it lies apart it is merged.
    fs::write(project.path().join("theirs"), "agent\n").expect("the host may write");
    fs::write(project.path().join("both"), "one\n2\n3\n4\nfive\n").expect("the host may write");
    let undone = server.sandbar(project.path(), &["undo"]);
    assert!(undone.status.success(), "{:?}", text(&undone));
    assert!(text(&undone).1.contains("both (merged"), "{:?}", text(&undone));
    assert_eq!(project.read("both").expect("there"), b"one\n2\n3\n4\n5\n");
    assert_eq!(project.read("theirs").expect("there"), b"base\n");
}

#[test]
fn b15_provenance_paths_are_those_of_the_source_when_scope_is_narrower() {
    let server = Server::start();
    let project = Project::new().file("sub/x", "old\n").file("top", "top\n");
    let sandbar = |words: &[&str]| {
        let output = server.sandbar(project.path(), words);
        assert!(output.status.success(), "{words:?}: {:?}", text(&output));
    };
    sandbar(&["create", "--scope", "sub", "--name", "narrow"]);
    sandbar(&["exec", "narrow", "--", "sh", "-c", "cd sub && echo new >x"]);
    sandbar(&["exec", "narrow", "--", "sh", "-c", "echo unwanted >sub/y; ! echo no >outside"]);
    sandbar(&["reject", "narrow", "sub/y"]);
    sandbar(&["approve", "narrow", "--all", "--allow", "exec_bit"]);
    let list = server.api("GET", "/v1/approves?path=sub", None).expect(200);
    let path = list["items"][0]["paths"][0]["path"].as_str().expect("text");
    assert_eq!(path, "sub/x");
    assert!(project.path().join(path).exists());
    let source = list["items"][0]["source"].as_str().expect("text");
    assert_eq!(Path::new(source), project.path());
}
