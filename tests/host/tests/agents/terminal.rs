//! Agents as a person has them: in a terminal, with `sandbar run` before their name, and nothing to answer before the
//! first word is typed.

use sandbar_host_tests::Terminal;

use super::*;

/// The name of the sandbox.
const NAME: &str = "by-hand";
/// What shows how a terminal was left.
const MODES: &str = "stty -a | tr ' ' '\\n' | grep -e icanon -e echo$";

/// An agent, and what its screen says.
struct Program {
    /// What is typed.
    command: &'static str,
    /// It waits for a prompt.
    ready: &'static str,
    /// It asks whether it may write the file, where it does; Enter is yes.
    asks: Option<&'static str>,
}

fn open(subject: &Subject) -> Option<Terminal> {
    let terminal = Terminal::open(&subject.server, subject.project.path(), 120, 40)?;
    // A word of the agent is no word of ours: nothing of an earlier screen is found again.
    terminal.tmux(&["set-option", "-g", "history-limit", "0"]);
    Some(terminal)
}

/// Starts it, and has it make a file.
fn does_a_task(subject: &mut Subject, terminal: &Terminal, program: &Program) {
    let run = format!("sandbar run --name {NAME} -- {}; echo code=$?; {MODES}", program.command);
    terminal.press(&[&run, "Enter"]);
    terminal.shows(program.ready);
    NAME.clone_into(&mut subject.sandbox);
    types(terminal, "EDIT please");
    if let Some(asks) = program.asks {
        terminal.shows(asks);
        terminal.press(&["Enter"]);
    }
    terminal.shows("I am done");
    assert_eq!(subject.made(), "made by the agent\n");
    assert!(!subject.project.path().join(MADE).exists(), "it is in the sandbox, and not here");
}

/// Types a line, and ends it once it is seen: agents take a line that comes all at once for one that was pasted.
fn types(terminal: &Terminal, line: &str) {
    terminal.press(&["-l", line]);
    terminal.shows(line);
    terminal.press(&["Enter"]);
}

/// Another size of the window is one of the terminal inside, and is drawn on.
fn is_resized(server: &Server, terminal: &Terminal) {
    terminal.tmux(&["resize-window", "-x", "100", "-y", "30"]);
    eventually("the terminal inside has the size", DEADLINE, || {
        let sizes = server.sh(NAME, "for it in /dev/pts/[0-9]*; do stty size -F $it; done; true");
        if sizes.contains("30 100") { Ok(()) } else { Err(sizes) }
    });
    terminal.shows("I am done");
}

/// It ended, and everything is as it was, but for what is to be looked at.
fn has_ended(subject: &Subject, terminal: &Terminal, code: &str) {
    let screen = terminal.shows("\nicanon\necho\n");
    assert!(screen.contains(code), "{screen}");
    assert!(screen.contains(&format!("{NAME}: 1 change (1 added)")), "{screen}");
    assert!(terminal.is_sane(), "{screen}");
    assert_eq!(subject.server.changes(NAME)["items"][0]["path"], MADE);
}

#[test]
fn claude_code_in_a_terminal_asks_nothing_works_and_gives_it_back() {
    let Some(mut subject) = Subject::new("claude-code", "claude-code") else { return };
    let Some(terminal) = open(&subject) else { return };
    let program = Program { command: "claude", ready: "shift+tab to cycle", asks: None };
    does_a_task(&mut subject, &terminal, &program);
    is_resized(&subject.server, &terminal);
    subject.is_at_the_model("x-api-key", "");
    subject.is_nowhere();
    subject.sees_what_is_inside();
    // Ctrl-C is the agent's, as in any terminal.
    terminal.press(&["C-c"]);
    terminal.shows("again to exit");
    terminal.press(&["C-c"]);
    has_ended(&subject, &terminal, "code=0");
    // From a shell, in the same sandbox: nothing is asked there either.
    terminal.press(&["clear", "Enter"]);
    terminal.press(&[&format!("sandbar start {NAME}; sandbar shell {NAME}"), "Enter"]);
    terminal.shows("(sandbox)");
    terminal.press(&["claude; echo code=$?", "Enter"]);
    terminal.shows(program.ready);
    types(&terminal, "/exit");
    terminal.shows("code=0");
    terminal.press(&["exit", "Enter"]);
    terminal.shows("ready>");
    subject.is_nowhere();
}

#[test]
fn codex_in_a_terminal_asks_nothing_works_and_gives_it_back() {
    let Some(mut subject) = Subject::new("codex", "codex") else { return };
    let Some(terminal) = open(&subject) else { return };
    let program = Program { command: "codex", ready: "Ask Codex to do anything", asks: None };
    does_a_task(&mut subject, &terminal, &program);
    is_resized(&subject.server, &terminal);
    subject.is_at_the_model("authorization", "Bearer ");
    subject.is_nowhere();
    types(&terminal, "/exit");
    has_ended(&subject, &terminal, "code=0");
}

#[test]
fn gemini_in_a_terminal_works_and_gives_it_back() {
    let Some(mut subject) = Subject::new("gemini", "gemini") else { return };
    let Some(terminal) = open(&subject) else { return };
    let asks = Some("Apply this change?");
    let program = Program { command: "gemini", ready: "Type your message", asks };
    does_a_task(&mut subject, &terminal, &program);
    is_resized(&subject.server, &terminal);
    subject.is_at_the_model("x-goog-api-key", "");
    subject.is_nowhere();
    types(&terminal, "/quit");
    has_ended(&subject, &terminal, "code=0");
}

#[test]
fn opencode_in_a_terminal_asks_nothing_works_and_gives_it_back() {
    let Some(mut subject) = Subject::new("opencode", "claude-code") else { return };
    let Some(terminal) = open(&subject) else { return };
    let program = Program { command: "opencode", ready: "Ask anything", asks: None };
    does_a_task(&mut subject, &terminal, &program);
    is_resized(&subject.server, &terminal);
    subject.is_at_the_model("x-api-key", "");
    subject.is_nowhere();
    types(&terminal, "/exit");
    has_ended(&subject, &terminal, "code=0");
}
