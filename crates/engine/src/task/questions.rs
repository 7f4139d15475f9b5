//! Questions of an agent, and who may answer them how. Values in, values out.

use sandbar_types::{Answer, AnsweredBy, Question, QuestionId};
use tokio::time::Instant;

use super::past::Past;
use crate::{Error, ErrorKind, Result};

/// LIMIT: bytes of an answer in words.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// A question that nobody answered yet.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) question: Question,
    pub(super) until: Instant,
}

/// Whether this answers that question now.
///
/// # Errors
/// `question_not_found`, `question_answered`, `question_expired`, `invalid_value`.
pub(super) fn admit(
    past: &Past,
    open: &[Open],
    (id, answer): (&QuestionId, &Answer),
) -> Result<()> {
    if let Some(open) = open.iter().find(|open| open.question.id == *id) {
        return fits(&open.question, answer);
    }
    match past.answers.get(id) {
        Some((_, AnsweredBy::Deadline)) => Err(expired("it was answered when its time was over")),
        Some((_, AnsweredBy::Withdrawn)) => Err(expired("the task is over")),
        Some((_, AnsweredBy::Person)) => {
            let message = format!("the question `{id}` is answered already");
            Err(Error::new(ErrorKind::Conflict, "question_answered", message))
        }
        None if past.questions.contains_key(id) => Err(expired("the agent does not wait for it")),
        None => {
            let message = format!("the task has no question `{id}`");
            Err(Error::new(ErrorKind::NotFound, "question_not_found", message)
                .hint("`sandbar task show` shows the one that it waits for"))
        }
    }
}

pub(super) fn expired(why: &str) -> Error {
    let message = format!("nobody waits for that answer any more: {why}");
    Error::new(ErrorKind::Conflict, "question_expired", message)
}

/// What a client is told whose answer was not kept.
pub(super) fn unwritten() -> Error {
    Error::new(ErrorKind::Unavailable, "unavailable", "the answer cannot be written down")
}

/// Whether this is an answer to that question.
///
/// # Errors
/// `invalid_value`.
pub(super) fn fits(question: &Question, answer: &Answer) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, "invalid_value", message));
    match answer {
        Answer::Option(chosen) if question.options.iter().any(|option| option.id == *chosen) => {
            Ok(())
        }
        Answer::Option(_) => {
            let ids: Vec<_> = question.options.iter().map(|option| option.id.as_str()).collect();
            invalid(format!("the question has no such option; it has: {}", ids.join(", ")))
        }
        Answer::Text(text) if text.len() > TEXT_BYTES_MAX => {
            invalid(format!("an answer has at most {TEXT_BYTES_MAX} bytes"))
        }
        Answer::Text(_) if question.free_text || question.options.is_empty() => Ok(()),
        Answer::Text(_) => invalid("the question wants one of its options, not words".to_owned()),
    }
}

/// The answer that lets nothing happen.
pub(super) fn denial(question: &Question) -> Answer {
    let denies = question.options.iter().find(|option| option.allows == Some(false));
    denies.map_or_else(|| Answer::Text(String::new()), |option| Answer::Option(option.id.clone()))
}

#[cfg(test)]
mod tests {
    use sandbar_types::{QuestionKind, QuestionOption};

    use super::*;

    fn question(free_text: bool) -> Question {
        let option =
            |id: &str, allows| QuestionOption { id: id.to_owned(), label: id.to_owned(), allows };
        Question {
            id: "q1".parse().unwrap(),
            kind: QuestionKind::Permission,
            text: "may I?".to_owned(),
            options: vec![option("yes", Some(true)), option("no", Some(false))],
            free_text,
        }
    }

    #[test]
    fn an_answer_fits_once_and_only_while_somebody_waits() {
        let (mut past, id) = (Past::default(), "q1".parse().unwrap());
        let yes = Answer::Option("yes".to_owned());
        let code = |past: &Past, open: &[Open], answer: &Answer| {
            admit(past, open, (&id, answer)).map_err(|err| err.code()).err()
        };
        assert_eq!(code(&past, &[], &yes), Some("question_not_found"));
        past.questions.insert(id.clone(), None);
        let open = [Open { question: question(false), until: Instant::now() }];
        assert_eq!(code(&past, &open, &yes), None);
        assert_eq!(code(&past, &open, &Answer::Option("maybe".to_owned())), Some("invalid_value"));
        assert_eq!(code(&past, &open, &Answer::Text("yes".to_owned())), Some("invalid_value"));
        let open = [Open { question: question(true), until: Instant::now() }];
        assert_eq!(code(&past, &open, &Answer::Text("yes".to_owned())), None);
        let long = Answer::Text("y".repeat(TEXT_BYTES_MAX + 1));
        assert_eq!(code(&past, &open, &long), Some("invalid_value"));
        assert_eq!(code(&past, &[], &yes), Some("question_expired"), "it was taken back");
        past.answers.insert(id.clone(), (yes.clone(), AnsweredBy::Person));
        assert_eq!(code(&past, &[], &yes), Some("question_answered"));
        past.answers.insert(id.clone(), (yes.clone(), AnsweredBy::Deadline));
        assert_eq!(code(&past, &[], &yes), Some("question_expired"));
    }

    #[test]
    fn without_an_answer_nothing_is_let_happen() {
        assert_eq!(denial(&question(true)), Answer::Option("no".to_owned()));
        let words = Question { options: Vec::new(), ..question(true) };
        assert_eq!(denial(&words), Answer::Text(String::new()));
    }
}
