//! Questions of a task: an agent's own, and those about the network; who may answer them how, and until when. Values in,
//! values out.

use jiff::Timestamp;
use sandbar_types::{Answer, AnsweredBy, Question, QuestionId, QuestionKind};

use crate::{Error, ErrorKind, Result};

/// LIMIT: bytes of an answer in words.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// What a task asked so far, in that order.
#[derive(Debug, Default)]
pub(super) struct Questions(Vec<One>);

#[derive(Debug)]
struct One {
    question: Question,
    /// When it is answered with a no; `None` where an earlier server did not say.
    deadline: Option<Timestamp>,
    standing: Standing,
}

/// Where a question stands.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// Somebody may answer it.
    Open,
    /// Nobody waits for an answer: it was taken back, or the agent is not seen yet to wait for it.
    Closed,
    Answered(Answer, AnsweredBy),
}

impl One {
    fn is_open(&self) -> bool {
        self.standing == Standing::Open
    }

    fn is_of_network(&self) -> bool {
        match self.question.kind {
            QuestionKind::Network => true,
            QuestionKind::Permission | QuestionKind::Question => false,
        }
    }
}

impl Questions {
    /// An earlier server asked it. Whether its agent still waits is seen when what it printed is read again; nobody
    /// asks about the network again.
    pub(super) fn remember(&mut self, question: Question, deadline: Option<Timestamp>) {
        let mut one = One { question, deadline, standing: Standing::Closed };
        if one.is_of_network() {
            one.standing = Standing::Open;
        }
        self.0.push(one);
    }

    /// Asks it, or once more what an earlier server asked, which keeps its deadline; returns whether it is new.
    pub(super) fn ask(&mut self, question: Question, deadline: Timestamp) -> bool {
        let known = self.0.iter_mut().find(|one| one.question.id == question.id);
        if let Some(one) = known {
            one.standing = Standing::Open;
            one.deadline.get_or_insert(deadline);
            return false;
        }
        self.0.push(One { question, deadline: Some(deadline), standing: Standing::Open });
        true
    }

    /// What was answered to it.
    pub(super) fn answer(&self, id: &QuestionId) -> Option<&Answer> {
        match &self.find(id)?.standing {
            Standing::Open | Standing::Closed => None,
            Standing::Answered(answer, _) => Some(answer),
        }
    }

    /// It was answered.
    pub(super) fn take(&mut self, id: &QuestionId, answer: Answer, by: AnsweredBy) {
        if let Some(one) = self.0.iter_mut().find(|one| one.question.id == *id) {
            one.standing = Standing::Answered(answer, by);
        }
    }

    /// It is taken back; returns whether it was open.
    pub(super) fn take_back(&mut self, id: &QuestionId) -> bool {
        let found = self.0.iter_mut().find(|one| one.question.id == *id && one.is_open());
        found.map(|one| one.standing = Standing::Closed).is_some()
    }

    /// The agent waits for none of its questions any more.
    pub(super) fn take_back_of_agent(&mut self) {
        for one in self.0.iter_mut().filter(|one| one.is_open() && !one.is_of_network()) {
            one.standing = Standing::Closed;
        }
    }

    /// What the agent waits for.
    pub(super) fn of_agent(&self) -> Option<&Question> {
        let found = self.0.iter().find(|one| one.is_open() && !one.is_of_network());
        found.map(|one| &one.question)
    }

    /// Those about the network that nobody answered yet, the oldest first.
    pub(super) fn of_network(&self) -> impl Iterator<Item = &Question> {
        let open = self.0.iter().filter(|one| one.is_open() && one.is_of_network());
        open.map(|one| &one.question)
    }

    /// All that were ever asked about the network.
    pub(super) fn all_of_network(&self) -> impl Iterator<Item = &Question> {
        self.0.iter().filter(|one| one.is_of_network()).map(|one| &one.question)
    }

    /// When the next one is to be answered with a no.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.0.iter().filter(|one| one.is_open()).filter_map(|one| one.deadline).min()
    }

    /// One whose time is over.
    pub(super) fn late(&self, now: Timestamp) -> Option<&Question> {
        let is_late = |one: &&One| one.is_open() && one.deadline.is_some_and(|at| at <= now);
        self.0.iter().find(is_late).map(|one| &one.question)
    }

    /// The question that this answers now.
    ///
    /// # Errors
    /// `question_not_found`, `question_answered`, `question_expired`, `invalid_value`.
    pub(super) fn admit(&self, id: &QuestionId, answer: &Answer) -> Result<&Question> {
        let Some(One { question, standing, .. }) = self.find(id) else {
            let message = format!("the task has no question `{id}`");
            return Err(Error::new(ErrorKind::NotFound, "question_not_found", message)
                .hint("`sandbar task show` shows the one that it waits for"));
        };
        match standing {
            Standing::Open => fits(question, answer).map(|()| question),
            Standing::Closed => Err(expired("the agent does not wait for it")),
            Standing::Answered(_, AnsweredBy::Deadline) => {
                Err(expired("it was answered when its time was over"))
            }
            Standing::Answered(_, AnsweredBy::Withdrawn) => Err(expired("the task is over")),
            Standing::Answered(_, AnsweredBy::Person) => Err(answered(id)),
        }
    }

    fn find(&self, id: &QuestionId) -> Option<&One> {
        self.0.iter().find(|one| one.question.id == *id)
    }
}

/// What a client is told who was not the first.
pub(super) fn answered(id: &QuestionId) -> Error {
    let message = format!("the question `{id}` is answered already");
    Error::new(ErrorKind::Conflict, "question_answered", message)
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
fn fits(question: &Question, answer: &Answer) -> Result<()> {
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
    use sandbar_types::QuestionOption;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

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
        let (mut asked, id) = (Questions::default(), "q1".parse().unwrap());
        let yes = Answer::Option("yes".to_owned());
        let code = |asked: &Questions, answer: &Answer| {
            asked.admit(&id, answer).map_err(|err| err.code()).err()
        };
        assert_eq!(code(&asked, &yes), Some("question_not_found"));
        asked.remember(question(false), None);
        assert_eq!(code(&asked, &yes), Some("question_expired"), "its agent does not wait yet");
        assert!(!asked.ask(question(false), at(9)), "an earlier server asked it");
        assert_eq!((asked.deadline(), code(&asked, &yes)), (Some(at(9)), None));
        for wrong in [Answer::Option("maybe".to_owned()), Answer::Text("yes".to_owned())] {
            assert_eq!(code(&asked, &wrong), Some("invalid_value"));
        }
        assert!(asked.take_back(&id) && !asked.take_back(&id));
        assert_eq!(code(&asked, &yes), Some("question_expired"), "it was taken back");
        for (by, expected) in [
            (AnsweredBy::Person, "question_answered"),
            (AnsweredBy::Deadline, "question_expired"),
            (AnsweredBy::Withdrawn, "question_expired"),
        ] {
            asked.take(&id, yes.clone(), by);
            assert_eq!((asked.answer(&id), code(&asked, &yes)), (Some(&yes), Some(expected)));
        }
    }

    #[test]
    fn words_answer_where_they_may_and_are_not_too_many() {
        let mut asked = Questions::default();
        assert!(asked.ask(question(true), at(9)));
        let id = "q1".parse().unwrap();
        let code = |length| {
            let words = Answer::Text("y".repeat(length));
            asked.admit(&id, &words).map_err(|err| err.code()).err()
        };
        assert_eq!(code(TEXT_BYTES_MAX), None);
        assert_eq!(code(TEXT_BYTES_MAX + 1), Some("invalid_value"));
    }

    #[test]
    fn an_agent_that_ends_waits_for_nothing_and_what_is_open_about_the_network_stays_so() {
        let mut asked = Questions::default();
        let network = |id: &str| Question {
            id: id.parse().unwrap(),
            kind: QuestionKind::Network,
            ..question(false)
        };
        asked.remember(network("n1"), Some(at(20)));
        asked.ask(question(false), at(30));
        asked.ask(network("n2"), at(10));
        assert_eq!(asked.of_agent().unwrap().id.as_str(), "q1");
        assert_eq!((asked.deadline(), asked.late(at(9))), (Some(at(10)), None));
        assert_eq!(asked.late(at(10)).unwrap().id.as_str(), "n2");
        asked.take_back_of_agent();
        assert_eq!(asked.of_agent(), None);
        let open: Vec<_> = asked.of_network().map(|question| question.id.as_str()).collect();
        assert_eq!(open, ["n1", "n2"]);
        asked.take(&"n2".parse().unwrap(), Answer::Text(String::new()), AnsweredBy::Withdrawn);
        assert_eq!((asked.of_network().count(), asked.all_of_network().count()), (1, 2));
        assert_eq!(asked.deadline(), Some(at(20)));
    }

    #[test]
    fn without_an_answer_nothing_is_let_happen() {
        assert_eq!(denial(&question(true)), Answer::Option("no".to_owned()));
        let words = Question { options: Vec::new(), ..question(true) };
        assert_eq!(denial(&words), Answer::Text(String::new()));
    }
}
