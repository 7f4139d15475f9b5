//! Asking the person at the terminal in place of an agent.

use sandbar_api::TaskAnswerRequest;
use sandbar_types::{Answer, Question, QuestionId, QuestionKind};
use tokio::sync::mpsc;

use crate::input::read_stdin;

/// A person who may be asked; what they type is read from when they are first asked.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Those that wait, the one that is asked first.
    questions: Vec<Question>,
    typed: Option<mpsc::Receiver<Vec<u8>>>,
    line: Vec<u8>,
}

impl Asking {
    pub(super) fn ask(&mut self, question: Question) {
        self.typed.get_or_insert_with(read_stdin);
        // The agent waits for its own, and for one about the network it does not.
        let at = match question.kind {
            QuestionKind::Network => self.questions.len(),
            QuestionKind::Permission | QuestionKind::Question => {
                self.questions.partition_point(|known| known.kind != QuestionKind::Network)
            }
        };
        self.questions.insert(at, question);
    }

    /// Somebody answered; returns the one that is asked now, where it is another one than before.
    pub(super) fn forget(&mut self, id: &QuestionId) -> Option<&Question> {
        let at = self.questions.iter().position(|known| known.id == *id)?;
        self.questions.remove(at);
        self.questions.first().filter(|_| at == 0)
    }

    pub(super) const fn is_asking(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Waits for an answer that fits; for ever where nobody is asked. Safe to cancel.
    pub(super) async fn answer(&mut self) -> TaskAnswerRequest {
        loop {
            let Some(typed) = self.typed.as_mut() else { std::future::pending().await };
            let Some(bytes) = typed.recv().await else {
                // They closed their terminal's input: nobody is asked any more.
                self.typed = None;
                continue;
            };
            self.line.extend(bytes);
            while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.line.drain(..=end).collect();
                let text = String::from_utf8_lossy(&line);
                let answer = self.questions.first().and_then(|asked| {
                    Some(TaskAnswerRequest {
                        question: Some(asked.id.clone()),
                        answer: chosen(asked, text.trim())?,
                    })
                });
                if let Some(request) = answer {
                    return request;
                }
            }
        }
    }
}

/// What is meant by what was typed: the number or the id of an option, or words.
fn chosen(question: &Question, text: &str) -> Option<Answer> {
    let by_number =
        text.parse::<usize>().ok().and_then(|at| question.options.get(at.checked_sub(1)?));
    let by_id = question.options.iter().find(|option| option.id == text);
    match by_id.or(by_number) {
        Some(option) => Some(Answer::Option(option.id.clone())),
        None if question.free_text || question.options.is_empty() => {
            Some(Answer::Text(text.to_owned()))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use sandbar_types::QuestionOption;

    use super::*;

    #[test]
    fn an_option_is_chosen_by_number_or_by_id_and_words_only_where_they_are_taken() {
        let option =
            |id: &str| QuestionOption { id: id.to_owned(), label: id.to_owned(), allows: None };
        let mut question = Question {
            id: "q".parse().unwrap(),
            kind: QuestionKind::Permission,
            text: "?".to_owned(),
            options: vec![option("allow"), option("deny")],
            free_text: false,
        };
        assert_eq!(chosen(&question, "2"), Some(Answer::Option("deny".to_owned())));
        assert_eq!(chosen(&question, "allow"), Some(Answer::Option("allow".to_owned())));
        assert_eq!(chosen(&question, "0"), None);
        assert_eq!(chosen(&question, "perhaps"), None);
        question.free_text = true;
        assert_eq!(chosen(&question, "perhaps"), Some(Answer::Text("perhaps".to_owned())));
    }

    #[tokio::test]
    async fn what_the_agent_waits_for_is_asked_before_what_is_about_the_network() {
        let question = |id: &str, kind| Question {
            id: id.parse().unwrap(),
            kind,
            text: "?".to_owned(),
            options: Vec::new(),
            free_text: true,
        };
        let (words, network) = (QuestionKind::Question, QuestionKind::Network);
        let mut asking = Asking { typed: Some(mpsc::channel(1).1), ..Asking::default() };
        for (id, kind) in [("n1", network), ("q1", words), ("n2", network), ("q2", words)] {
            asking.ask(question(id, kind));
        }
        let id = |id: &str| id.parse::<QuestionId>().unwrap();
        assert_eq!(asking.forget(&id("n2")), None, "it was not the one that is asked");
        assert_eq!(asking.forget(&id("q1")).map(|next| next.id.as_str()), Some("q2"));
        assert_eq!(asking.forget(&id("q1")), None);
        assert_eq!(asking.forget(&id("q2")).map(|next| next.id.as_str()), Some("n1"));
        assert_eq!(asking.forget(&id("n1")), None);
        assert!(!asking.is_asking());
    }
}
