//! Claude Code.

use crate::{
    drive::{Place, installed},
    scenario::{Says, behaves},
    subject::Subject,
};

fn subject() -> Option<Subject> {
    Subject::new(
        "claude-code",
        |model| {
            let place = Place::new(installed("claude")?);
            Some(
                place
                    .set("ANTHROPIC_BASE_URL", &model.url)
                    .set("ANTHROPIC_API_KEY", "sandbar-placeholder"),
            )
        },
        |_| {},
    )
}

behaves! {
    it_edits(("x-api-key", "sandbar-placeholder")),
    its_question_is_asked_also_where_everything_is_allowed(),
    words_answer_its_question(),
    a_permission_that_is_given_lets_it_edit(),
    a_permission_that_is_refused_does_not(),
    it_tries_again_after_a_rate_limit(Says::So),
    an_error_of_the_model_is_the_error_of_the_task(),
    it_goes_on_after_a_cut(),
    it_stops_when_it_is_cancelled(),
    it_goes_on_with_a_session(|_| {}),
    a_session_that_is_not_there_is_an_error("7a7e2b5e-3c1c-4f43-9d4e-2f2f4b6f0c11"),
}
