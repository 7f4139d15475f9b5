//! One agent, a fresh model and a fresh place for it.

use sandbar_agents::{Agent, Order, Step, by_name};
use sandbar_types::{AgentEvent, Answer, Permissions};

use crate::{
    drive::{Place, Ran, React, run},
    model::{Served, serve},
};

pub(crate) struct Subject {
    pub(crate) model: Served,
    pub(crate) place: Place,
    agent: &'static dyn Agent,
    adjust: fn(&mut Order),
}

impl Subject {
    /// `None` where it is not installed.
    pub(crate) fn new(
        name: &str,
        place: impl FnOnce(&Served) -> Option<Place>,
        adjust: fn(&mut Order),
    ) -> Option<Self> {
        let model = serve();
        let place = place(&model)?;
        Some(Self { place, model, agent: by_name(name).unwrap(), adjust })
    }

    pub(crate) fn order(&self, prompt: &str) -> Order {
        let mut order = self.place.order(prompt);
        (self.adjust)(&mut order);
        order
    }

    /// Nobody answers.
    pub(crate) fn run(&self, prompt: &str) -> Ran {
        self.run_order(&self.order(prompt))
    }

    pub(crate) fn run_order(&self, order: &Order) -> Ran {
        run(self.agent, &self.place, order, |_| React::Nothing)
    }

    /// Every question gets this answer.
    pub(crate) fn run_answered(&self, prompt: &str, answer: &Answer) -> Ran {
        self.answered(&self.order(prompt), answer)
    }

    /// Permissions are asked for, and the first option that allows, or does not, is chosen.
    pub(crate) fn run_asked(&self, prompt: &str, allows: bool) -> Ran {
        let mut order = self.order(prompt);
        order.permissions = Permissions::Ask;
        run(self.agent, &self.place, &order, |step| match step {
            Step::Ask(question) => {
                let chosen =
                    question.options.iter().find(|option| option.allows == Some(allows)).unwrap();
                React::Answer(Answer::Option(chosen.id.clone()))
            }
            _ => React::Nothing,
        })
    }

    fn answered(&self, order: &Order, answer: &Answer) -> Ran {
        run(self.agent, &self.place, order, |step| match step {
            Step::Ask(_) => React::Answer(answer.clone()),
            _ => React::Nothing,
        })
    }

    /// It is cancelled as soon as it says something.
    pub(crate) fn run_cancelled(&self, prompt: &str) -> Ran {
        let mut is_cancelled = false;
        run(self.agent, &self.place, &self.order(prompt), |step| match step {
            Step::Event(AgentEvent::Message { .. }) if !is_cancelled => {
                is_cancelled = true;
                React::Cancel
            }
            _ => React::Nothing,
        })
    }

    /// A second run goes on with the session of the first. Returns what the model was sent last.
    pub(crate) fn run_on(&self, first: &str, second: &str, between: fn(&Place)) -> (Ran, String) {
        let ran = self.run(first);
        ran.succeeded();
        between(&self.place);
        let mut order = self.order(second);
        order.session.clone_from(&ran.session);
        let ran = self.run_order(&order);
        assert_eq!(ran.session, order.session, "{ran:#?}");
        let has_prompt = |body: &str| body.contains(second);
        let bodies = self.model.requests().into_iter().map(|request| request.body.to_string());
        let last = bodies.rev().find(|body| has_prompt(body)).unwrap_or_default();
        (ran, last)
    }
}
