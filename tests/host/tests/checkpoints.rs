//! Checkpoints through the real binary: made while it runs, compared, gone back to, taken back, and never half.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sandbar_host_tests::{Leaks, Project, Server, eventually};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

fn address(sandbox: &str, rest: &str) -> String {
    format!("/v1/sandboxes/{sandbox}/{rest}")
}

fn make(server: &Server, sandbox: &str, label: Option<&str>) -> String {
    let body = label.map(|label| json!({ "label": label }));
    let made = server.api("POST", &address(sandbox, "checkpoints"), body.as_ref()).expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

fn restore(server: &Server, sandbox: &str, checkpoint: &str) -> Value {
    let path = address(sandbox, &format!("checkpoints/{checkpoint}/restore"));
    server.api("POST", &path, None).expect(200)
}

fn order(server: &Server, method: &str, path: &str) {
    let reply = server.api(method, path, None);
    assert!(reply.status < 300, "{method} {path}: {reply:?}");
}

fn list(server: &Server, sandbox: &str) -> Vec<Value> {
    let found = server.api("GET", &address(sandbox, "checkpoints?limit=200"), None).expect(200);
    found["items"].as_array().expect("a list").clone()
}

/// The paths that differ between a checkpoint and `to`.
fn changed(server: &Server, sandbox: &str, checkpoint: &str, to: &str) -> Vec<String> {
    let path = address(sandbox, &format!("checkpoints/{checkpoint}/changes?to={to}"));
    let found = server.api("GET", &path, None).expect(200);
    let changes = found["changes"].as_array().expect("a list");
    changes.iter().map(|one| one["path"].as_str().expect("text").to_owned()).collect()
}

/// What the sandbox sees: names, bits, owners, times of files, content.
fn tree(server: &Server, sandbox: &str) -> String {
    let look = "find . -not -name . -not -type d -printf '%p %M %U %G %T@ %l\\n' | sort; \
        find . -type d -printf '%p %M %U\\n' | sort; find . -type f -exec sha256sum {} + | sort";
    server.sh(sandbox, look)
}

fn project() -> Project {
    Project::new()
        .file("page", "1\n2\n3\n4\n5\n6\n7\n8\n9\n")
        .file("old/one", "one\n")
        .file("old/two", "two\n")
        .file("gone", "gone\n")
}

fn checkpoints_dir(server: &Server, sandbox: &str) -> PathBuf {
    server.data_dir().join("sandboxes").join(sandbox).join("checkpoints")
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a2_a_restore_keeps_what_was_there_and_brings_back_everything() {
    let server = Server::start_in(Path::new("/var/tmp"));
    let project = project();
    let sandbox = server.create(&project);
    server.sh(&sandbox, "mv old moved; rm gone; echo more >>page; mkdir -p deep/er; ln -s nowhere link; mkfifo pipe; \
        truncate -s 64M sparse; chmod 4751 moved/one; touch -d 2001-01-01 moved/two; ln page named; mkdir empty");
    let first = tree(&server, &sandbox);
    let one = make(&server, &sandbox, Some("first"));
    assert_eq!(changed(&server, &sandbox, &one, "now"), [] as [&str; 0]);
    server.sh(&sandbox, "rm -r moved deep empty pipe link; echo other >page; mkdir link; echo new >link/file; mkdir old; echo again >old/one");
    let second = tree(&server, &sandbox);
    assert_ne!(first, second);
    assert!(changed(&server, &sandbox, &one, "now").contains(&"link/file".to_owned()));
    let done = restore(&server, &sandbox, &one);
    assert_eq!(tree(&server, &sandbox), first, "a5: nothing is left out");
    let kept = done["kept"].as_str().expect("an id").to_owned();
    assert_eq!(list(&server, &sandbox)[0]["kind"], "kept");
    // Stopped it works as well, and what a restore replaced is there.
    order(&server, "POST", &address(&sandbox, "stop"));
    restore(&server, &sandbox, &kept);
    order(&server, "POST", &address(&sandbox, "start"));
    assert_eq!(tree(&server, &sandbox), second);
    // The source knows nothing of it.
    assert_eq!(project.read("old/one").expect("there"), b"one\n");
    assert_eq!(changed(&server, &sandbox, &kept, "now"), [] as [&str; 0]);
    let from_source = changed(&server, &sandbox, &one, "source");
    let now = server.changes(&sandbox)["items"].as_array().map(Vec::len);
    assert!(!from_source.is_empty() && now > Some(3), "{from_source:?}, {now:?}");
}

#[test]
fn a_checkpoint_is_of_one_instant_while_the_sandbox_writes() {
    let server = Server::start_in(Path::new("/var/tmp"));
    let project = project();
    let sandbox = server.create(&project);
    // Both files have the same number, but for the moment between two writes, and each write is seen by a fault only once.
    let script = "import mmap, os\n\
        open('a','w').write('0'*4096); open('b','w').write('0'*4096); open('still','w').write('still')\n\
        f=[open(n,'r+b') for n in 'ab']; m=[mmap.mmap(x.fileno(), 4096) for x in f]\n\
        i=0\n\
        while not os.path.exists('end'):\n    i+=1\n    for x in m: x[0:12]=b'%012d' % i\n";
    let body = json!({ "argv": ["python3", "-c", script] });
    let started = server.api("POST", &address(&sandbox, "execs"), Some(&body));
    assert_eq!(started.status, 201, "{started:?}");
    eventually("it writes", DEADLINE, || {
        let seen = server.exec(&sandbox, &["sh", "-c", "test -s still && head -c 12 b"]);
        let text = seen["stdout"]["text"].as_str().unwrap_or_default().to_owned();
        if text.as_str() > "000000000100" { Ok(()) } else { Err(text) }
    });
    let ids: Vec<_> = (0..6).map(|_| make(&server, &sandbox, None)).collect();
    let dir = checkpoints_dir(&server, &sandbox);
    let number = |id: &str, name: &str| -> u64 {
        let text = fs::read(dir.join(id).join("held").join(name)).expect("it is there");
        String::from_utf8_lossy(&text[..12]).parse().expect("a number")
    };
    let mut last = 0;
    for id in &ids {
        let (a, b) = (number(id, "a"), number(id, "b"));
        assert!(a == b || a == b + 1, "{a}, {b}");
        // Written through a mapping, which moves no time of its own: a copy that was shared would stand still.
        assert!(a > last, "{id}: {a} after {last}");
        last = a;
    }
    server.sh(&sandbox, "touch end");
}

#[test]
fn one_piece_of_work_is_taken_back_and_what_overlaps_is_a_conflict() {
    let server = Server::start();
    let project = project();
    let sandbox = server.create(&project);
    let before = make(&server, &sandbox, Some("before"));
    server
        .sh(&sandbox, "sed -i s/2/two/ page; rm gone; mv old new; echo task >made; chmod +x made");
    let after = make(&server, &sandbox, Some("after"));
    assert_eq!(
        changed(&server, &sandbox, &before, &after),
        ["gone", "made", "new", "new/one", "new/two", "old", "old/one", "old/two", "page"]
    );
    let path = address(&sandbox, &format!("checkpoints/{before}/diff?to={after}"));
    let diff = server.api("GET", &path, None);
    let text = String::from_utf8_lossy(&diff.body).into_owned();
    assert!(text.contains("-2\n+two\n") && text.contains("deleted file"), "{text}");
    server.sh(&sandbox, "sed -i s/8/eight/ page; echo later >later; sleep 1000 >/dev/null 2>&1 &");
    let body = json!({ "before": before, "after": after });
    let done = server.api("POST", &address(&sandbox, "revert"), Some(&body)).expect(200);
    assert_eq!(done["merged"], json!(["page"]));
    let seen =
        server.sh(&sandbox, "cat page; cat gone old/one later; test ! -e made && test ! -e new");
    assert_eq!(seen, "1\n2\n3\n4\n5\n6\n7\neight\n9\ngone\none\nlater\n");
    let again = server.api("POST", &address(&sandbox, "revert"), Some(&body)).expect(200);
    assert_eq!(again["paths"], json!([]));
    // From the command line, with the names that people gave.
    restore(&server, &sandbox, &after);
    server.sh(&sandbox, "sed -i s/two/2.0/ page; echo mine >gone");
    let held = tree(&server, &sandbox);
    let refused =
        server.sandbar(server.data_dir(), &["checkpoint", "revert", &sandbox, "before", "after"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let refused = server.api("POST", &address(&sandbox, "revert"), Some(&body));
    assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("revert_conflict")));
    assert_eq!(refused.json()["details"]["paths"], json!(["gone", "page"]));
    assert_eq!(tree(&server, &sandbox), held, "nothing was written");
    for words in [
        &["timeline", &sandbox][..],
        &["checkpoint", "ls", &sandbox],
        &["checkpoint", "diff", &sandbox, "before", "after"],
    ] {
        let shown = server.sandbar(server.data_dir(), words);
        assert!(shown.status.success() && !shown.stdout.is_empty(), "{words:?}: {shown:?}");
    }
}

#[test]
fn a_killed_server_leaves_no_half_checkpoint_and_no_half_restore() {
    let mut server = Server::start_in(Path::new("/var/tmp"));
    let project = project();
    let sandbox = server.create(&project);
    let write = "for n in $(seq 400); do echo %s $n >f$n; done";
    server.sh(&sandbox, &write.replace("%s", "first"));
    let one = make(&server, &sandbox, Some("one"));
    server.sh(&sandbox, &format!("{}; rm f7; echo x >only", write.replace("%s", "second")));
    let two = make(&server, &sandbox, Some("two"));
    let (first, second) = ("first 1\nfirst 400\n", "second 1\nsecond 400\n");
    let look = "cat f1 f400; cat f* | cut -d' ' -f1 | sort -u | wc -l";
    let intent = checkpoints_dir(&server, &sandbox).join("intent.json");
    let mut met = 0;
    for round in 0..12_u64 {
        let to = if round % 2 == 0 { &one } else { &two };
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let path = address(&sandbox, &format!("checkpoints/{to}/restore"));
                let reply = server.try_api("POST", &path, None);
                let made = server.try_api("POST", &address(&sandbox, "checkpoints"), None);
                (reply.map(|reply| reply.status), made.map(|reply| reply.status))
            });
            if round % 3 == 0 {
                // Looked for without a pause, because a restore takes but moments.
                let end = std::time::Instant::now() + DEADLINE;
                while !intent.exists() && !asking.is_finished() && std::time::Instant::now() < end {
                    std::hint::spin_loop();
                }
            } else {
                // At another moment each time.
                let until = std::time::Instant::now() + Duration::from_millis(20 + round * 25);
                eventually("the moment comes", DEADLINE, || {
                    if std::time::Instant::now() >= until { Ok(()) } else { Err(()) }
                });
            }
            server.crash();
            asking.join().expect("it does not panic")
        })
        .0
        .ok();
        server.kill();
        met += u32::from(intent.exists());
        server.restart();
        let seen = server.sh(&sandbox, look);
        let is_whole = seen == format!("{first}1\n") || seen == format!("{second}1\n");
        assert!(is_whole, "round {round}: {seen}");
        let dir = checkpoints_dir(&server, &sandbox);
        let known: BTreeSet<_> = list(&server, &sandbox)
            .iter()
            .map(|one| one["id"].as_str().expect("an id").to_owned())
            .collect();
        let mut there = names(&dir);
        there.remove("views");
        assert_eq!(there, known, "round {round}: only whole ones are there");
        assert_eq!(names(&dir.join("views")), BTreeSet::new(), "round {round}");
    }
    assert!(met > 0, "no kill met a restore under way");
    restore(&server, &sandbox, &one);
    assert_eq!(server.sh(&sandbox, look), format!("{first}1\n"));
    restore(&server, &sandbox, &two);
    assert_eq!(server.sh(&sandbox, look), format!("{second}1\n"));
}

#[test]
fn what_is_removed_leaves_nothing() {
    let server = Server::start();
    let leaks = Leaks::count(server.data_dir());
    let project = project();
    let sandbox = server.create(&project);
    server.sh(&sandbox, "echo a >a; mkdir locked; echo b >locked/b; chmod 0 locked");
    let ids: Vec<_> = (0..3).map(|_| make(&server, &sandbox, None)).collect();
    changed(&server, &sandbox, &ids[0], "now");
    let dir = checkpoints_dir(&server, &sandbox);
    let one = address(&sandbox, &format!("checkpoints/{}", ids[1]));
    order(&server, "DELETE", &one);
    assert_eq!(server.api("DELETE", &one, None).status, 404);
    assert_eq!(server.api("GET", &one, None).json()["code"], "checkpoint_not_found");
    assert!(!dir.join(&ids[1]).exists() && dir.join(&ids[0]).exists());
    assert_eq!(names(&dir.join("views")), BTreeSet::new(), "nobody looks any more");
    assert_eq!(restore(&server, &sandbox, &ids[0])["paths"], json!([]));
    order(&server, "DELETE", &format!("/v1/sandboxes/{sandbox}"));
    eventually("nothing is left on the disk", DEADLINE, || {
        let left = [server.data_dir().join("trash"), server.data_dir().join("sandboxes")];
        let left: BTreeSet<_> = left.iter().flat_map(|dir| names(dir)).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    eventually("nothing is left of it", DEADLINE, || {
        let now = Leaks::count(server.data_dir());
        if now.mounts == leaks.mounts && now.sockets <= leaks.sockets {
            Ok(())
        } else {
            Err(now.beyond(&leaks))
        }
    });
}
