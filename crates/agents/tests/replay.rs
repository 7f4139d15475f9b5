//! Conversations read what agents print, and agents print anything. The same lines make the same steps, and a line that
//! means nothing changes nothing.

use proptest::prelude::*;
use sandbar_agents::{Agent, Order, Step, all};
use sandbar_types::{Answer, ExitStatus, Permissions};

/// Lines that mean something to some agent, in any order.
const LINES: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}}"#,
    r#"{"jsonrpc":"2.0","id":2,"result":{"sessionId":"s","modes":{"currentModeId":"yolo"}}}"#,
    r#"{"jsonrpc":"2.0","id":3,"result":{"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2}}}"#,
    r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32603,"message":"broken"}}"#,
    r#"{"jsonrpc":"2.0","method":"session/update","params":{"update":{"sessionUpdate":"agent_message_chunk","content":{"text":"hi"}}}}"#,
    r#"{"jsonrpc":"2.0","method":"session/update","params":{"update":{"sessionUpdate":"tool_call","toolCallId":"t","title":"a","kind":"edit"}}}"#,
    r#"{"jsonrpc":"2.0","method":"session/update","params":{"update":{"sessionUpdate":"tool_call_update","toolCallId":"t","status":"completed","content":[{"type":"diff","path":"/a"}]}}}"#,
    r#"{"jsonrpc":"2.0","id":"x","method":"session/request_permission","params":{"toolCall":{"toolCallId":"t"},"options":[{"optionId":"o","name":"Yes","kind":"allow_once"}]}}"#,
    r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"m","requestedSchema":{"properties":{"a":{"type":"string"},"b":{"type":"boolean"}}}}}"#,
    r#"{"jsonrpc":"2.0","id":8,"method":"fs/read_text_file","params":{"path":"/etc/passwd"}}"#,
    r#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":7}}"#,
    r#"{"id":2,"result":{"thread":{"id":"th"}}}"#,
    r#"{"id":3,"result":{"turn":{"id":"tu"}}}"#,
    r#"{"method":"turn/started","params":{"threadId":"th","turn":{"id":"tu"}}}"#,
    r#"{"method":"item/started","params":{"threadId":"th","item":{"type":"commandExecution","id":"i","command":"ls","status":"inProgress"}}}"#,
    r#"{"method":"item/completed","params":{"threadId":"th","item":{"type":"fileChange","id":"i","changes":[{"path":"/a"}],"status":"completed"}}}"#,
    r#"{"method":"item/agentMessage/delta","params":{"threadId":"th","itemId":"m","delta":"hi"}}"#,
    r#"{"method":"item/completed","params":{"threadId":"th","item":{"type":"agentMessage","id":"m","text":"hi"}}}"#,
    r#"{"id":0,"method":"item/commandExecution/requestApproval","params":{"threadId":"th","command":"rm"}}"#,
    r#"{"id":1,"method":"item/tool/requestUserInput","params":{"threadId":"th","questions":[{"id":"a","question":"?"},{"id":"b","question":"?","options":[{"label":"L"}]}]}}"#,
    r#"{"method":"serverRequest/resolved","params":{"threadId":"th","requestId":1}}"#,
    r#"{"method":"error","params":{"threadId":"th","error":{"message":"again"},"willRetry":true}}"#,
    r#"{"method":"turn/completed","params":{"threadId":"th","turn":{"id":"tu","status":"completed"}}}"#,
    r#"{"method":"turn/completed","params":{"threadId":"th","turn":{"id":"tu","status":"failed","error":{"message":"no"}}}}"#,
    r#"{"type":"system","subtype":"init","session_id":"s"}"#,
    r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,"error_status":429,"error":"rate_limit"}"#,
    r#"{"type":"stream_event","event":{"type":"message_start","message":{"id":"m"}}}"#,
    r#"{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"hi"}}}"#,
    r#"{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"hi"},{"type":"tool_use","id":"t","name":"Write","input":{"file_path":"/a"}}]}}"#,
    r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"ok"}]}}"#,
    r#"{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"}}}"#,
    r#"{"type":"control_request","request_id":"r2","request":{"subtype":"can_use_tool","tool_name":"AskUserQuestion","input":{"questions":[{"question":"a?"},{"question":"b?","options":[{"label":"L"}]}]}}}"#,
    r#"{"type":"control_cancel_request","request_id":"r2"}"#,
    r#"{"type":"control_request","request_id":"r3","request":{"subtype":"hook_callback"}}"#,
    r#"{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"s","usage":{"input_tokens":1}}"#,
    r#"{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["no"]}"#,
];

/// Lines that mean nothing to any agent that speaks a protocol.
const NOISE: &[&str] = &[
    "",
    "   ",
    "npm WARN deprecated",
    "\u{fffd}\u{fffd}\u{0}",
    "[]",
    "null",
    "{}",
    "{\"id\":",
    "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"of/tomorrow\",\"params\":{}}",
    "{\"type\":\"of_tomorrow\"}",
];

#[derive(Debug, Clone)]
enum Move {
    Line(String),
    /// Answers the question that was asked last, so.
    Answer(Answer),
    Cancel,
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => prop::sample::select(LINES).prop_map(str::to_owned),
        2 => prop::sample::select(NOISE).prop_map(str::to_owned),
        // In the middle of a message.
        1 => (prop::sample::select(LINES), any::<prop::sample::Index>()).prop_map(|(line, at)| line[..at.index(line.len())].to_owned()),
        1 => ".{0,40}",
    ]
}

/// How talks begin, so that the lines after it find them at work.
fn greeting() -> impl Strategy<Value = Vec<Move>> {
    let lines: [&'static [usize]; 3] = [&[], &[0, 1], &[0, 11, 12]];
    prop::sample::select(lines.to_vec())
        .prop_map(|lines| lines.iter().map(|at| Move::Line(LINES[*at].to_owned())).collect())
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        12 => line().prop_map(Move::Line),
        2 => prop_oneof![Just("o"), Just("allow"), Just("deny"), Just("L"), Just("true")]
            .prop_map(|id| Move::Answer(Answer::Option(id.to_owned()))),
        1 => Just(Move::Answer(Answer::Text("words".to_owned()))),
        1 => Just(Move::Cancel),
    ];
    (greeting(), prop::collection::vec(one, 0..40)).prop_map(|(mut moves, more)| {
        moves.extend(more);
        moves
    })
}

fn order(permissions: Permissions) -> Order {
    Order {
        prompt: "do it".to_owned(),
        workspace: "/work".to_owned(),
        command: vec!["agent".to_owned()],
        permissions,
        ..Order::default()
    }
}

fn play(
    agent: &dyn Agent,
    permissions: Permissions,
    moves: &[Move],
) -> (Vec<Step>, Result<String, String>) {
    let mut talk = agent.converse(&order(permissions));
    let mut steps = talk.begin();
    let mut asked = None;
    for one in moves {
        let more = match (one, &asked) {
            (Move::Line(line), _) => talk.line(line),
            (Move::Answer(answer), Some(question)) => talk.answer(question, answer),
            (Move::Answer(_), None) => Vec::new(),
            (Move::Cancel, _) => talk.cancel(),
        };
        for step in &more {
            match step {
                Step::Ask(question) => asked = Some(question.id.clone()),
                Step::Unask(id) if asked.as_ref() == Some(id) => asked = None,
                Step::Unask(_)
                | Step::Send(_)
                | Step::CloseInput
                | Step::Event(_)
                | Step::Session(_)
                | Step::Usage(_)
                | Step::Finished(_) => {}
            }
        }
        steps.extend(more);
    }
    let outcome = talk.ended(ExitStatus::Exited { code: 0 }, "the end of the errors");
    (steps, outcome)
}

fn permissions() -> impl Strategy<Value = Permissions> {
    prop_oneof![Just(Permissions::AllowInside), Just(Permissions::Ask)]
}

proptest! {
    #[test]
    fn the_same_lines_make_the_same_steps(moves in moves(), permissions in permissions()) {
        for agent in all() {
            prop_assert_eq!(play(*agent, permissions, &moves), play(*agent, permissions, &moves));
        }
    }

    #[test]
    fn it_finishes_at_most_once_and_what_it_said_then_is_the_outcome(moves in moves(), permissions in permissions()) {
        for agent in all() {
            let (steps, outcome) = play(*agent, permissions, &moves);
            let finished: Vec<_> = steps.iter().filter_map(|step| match step {
                Step::Finished(outcome) => Some(outcome),
                Step::Send(_)
                | Step::CloseInput
                | Step::Event(_)
                | Step::Ask(_)
                | Step::Unask(_)
                | Step::Session(_)
                | Step::Usage(_) => None,
            }).collect();
            prop_assert!(finished.len() <= 1, "{:?}", finished);
            if let Some(finished) = finished.first() {
                prop_assert_eq!(*finished, &outcome);
            }
        }
    }

    #[test]
    fn questions_are_asked_one_at_a_time_and_never_again(moves in moves(), permissions in permissions()) {
        for agent in all() {
            let (steps, _outcome) = play(*agent, permissions, &moves);
            let mut seen = Vec::new();
            for step in &steps {
                if let Step::Ask(question) = step {
                    prop_assert!(!seen.contains(&&question.id));
                    seen.push(&question.id);
                }
            }
        }
    }

    #[test]
    fn what_is_sent_is_one_line_of_json(moves in moves(), permissions in permissions()) {
        for agent in all().iter().filter(|agent| agent.name() != "command") {
            for step in play(*agent, permissions, &moves).0 {
                if let Step::Send(text) = step {
                    prop_assert!(text.ends_with('\n') && text.lines().count() == 1, "{}", text);
                }
            }
        }
    }

    #[test]
    fn noise_between_changes_nothing(greeting in greeting(), lines in prop::collection::vec(prop::sample::select(LINES), 0..20), noise in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(NOISE)), 0..10)) {
        let mut quiet = greeting;
        quiet.extend(lines.iter().map(|line| Move::Line((*line).to_owned())));
        let mut loud = quiet.clone();
        for (at, noise) in noise {
            loud.insert(at.index(loud.len() + 1), Move::Line(noise.to_owned()));
        }
        for agent in all().iter().filter(|agent| agent.name() != "command") {
            prop_assert_eq!(play(*agent, Permissions::Ask, &quiet).0, play(*agent, Permissions::Ask, &loud).0);
        }
    }
}

#[test]
fn a_line_of_ten_million_bytes_is_read() {
    let text = "x".repeat(10_000_000);
    let acp = format!(
        r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"update":{{"sessionUpdate":"agent_message_chunk","content":{{"text":"{text}"}}}}}}}}"#
    );
    let deep = "[".repeat(1_000_000);
    for agent in all() {
        let moves = [Move::Line(acp.clone()), Move::Line(deep.clone()), Move::Line(text.clone())];
        let (_steps, outcome) = play(*agent, Permissions::AllowInside, &moves);
        let longest = outcome.map_or_else(|error| error.len(), |message| message.len());
        assert!(longest <= 64 * 1024 + 100);
    }
}

#[test]
fn an_agent_that_ends_early_says_what_its_errors_say() {
    for agent in all().iter().filter(|agent| agent.name() != "command") {
        let mut talk = agent.converse(&order(Permissions::AllowInside));
        talk.begin();
        let outcome = talk.ended(ExitStatus::Signaled { signal: 9 }, "out of memory\n");
        assert_eq!(
            outcome,
            Err("the agent killed by signal 9 before it was done: out of memory".to_owned())
        );
    }
}

#[test]
fn an_agent_that_is_deaf_to_a_cancel_was_cancelled_all_the_same() {
    for agent in all() {
        let mut talk = agent.converse(&order(Permissions::AllowInside));
        talk.begin();
        talk.cancel();
        let outcome = talk.ended(ExitStatus::Signaled { signal: 9 }, "");
        assert!(outcome.is_err_and(|error| error.starts_with("cancelled")));
    }
}
