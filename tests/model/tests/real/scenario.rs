//! What every real agent is held to, whatever it speaks.

use sandbar_types::{Answer, QuestionKind, ToolState};

use crate::{
    drive::{Place, Ran},
    subject::Subject,
};

/// A test of its own for each scenario, under the scenario's name or another one; it passes where the agent is not there.
macro_rules! behaves {
    ($($name:ident $(as $test:ident)? ( $($value:expr),* )),* $(,)?) => {
        $($crate::scenario::behaves!(@one $name [$($test)?] ($($value),*));)*
    };
    (@one $name:ident [] ($($value:expr),*)) => {
        $crate::scenario::behaves!(@one $name [$name] ($($value),*));
    };
    (@one $name:ident [$test:ident] ($($value:expr),*)) => {
        #[test]
        fn $test() {
            if let Some(it) = subject() {
                $crate::scenario::$name(&it, $($value),*);
            }
        }
    };
}
pub(crate) use behaves;

/// The task is done, and its file is there.
fn made(it: &Subject, ran: &Ran) {
    assert!(ran.succeeded().starts_with("I am done"), "{ran:#?}");
    assert!(it.place.made().is_some());
}

/// With its key in `header`.
pub(crate) fn it_edits(it: &Subject, (header, key): (&str, &str)) {
    let ran = it.run("EDIT please");
    assert!(ran.succeeded().starts_with("I am done"), "{ran:#?}");
    assert!(ran.message().contains(ran.succeeded()), "{ran:#?}");
    assert_eq!(it.place.made().as_deref(), Some("made by the agent\n"));
    assert!(ran.has_tool(ToolState::Running) && ran.has_tool(ToolState::Completed), "{ran:#?}");
    assert!(ran.changed().iter().any(|path| path.ends_with("made-by-agent.txt")), "{ran:#?}");
    let usage = ran.usage.unwrap_or_default();
    assert!(usage.input_tokens > Some(0) && usage.output_tokens > Some(0), "{ran:#?}");
    assert!(ran.session.is_some() && ran.questions.is_empty(), "{ran:#?}");
    let requests = it.model.requests();
    assert!(requests.iter().any(|request| request.header(header) == Some(key)), "{requests:#?}");
}

pub(crate) fn its_question_is_asked_also_where_everything_is_allowed(it: &Subject) {
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

pub(crate) fn words_answer_its_question(it: &Subject) {
    let ran = it.run_answered("ASK me", &Answer::Text("Green, if you have it".to_owned()));
    assert!(ran.succeeded().contains("Green, if you have it"), "{ran:#?}");
}

/// Its tool for that is for its own terminal, or its own clients, alone.
pub(crate) fn it_offers_no_question(it: &Subject) {
    assert!(it.run("ASK me").succeeded().starts_with("I have no tool for that"));
}

pub(crate) fn a_permission_that_is_given_lets_it_edit(it: &Subject) {
    let ran = it.run_asked("EDIT please", true);
    assert_eq!(ran.questions.len(), 1, "{ran:#?}");
    assert_eq!(ran.questions[0].kind, QuestionKind::Permission);
    made(it, &ran);
}

pub(crate) fn a_permission_that_is_refused_does_not(it: &Subject) {
    let ran = it.run_asked("EDIT please", false);
    assert_eq!(ran.questions.len(), 1, "{ran:#?}");
    assert!(it.place.made().is_none());
    assert!(ran.has_tool(ToolState::Failed), "{ran:#?}");
    assert!(ran.changed().is_empty());
}

pub(crate) fn it_tries_again_after_a_rate_limit(it: &Subject, says_so: Says) {
    let ran = it.run("RATE then");
    made(it, &ran);
    let is_told = ran.statuses().iter().any(|text| text.contains("429"));
    assert_eq!(is_told, says_so == Says::So, "{ran:#?}");
}

/// Whether an agent tells that it waits for its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    So,
    Nothing,
}

pub(crate) fn an_error_of_the_model_is_the_error_of_the_task(it: &Subject) {
    let ran = it.run("ERROR then");
    assert!(ran.failed().contains("The model refused, as the test wanted it."), "{ran:#?}");
}

pub(crate) fn it_goes_on_after_a_cut(it: &Subject) {
    made(it, &it.run("CUT then"));
}

pub(crate) fn it_stops_when_it_is_cancelled(it: &Subject) {
    let ran = it.run_cancelled("SLOW please");
    assert_eq!(ran.failed(), "cancelled", "{ran:#?}");
    assert!(ran.finished.is_some(), "it says itself that it is done: {ran:#?}");
}

pub(crate) fn it_goes_on_with_a_session(it: &Subject, between: fn(&Place)) {
    let (ran, sent) = it.run_on("remember the word lighthouse", "what was it?", between);
    ran.succeeded();
    assert!(!ran.message().contains("28 bytes"), "the past is not told again: {ran:#?}");
    assert!(sent.contains("remember the word lighthouse"), "{sent}");
}

pub(crate) fn a_session_that_is_not_there_is_an_error(it: &Subject, session: &str) {
    let mut order = it.order("go on");
    order.session = Some(session.to_owned());
    let ran = it.run_order(&order);
    ran.failed();
    assert!(ran.message().is_empty(), "{ran:#?}");
}
