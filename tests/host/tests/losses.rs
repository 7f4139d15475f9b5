//! What looks like nothing being there is not taken for nothing being there: that is how work gets lost.

use std::{fs, path::Path};

use sandbar_host_tests::{Project, Server};

#[test]
fn e1_a_source_that_is_not_there_is_not_taken_for_an_empty_one() {
    let server = Server::start();
    let project = Project::new().file("main.rs", "1\n").file("gone", "2\n");
    let (home, away) = (project.path().to_owned(), project.path().with_extension("away"));
    let elsewhere = Path::new("/");
    let run = |args: &[&str]| server.sandbar(elsewhere, args);
    let edit = "echo x >main.rs; rm gone; echo new >new";
    let ran = server.sandbar(&home, &["run", "--name", "e1", "--", "sh", "-c", edit]);
    assert!(ran.status.success(), "{ran:?}");
    let before = run(&["changes", "e1"]);
    assert!(before.status.success(), "{before:?}");

    let every = [
        &["changes", "e1"][..],
        &["diff", "e1"],
        &["approve", "e1", "--all", "--force"],
        &["reject", "e1", "--all"],
        &["refresh", "e1"],
        &["start", "e1"],
    ];
    let refused = |why: &str| {
        for args in every {
            let refused = run(args);
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success() && said.contains(why), "{args:?}: {said}");
            assert!(said.contains("what the sandbox changed is kept"), "{args:?}: {said}");
        }
    };
    fs::rename(&home, &away).expect("moved");
    refused("cannot be found");
    assert!(!home.exists(), "nothing was made in its place");

    // As a disk looks that is not mounted.
    fs::create_dir(&home).expect("made");
    refused("is not the directory that the sandbox is a view of");
    assert_eq!(fs::read_dir(&home).expect("listed").count(), 0, "nothing was written to it");

    fs::remove_dir(&home).expect("removed");
    fs::rename(&away, &home).expect("moved back");
    assert_eq!(run(&["changes", "e1"]).stdout, before.stdout, "nothing was lost meanwhile");
    let approved = run(&["approve", "e1", "--all"]);
    assert!(approved.status.success(), "{approved:?}");
    assert_eq!(project.read("main.rs").as_deref(), Some(&b"x\n"[..]));
    assert_eq!((project.read("new").is_some(), project.read("gone")), (true, None));
}

#[test]
fn e1_a_running_sandbox_does_not_write_to_what_took_the_place_of_its_source() {
    let server = Server::start();
    let project = Project::new().file("main.rs", "1\n");
    let (home, away) = (project.path().to_owned(), project.path().with_extension("away"));
    let run = |args: &[&str]| server.sandbar(Path::new("/"), args);
    let made = server.sandbar(&home, &["create", "--name", "e1"]);
    assert!(made.status.success(), "{made:?}");
    let edited = run(&["exec", "e1", "--", "sh", "-c", "echo new >new"]);
    assert!(edited.status.success(), "{edited:?}");
    fs::rename(&home, &away).expect("moved");
    fs::create_dir(&home).expect("made");
    let refused = run(&["approve", "e1", "--all"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("is not the directory"), "{said}");
    assert_eq!(fs::read_dir(&home).expect("listed").count(), 0, "nothing was written to it");
    // Its files can be had all the same.
    let read = run(&["exec", "e1", "--", "cat", "new"]);
    assert_eq!(read.stdout, b"new\n", "{read:?}");
    fs::remove_dir(&home).expect("removed");
    fs::rename(&away, &home).expect("moved back");
    let approved = run(&["approve", "e1", "--all"]);
    assert!(approved.status.success(), "{approved:?}");
    assert_eq!(project.read("new").as_deref(), Some(&b"new\n"[..]));
}
