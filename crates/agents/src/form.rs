//! Questions that wait. An agent may ask several at once, and a person is asked one after the other.
//!
//! Names are counted in the order of the lines, so reading the same lines again gives the same names.

use std::collections::VecDeque;

use sandbar_types::{Answer, Question, QuestionId, QuestionKind, QuestionOption};

use crate::Step;

/// A question that has no name yet.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) kind: QuestionKind,
    pub(crate) text: String,
    pub(crate) options: Vec<QuestionOption>,
    pub(crate) free_text: bool,
}

/// Questions that get one reply together.
#[derive(Debug)]
struct Form<R> {
    questions: Vec<Question>,
    answers: Vec<Answer>,
    reply: R,
}

/// All that wait; only the first is shown.
#[derive(Debug)]
pub(crate) struct Forms<R> {
    count: u64,
    open: VecDeque<Form<R>>,
}

/// What an answer leads to.
#[derive(Debug)]
pub(crate) enum Answered<R> {
    /// Nobody asked that, or it was answered.
    Unknown,
    /// The form has more questions.
    More(Vec<Step>),
    /// The form is filled in.
    Filled {
        /// What the form was opened with.
        reply: R,
        /// One for each question, in order.
        answers: Vec<Answer>,
        /// What is asked next.
        next: Vec<Step>,
    },
}

impl<R> Default for Forms<R> {
    fn default() -> Self {
        Self { count: 0, open: VecDeque::new() }
    }
}

impl<R> Forms<R> {
    /// Opens a form, and asks its first question unless another waits. A form without questions is not opened.
    pub(crate) fn open(&mut self, drafts: Vec<Draft>, reply: R) -> Vec<Step> {
        let questions: Vec<_> = drafts.into_iter().map(|draft| self.name(draft)).collect();
        if questions.is_empty() {
            return Vec::new();
        }
        self.open.push_back(Form { questions, answers: Vec::new(), reply });
        if self.open.len() == 1 { self.shown() } else { Vec::new() }
    }

    /// Takes the answer to the question that is shown.
    pub(crate) fn answer(&mut self, id: &QuestionId, answer: &Answer) -> Answered<R> {
        let Some(form) = self.open.front_mut() else { return Answered::Unknown };
        let Some(shown) = form.questions.get(form.answers.len()) else { return Answered::Unknown };
        if shown.id != *id {
            return Answered::Unknown;
        }
        form.answers.push(answer.clone());
        if form.answers.len() < form.questions.len() {
            return Answered::More(self.shown());
        }
        let Some(Form { reply, answers, .. }) = self.open.pop_front() else {
            return Answered::Unknown;
        };
        Answered::Filled { reply, answers, next: self.shown() }
    }

    /// Takes back the forms that `is_meant` names.
    pub(crate) fn withdraw(&mut self, is_meant: impl Fn(&R) -> bool) -> Vec<Step> {
        let first = self.shown_id();
        self.open.retain(|form| !is_meant(&form.reply));
        if self.shown_id() == first {
            return Vec::new();
        }
        first.map(Step::Unask).into_iter().chain(self.shown()).collect()
    }

    /// Takes back all, and gives what they were opened with.
    pub(crate) fn drain(&mut self) -> (Vec<Step>, Vec<R>) {
        let unasked = self.shown_id().map(Step::Unask).into_iter().collect();
        (unasked, self.open.drain(..).map(|form| form.reply).collect())
    }

    fn name(&mut self, draft: Draft) -> Question {
        self.count += 1;
        let id = format!("q{}", self.count).parse().expect("letters and digits, and few of them");
        let Draft { kind, text, options, free_text } = draft;
        Question { id, kind, text, options, free_text }
    }

    fn question(&self) -> Option<&Question> {
        let form = self.open.front()?;
        form.questions.get(form.answers.len())
    }

    fn shown(&self) -> Vec<Step> {
        self.question().cloned().map(Step::Ask).into_iter().collect()
    }

    fn shown_id(&self) -> Option<QuestionId> {
        self.question().map(|question| question.id.clone())
    }
}

/// The yes and no of a permission, for agents that offer no options of their own.
pub(crate) fn permission(text: String) -> Draft {
    Draft {
        kind: QuestionKind::Permission,
        text,
        options: vec![option(ALLOW, "Allow", Some(true)), option(DENY, "Deny", Some(false))],
        free_text: true,
    }
}

/// The option that allows.
pub(crate) const ALLOW: &str = "allow";
/// The option that does not.
const DENY: &str = "deny";

/// An option.
pub(crate) fn option(id: &str, label: &str, allows: Option<bool>) -> QuestionOption {
    QuestionOption { id: id.to_owned(), label: label.to_owned(), allows }
}

/// The words of an answer: what was written, or the option.
pub(crate) fn words(answer: &Answer) -> &str {
    match answer {
        Answer::Option(text) | Answer::Text(text) => text,
    }
}
