//! Questions of a task about the network: what it was refused and a rule could allow. Values in, values out.
//!
//! The agent does not wait for an answer: it was refused already, and tries again or goes on. So the task works on, and
//! what nobody answered is withdrawn at its end.

use sandbar_types::{Answer, Question, QuestionKind, QuestionOption};

use super::questions::Questions;
use crate::EgressDenied;

/// LIMIT: questions about the network of one task.
const QUESTIONS_MAX: usize = 16;
const ALLOW: &str = "allow_host";
const DENY: &str = "deny";
const TEXT_BEFORE: &str = "The sandbox asked for ";
const TEXT_BEHIND: &str = " and may not reach it";

/// Decides whether a refusal is asked about: once for each host and port, and only where a rule can lift it.
pub(super) fn question(asked: &Questions, denied: &EgressDenied) -> Option<Question> {
    let EgressDenied { host, port, reason } = denied;
    // What is private, special, local or denied by a rule is not to be had by a yes.
    if !matches!(reason.as_str(), "host_not_allowed" | "port_not_allowed") {
        return None;
    }
    let text = format!("{TEXT_BEFORE}{host}:{port}{TEXT_BEHIND}");
    let count = asked.all_of_network().count();
    if count >= QUESTIONS_MAX || asked.all_of_network().any(|question| question.text == text) {
        return None;
    }
    let option = |id: &str, label: String, allows| QuestionOption {
        id: id.to_owned(),
        label,
        allows: Some(allows),
    };
    // Agents count theirs with another letter.
    let id = format!("n{}", count + 1);
    Some(Question {
        id: id.parse().expect("a letter and a number"),
        kind: QuestionKind::Network,
        text,
        options: vec![
            option(ALLOW, format!("Allow {host}:{port} for this sandbox"), true),
            option(DENY, "Leave it refused".to_owned(), false),
        ],
        free_text: false,
    })
}

/// The rule that an answer adds; `None` where it lets nothing happen, and for what an agent asked, whatever its words.
pub(super) fn rule<'q>(question: &'q Question, answer: &Answer) -> Option<&'q str> {
    match (question.kind, answer) {
        (QuestionKind::Network, Answer::Option(id)) if id == ALLOW => {
            question.text.strip_prefix(TEXT_BEFORE)?.strip_suffix(TEXT_BEHIND)
        }
        (
            QuestionKind::Network | QuestionKind::Permission | QuestionKind::Question,
            Answer::Option(_) | Answer::Text(_),
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use sandbar_types::AnsweredBy;

    use super::*;
    use crate::task::questions;

    fn denied(host: &str, port: u16, reason: &str) -> EgressDenied {
        EgressDenied { host: host.to_owned(), port, reason: reason.to_owned() }
    }

    fn ask(asked: &mut Questions, denied: &EgressDenied) -> Option<Question> {
        let question = question(asked, denied)?;
        asked.ask(question.clone(), Timestamp::UNIX_EPOCH);
        Some(question)
    }

    #[test]
    fn a_host_and_port_is_asked_about_once_and_only_where_a_rule_helps() {
        let mut asked = Questions::default();
        let first = ask(&mut asked, &denied("a.example", 443, "host_not_allowed")).unwrap();
        assert_eq!(first.id.as_str(), "n1");
        assert_eq!(ask(&mut asked, &denied("a.example", 443, "host_not_allowed")), None);
        let port = ask(&mut asked, &denied("a.example", 8080, "port_not_allowed")).unwrap();
        assert_eq!(port.id.as_str(), "n2");
        for reason in [
            "special_address",
            "address_literal",
            "local_name",
            "denied_by_rule",
            "network_none",
            "not_tls",
        ] {
            assert_eq!(ask(&mut asked, &denied("b.example", 443, reason)), None, "{reason}");
        }
        asked.take(&first.id, questions::denial(&first), AnsweredBy::Person);
        assert_eq!(ask(&mut asked, &denied("a.example", 443, "host_not_allowed")), None);
    }

    #[test]
    fn a_task_asks_a_limited_number_of_times() {
        let mut asked = Questions::default();
        for number in 0..100 {
            ask(&mut asked, &denied(&format!("h{number}.example"), 443, "host_not_allowed"));
        }
        assert_eq!(asked.of_network().count(), QUESTIONS_MAX);
    }

    #[test]
    fn a_no_and_an_agent_that_asks_in_the_same_words_add_no_rule() {
        let asked = Questions::default();
        let mut asked = question(&asked, &denied("a", 443, "host_not_allowed")).unwrap();
        let yes = Answer::Option(ALLOW.to_owned());
        assert_eq!(rule(&asked, &yes), Some("a:443"));
        assert_eq!(rule(&asked, &questions::denial(&asked)), None);
        asked.kind = QuestionKind::Permission;
        assert_eq!(rule(&asked, &yes), None);
    }

    proptest! {
        #[test]
        fn the_rule_of_a_yes_is_what_was_asked_for(host in "[a-z0-9.:\\[\\]-]{1,80}", port: u16) {
            let question = question(&Questions::default(), &denied(&host, port, "host_not_allowed"));
            let question = question.unwrap();
            let yes = Answer::Option(ALLOW.to_owned());
            let expected = format!("{host}:{port}");
            prop_assert_eq!(rule(&question, &yes), Some(expected.as_str()));
        }
    }
}
