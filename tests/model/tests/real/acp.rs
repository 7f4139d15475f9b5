//! What real agents do not do, by the agent that follows a script.

use sandbar_agents::{Order, Step, by_name};
use sandbar_types::{AgentEvent, Answer, Permissions, QuestionKind, ToolState};

use crate::drive::{Place, Ran, React, run};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_acp-agent").into())
}

fn order(place: &Place, script: &str) -> Order {
    let mut order = place.order(script);
    order.command = vec!["acp-agent".to_owned()];
    order
}

fn talk(place: &Place, order: &Order, react: impl FnMut(&Step) -> React) -> Ran {
    run(by_name("acp").unwrap(), place, order, react)
}

fn play(script: &str) -> Ran {
    let place = place();
    talk(&place, &order(&place, script), |_| React::Nothing)
}

fn asked(script: &str, react: impl FnMut(&Step) -> React) -> Ran {
    let place = place();
    let mut order = order(&place, script);
    order.permissions = Permissions::Ask;
    talk(&place, &order, react)
}

#[test]
fn it_says_thinks_plans_and_tells_what_it_used() {
    let ran = play("think plan usage say");
    assert_eq!(ran.succeeded(), "Hello, I am here.");
    assert_eq!(ran.statuses(), ["plan\nin_progress: look around"]);
    assert_eq!(ran.usage.unwrap().cost_usd, Some(0.25));
    assert!(ran.events.contains(&AgentEvent::Thought { text: "Well.".to_owned() }));
}

#[test]
fn it_edits() {
    let place = place();
    let ran = talk(&place, &order(&place, "say edit say"), |_| React::Nothing);
    assert_eq!(ran.succeeded(), "Hello, I am here.");
    assert_eq!(place.made().as_deref(), Some("made by the agent\n"));
    assert!(ran.has_tool(ToolState::Running) && ran.has_tool(ToolState::Completed));
    assert_eq!(ran.changed().len(), 1);
}

#[test]
fn what_is_inside_is_allowed_this_once_without_a_question() {
    let ran = play("permit");
    assert!(ran.questions.is_empty());
    assert!(ran.succeeded().contains(r#""optionId":"once""#), "{ran:#?}");
}

#[test]
fn a_person_chooses_where_permissions_are_asked_for() {
    for chosen in ["always", "once", "never", "no"] {
        let ran = asked("permit", |step| match step {
            Step::Ask(_) => React::Answer(Answer::Option(chosen.to_owned())),
            _ => React::Nothing,
        });
        assert_eq!(ran.questions[0].kind, QuestionKind::Permission);
        assert!(ran.questions[0].text.contains("rm -rf node_modules"));
        let ids: Vec<_> =
            ran.questions[0].options.iter().map(|option| option.id.as_str()).collect();
        assert_eq!(ids, ["once", "no", "always", "never"]);
        assert!(ran.succeeded().contains(&format!(r#""optionId":"{chosen}""#)), "{ran:#?}");
    }
}

#[test]
fn words_do_not_permit() {
    let ran = asked("permit", |step| match step {
        Step::Ask(_) => React::Answer(Answer::Text("yes, do it".to_owned())),
        _ => React::Nothing,
    });
    assert!(ran.succeeded().contains(r#""optionId":"no""#), "{ran:#?}");
    assert!(ran.has_tool(ToolState::Failed));
}

#[test]
fn a_form_is_asked_field_by_field() {
    let place = place();
    let mut answers = ["Ada", "b", "3", "true"].into_iter();
    let ran = talk(&place, &order(&place, "ask"), |step| match step {
        Step::Ask(_) => React::Answer(Answer::Text(answers.next().unwrap().to_owned())),
        _ => React::Nothing,
    });
    let ids: Vec<_> = ran.questions.iter().map(|question| question.id.to_string()).collect();
    assert_eq!(ids, ["q1", "q2", "q3", "q4"]);
    let filled = r#""content":{"a_name":"Ada","b_color":"b","c_count":3,"d_sure":true}"#;
    assert!(ran.succeeded().contains(filled), "{ran:#?}");
}

#[test]
fn a_question_that_is_taken_back_is_no_longer_asked() {
    let mut unasked = 0;
    let ran = asked("unask say", |step| {
        unasked += usize::from(matches!(step, Step::Unask(_)));
        React::Nothing
    });
    assert_eq!(ran.succeeded(), "Hello, I am here.");
    assert_eq!((ran.questions.len(), unasked), (1, 1));
}

#[test]
fn it_is_cancelled_while_it_works_and_while_it_asks() {
    let place = place();
    let mut is_cancelled = false;
    let ran = talk(&place, &order(&place, "say hang"), |step| match step {
        Step::Event(_) if !is_cancelled => {
            is_cancelled = true;
            React::Cancel
        }
        _ => React::Nothing,
    });
    assert_eq!(ran.failed(), "cancelled");
    let ran = asked("permit say", |step| match step {
        Step::Ask(_) => React::Cancel,
        _ => React::Nothing,
    });
    assert_eq!(ran.failed(), "cancelled");
    assert!(ran.message().contains("cancelled"), "the question was answered so: {ran:#?}");
}

#[test]
fn its_errors_are_honest() {
    assert_eq!(play("say fail").failed(), "Internal error: it broke");
    assert_eq!(play("say refuse").failed(), "the model refused to go on");
    assert_eq!(play("think").failed(), "the agent ended without a word");
    assert_eq!(
        play("say die").failed(),
        "the agent exited with code 3 before it was done: out of luck"
    );
}

#[test]
fn floods_long_lines_and_garbage_end_nothing() {
    let ran = play("garbage flood garbage long garbage");
    assert_eq!(ran.succeeded().len(), 64 * 1024);
    assert_eq!(ran.events.len(), 10_001);
}

#[test]
fn its_model_is_chosen_and_one_that_it_has_not_is_said() {
    let place = place();
    let mut order = order(&place, "say");
    order.model = Some("big".to_owned());
    let ran = talk(&place, &order, |_| React::Nothing);
    assert!(ran.statuses().is_empty());
    ran.succeeded();
    order.model = Some("none".to_owned());
    let ran = talk(&place, &order, |_| React::Nothing);
    assert_eq!(ran.statuses(), ["the model could not be chosen: no such model"]);
    ran.succeeded();
}

#[test]
fn the_past_of_a_session_is_not_told_again() {
    let place = place();
    let mut order = order(&place, "say");
    order.session = Some("session-1".to_owned());
    let ran = talk(&place, &order, |_| React::Nothing);
    assert_eq!(ran.message(), "Hello, I am here.");
}
