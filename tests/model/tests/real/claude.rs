//! Claude Code.

use sandbar_types::{Answer, QuestionKind, ToolState};

use crate::{
    drive::{Place, installed},
    subject::Subject,
};

fn subject() -> Option<Subject> {
    Subject::new(
        "claude-code",
        |model| {
            let place = Place::new(installed("claude")?);
            Some(
                place
                    .set("ANTHROPIC_BASE_URL", &model.url)
                    .set("ANTHROPIC_API_KEY", "sandbar-placeholder"),
            )
        },
        |_| {},
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
fn its_question_is_asked_also_where_everything_is_allowed() {
    let Some(it) = subject() else { return };
    let ran = it.run_answered("ASK me", &Answer::Option("Blue".to_owned()));
    assert!(ran.succeeded().contains("Blue"), "{ran:#?}");
    assert_eq!(ran.questions.len(), 1);
    let question = &ran.questions[0];
    assert_eq!((question.kind, question.text.as_str()), (QuestionKind::Question, "Which color?"));
    assert_eq!(
        question.options.iter().map(|option| option.id.as_str()).collect::<Vec<_>>(),
        ["Red", "Blue"]
    );
}

#[test]
fn words_answer_its_question() {
    let Some(it) = subject() else { return };
    let ran = it.run_answered("ASK me", &Answer::Text("Green, if you have it".to_owned()));
    assert!(ran.succeeded().contains("Green, if you have it"), "{ran:#?}");
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
    assert!(ran.statuses().iter().any(|text| text.contains("429")), "{ran:#?}");
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
    order.session = Some("7a7e2b5e-3c1c-4f43-9d4e-2f2f4b6f0c11".to_owned());
    let ran = it.run_order(&order);
    ran.failed();
    assert!(ran.message().is_empty(), "{ran:#?}");
}
