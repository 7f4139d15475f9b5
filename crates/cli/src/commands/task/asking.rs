//! Asking the person at the terminal in place of an agent.

use sandbar_api::TaskAnswerRequest;
use sandbar_types::{Answer, Question};
use tokio::sync::mpsc;

use crate::input::read_stdin;

/// A person who may be asked; what they type is read from when they are first asked.
#[derive(Debug, Default)]
pub(super) struct Asking {
    question: Option<Question>,
    typed: Option<mpsc::Receiver<Vec<u8>>>,
    line: Vec<u8>,
}

impl Asking {
    pub(super) fn ask(&mut self, question: Question) {
        self.typed.get_or_insert_with(read_stdin);
        self.question = Some(question);
    }

    /// Somebody answered.
    pub(super) fn forget(&mut self) {
        self.question = None;
    }

    pub(super) const fn is_asking(&self) -> bool {
        self.question.is_some()
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
                let answer = self.question.as_ref().and_then(|asked| {
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
    use sandbar_types::{QuestionKind, QuestionOption};

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
}
