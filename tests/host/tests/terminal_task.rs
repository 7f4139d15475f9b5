//! `sandbar task run` as a person follows it: Ctrl-C leaves the task, and says so.

use std::time::Duration;

use sandbar_host_tests::{Project, Server, Terminal, eventually};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(30);

fn newest(server: &Server, sandbox: &str) -> Value {
    let list = format!("/v1/sandboxes/{sandbox}/tasks?limit=1");
    server.api("GET", &list, None).expect(200)["items"][0].clone()
}

#[test]
fn who_leaves_a_task_is_told_how_it_is_followed_and_ended() {
    let server = Server::start();
    let project = Project::new().file("README", "hello\n");
    let sandbox = server.create(&project);
    let Some(terminal) = Terminal::open(&server, project.path(), 200, 40) else { return };
    let run = "sandbar task run wait --agent command -- sh -c 'echo begun; exec sleep 600'";
    terminal.press(&[&format!("{run}; echo code=$?"), "Enter"]);
    terminal.shows("\nbegun");
    // The second one finds nothing that it could do harm to.
    terminal.press(&["C-c", "C-c"]);
    let screen = terminal.shows("code=130");
    let id = newest(&server, &sandbox)["id"].as_str().expect("an id").to_owned();
    for what in ["logs -f", "cancel"] {
        assert!(screen.contains(&format!("`sandbar task {what} {id}`")), "{screen}");
    }
    assert_eq!(newest(&server, &sandbox)["state"], "running");
    assert!(terminal.is_sane());
    // What it said does what it says.
    terminal.press(&["clear", "Enter"]);
    let follow = format!("sandbar task logs -f {id}; echo code=$?");
    terminal.press(&[&follow, "Enter"]);
    // Below what was typed: the same word is on the screen until it is cleared, and a shell takes Ctrl-C for itself.
    eventually("it follows", DEADLINE, || {
        let screen = terminal.screen();
        let shown = screen.rsplit_once(&follow).map(|(_, shown)| shown.contains("\nbegun"));
        if shown == Some(true) { Ok(()) } else { Err(screen) }
    });
    terminal.press(&["C-c"]);
    terminal.shows("code=130");
    terminal.press(&["clear", "Enter"]);
    terminal.press(&[&format!("sandbar task cancel {id}; echo code=$?"), "Enter"]);
    terminal.shows("code=0");
    eventually("it is ended", DEADLINE, || {
        let task = newest(&server, &sandbox);
        if task["state"] == "cancelled" { Ok(()) } else { Err(task) }
    });
}
