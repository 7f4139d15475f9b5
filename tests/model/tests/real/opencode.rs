//! OpenCode, through the Agent Client Protocol.

use std::fs;

use sandbar_types::{QuestionKind, ToolState};

use crate::{
    drive::{Place, installed},
    subject::Subject,
};

fn subject() -> Option<Subject> {
    Subject::new(
        "opencode",
        |model| {
            let place =
                Place::new(installed("opencode")?).set("ANTHROPIC_API_KEY", "sandbar-placeholder");
            // In a sandbox the proxy answers for the true host; here the file says where the model is.
            let dir = place.home().join(".config/opencode");
            fs::create_dir_all(&dir).unwrap();
            let provider =
                format!(r#"{{"anthropic": {{"options": {{"baseURL": "{}/v1"}}}}}}"#, model.url);
            fs::write(dir.join("opencode.json"), format!(r#"{{"provider": {provider}}}"#)).unwrap();
            Some(place)
        },
        |order| order.model = Some("anthropic/claude-sonnet-4-5".to_owned()),
    )
}

#[test]
fn it_edits() {
    let Some(it) = subject() else { return };
    let ran = it.run("EDIT please");
    assert!(ran.succeeded().starts_with("I am done"), "{ran:#?}");
    assert!(ran.message().contains(ran.succeeded()), "{ran:#?}");
    assert_eq!(it.place.made().as_deref(), Some("made by the agent\n"));
    assert!(ran.has_tool(ToolState::Running) && ran.has_tool(ToolState::Completed), "{ran:#?}");
    assert!(ran.changed().iter().any(|path| path.ends_with("made-by-agent.txt")), "{ran:#?}");
    let usage = ran.usage.unwrap_or_default();
    assert!(usage.input_tokens > Some(0) && usage.output_tokens > Some(0), "{ran:#?}");
    assert!(ran.session.is_some() && ran.questions.is_empty(), "{ran:#?}");
    let carried = |request: &sandbar_test_model::Record| {
        request.header("x-api-key") == Some("sandbar-placeholder")
    };
    assert!(it.model.requests().iter().any(carried), "{:#?}", it.model.requests());
}

#[test]
fn it_offers_no_question() {
    let Some(it) = subject() else { return };
    // Its tool `question` is for its own clients alone.
    assert!(it.run("ASK me").succeeded().starts_with("I have no tool for that"));
}

#[test]
fn a_permission_that_is_given_lets_it_edit() {
    let Some(it) = subject() else { return };
    let ran = it.run_asked("EDIT please", true);
    assert_eq!(ran.questions.len(), 1, "{ran:#?}");
    assert_eq!(ran.questions[0].kind, QuestionKind::Permission);
    assert!(ran.succeeded().starts_with("I am done"), "{ran:#?}");
    assert!(it.place.made().is_some());
}

#[test]
fn a_permission_that_is_refused_does_not() {
    let Some(it) = subject() else { return };
    let ran = it.run_asked("EDIT please", false);
    assert_eq!(ran.questions.len(), 1, "{ran:#?}");
    assert!(it.place.made().is_none());
    assert!(ran.has_tool(ToolState::Failed), "{ran:#?}");
    assert!(ran.changed().is_empty());
}

#[test]
fn it_tries_again_after_a_rate_limit() {
    let Some(it) = subject() else { return };
    let ran = it.run("RATE then");
    assert!(ran.succeeded().starts_with("I am done"), "{ran:#?}");
    assert!(it.place.made().is_some());
}

#[test]
fn an_error_of_the_model_is_the_error_of_the_task() {
    let Some(it) = subject() else { return };
    let ran = it.run("ERROR then");
    assert!(ran.failed().contains("The model refused, as the test wanted it."), "{ran:#?}");
}

#[test]
fn it_goes_on_after_a_cut() {
    let Some(it) = subject() else { return };
    let ran = it.run("CUT then");
    assert!(ran.succeeded().starts_with("I am done"), "{ran:#?}");
    assert!(it.place.made().is_some());
}

#[test]
fn it_stops_when_it_is_cancelled() {
    let Some(it) = subject() else { return };
    let ran = it.run_cancelled("SLOW please");
    assert_eq!(ran.failed(), "cancelled", "{ran:#?}");
    assert!(ran.finished.is_some(), "it says itself that it is done: {ran:#?}");
}

#[test]
fn it_goes_on_with_a_session() {
    let Some(it) = subject() else { return };
    let (ran, sent) = it.run_on("remember the word lighthouse", "what was it?", |_| {});
    ran.succeeded();
    assert!(!ran.message().contains("28 bytes"), "the past is not told again: {ran:#?}");
    assert!(sent.contains("remember the word lighthouse"), "{sent}");
}

#[test]
fn a_session_that_is_not_there_is_an_error() {
    let Some(it) = subject() else { return };
    let mut order = it.order("go on");
    order.session = Some("ses_000000000000000000000000".to_owned());
    let ran = it.run_order(&order);
    ran.failed();
    assert!(ran.message().is_empty(), "{ran:#?}");
}
