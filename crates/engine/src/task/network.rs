//! Questions of a task about the network: what it was refused and a rule could allow. Values in, values out.
//!
//! The agent does not wait for an answer: it was refused already, and tries again or goes on. So the task works on, and
//! what nobody answered is withdrawn at its end.

use jiff::Timestamp;
use sandbar_types::{Answer, Question, QuestionId, QuestionKind, QuestionOption};

use crate::EgressDenied;

/// LIMIT: questions about the network of one task.
const QUESTIONS_MAX: usize = 16;
const ALLOW: &str = "allow_host";
const DENY: &str = "deny";
const TEXT_BEFORE: &str = "The sandbox asked for ";
const TEXT_BEHIND: &str = " and may not reach it";

/// What a task asked about the network so far.
#[derive(Debug, Default)]
pub(super) struct Asked(Vec<One>);

#[derive(Debug)]
struct One {
    question: Question,
    /// When it is answered with a no; `None` where an earlier server did not say.
    deadline: Option<Timestamp>,
    is_open: bool,
}

impl Asked {
    /// Decides whether a refusal is asked about: once for each host and port, and only where a rule can lift it.
    pub(super) fn question(&self, denied: &EgressDenied) -> Option<Question> {
        let EgressDenied { host, port, reason } = denied;
        // What is private, special, local or denied by a rule is not to be had by a yes.
        if !matches!(reason.as_str(), "host_not_allowed" | "port_not_allowed") {
            return None;
        }
        let text = format!("{TEXT_BEFORE}{host}:{port}{TEXT_BEHIND}");
        if self.0.len() >= QUESTIONS_MAX || self.0.iter().any(|one| one.question.text == text) {
            return None;
        }
        let option = |id: &str, label: String, allows| QuestionOption {
            id: id.to_owned(),
            label,
            allows: Some(allows),
        };
        // Agents count theirs with another letter.
        let id = format!("n{}", self.0.len() + 1);
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

    /// It was asked.
    pub(super) fn ask(&mut self, question: Question, deadline: Option<Timestamp>) {
        self.0.push(One { question, deadline, is_open: true });
    }

    /// It was answered, or withdrawn.
    pub(super) fn close(&mut self, id: &QuestionId) {
        let found = self.0.iter_mut().find(|one| one.question.id == *id);
        if let Some(one) = found {
            one.is_open = false;
        }
    }

    /// Those that nobody answered yet, the oldest first.
    pub(super) fn open(&self) -> impl Iterator<Item = &Question> {
        self.0.iter().filter(|one| one.is_open).map(|one| &one.question)
    }

    /// When the next one is to be answered with a no.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.0.iter().filter(|one| one.is_open).filter_map(|one| one.deadline).min()
    }

    /// One whose time is over.
    pub(super) fn late(&self, now: Timestamp) -> Option<&Question> {
        let is_late = |one: &&One| one.is_open && one.deadline.is_some_and(|at| at <= now);
        self.0.iter().find(is_late).map(|one| &one.question)
    }
}

/// The rule that an answer adds; `None` where it lets nothing happen.
pub(super) fn rule<'q>(question: &'q Question, answer: &Answer) -> Option<&'q str> {
    match answer {
        Answer::Option(id) if id == ALLOW => {
            question.text.strip_prefix(TEXT_BEFORE)?.strip_suffix(TEXT_BEHIND)
        }
        Answer::Option(_) | Answer::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::questions;

    fn denied(host: &str, port: u16, reason: &str) -> EgressDenied {
        EgressDenied { host: host.to_owned(), port, reason: reason.to_owned() }
    }

    #[test]
    fn a_host_and_port_is_asked_about_once_and_only_where_a_rule_helps() {
        let mut asked = Asked::default();
        let first = asked.question(&denied("a.example", 443, "host_not_allowed")).unwrap();
        assert_eq!(first.id.as_str(), "n1");
        asked.ask(first.clone(), None);
        assert_eq!(asked.question(&denied("a.example", 443, "host_not_allowed")), None);
        let port = asked.question(&denied("a.example", 8080, "port_not_allowed")).unwrap();
        assert_eq!(port.id.as_str(), "n2");
        for reason in [
            "special_address",
            "address_literal",
            "local_name",
            "denied_by_rule",
            "network_none",
            "not_tls",
        ] {
            assert_eq!(asked.question(&denied("b.example", 443, reason)), None, "{reason}");
        }
        asked.close(&first.id);
        assert_eq!(asked.open().count(), 0);
        assert_eq!(asked.question(&denied("a.example", 443, "host_not_allowed")), None);
    }

    #[test]
    fn a_task_asks_a_limited_number_of_times() {
        let mut asked = Asked::default();
        for number in 0..100 {
            let host = format!("h{number}.example");
            if let Some(question) = asked.question(&denied(&host, 443, "host_not_allowed")) {
                asked.ask(question, None);
            }
        }
        assert_eq!(asked.open().count(), QUESTIONS_MAX);
    }

    #[test]
    fn the_first_deadline_comes_first_and_its_answer_lets_nothing_happen() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut asked = Asked::default();
        for (host, second) in [("a", 20), ("b", 10)] {
            let question = asked.question(&denied(host, 443, "host_not_allowed")).unwrap();
            asked.ask(question, Some(at(second)));
        }
        assert_eq!(asked.deadline(), Some(at(10)));
        assert_eq!(asked.late(at(9)), None);
        let late = asked.late(at(10)).unwrap().clone();
        assert!(late.text.contains("b:443"));
        assert_eq!(rule(&late, &questions::denial(&late)), None);
        asked.close(&late.id);
        assert_eq!((asked.late(at(10)), asked.deadline()), (None, Some(at(20))));
    }

    proptest! {
        #[test]
        fn the_rule_of_a_yes_is_what_was_asked_for(host in "[a-z0-9.:\\[\\]-]{1,80}", port: u16) {
            let question = Asked::default().question(&denied(&host, port, "host_not_allowed"));
            let question = question.unwrap();
            let yes = Answer::Option(ALLOW.to_owned());
            let expected = format!("{host}:{port}");
            prop_assert_eq!(rule(&question, &yes), Some(expected.as_str()));
        }
    }
}
