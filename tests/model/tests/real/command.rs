//! Any command.

use sandbar_agents::Step;

use crate::drive::{Place, Ran, React, run};

fn sh(script: &str, prompt: &str) -> (Place, Ran) {
    let place = Place::new("/bin/sh".into());
    let mut order = place.order(prompt);
    order.command = ["sh", "-c", script].map(str::to_owned).into();
    let ran =
        run(sandbar_agents::by_name("command").unwrap(), &place, &order, |_: &Step| React::Nothing);
    (place, ran)
}

#[test]
fn it_gets_the_prompt_and_its_last_line_is_the_message() {
    let (place, ran) =
        sh("cat > made-by-agent.txt; echo one; echo; echo two", "write this\nand this");
    assert_eq!(ran.succeeded(), "two");
    assert_eq!(ran.message(), "onetwo");
    assert_eq!(place.made().as_deref(), Some("write this\nand this\n"));
}

#[test]
fn its_exit_code_decides() {
    let (_place, ran) = sh("cat >/dev/null; echo half; echo broken >&2; exit 7", "go");
    assert_eq!(ran.failed(), "the command exited with code 7: broken");
    let (_place, ran) = sh("cat >/dev/null; echo half; exit 7", "go");
    assert_eq!(ran.failed(), "the command exited with code 7: half");
}

#[test]
fn a_silent_one_is_done_too() {
    let (_place, ran) = sh("cat >/dev/null", "go");
    assert_eq!(ran.succeeded(), "");
}

#[test]
fn one_that_does_not_read_is_not_waited_for() {
    let (_place, ran) = sh("exec <&-; echo done", &"x".repeat(1 << 20));
    assert_eq!(ran.succeeded(), "done");
}
