//! OpenCode, through the Agent Client Protocol.

use std::fs;

use crate::{
    drive::{Place, installed},
    scenario::{Says, behaves},
    subject::Subject,
};

fn subject() -> Option<Subject> {
    Subject::new(
        "opencode",
        |model| {
            let place =
                Place::new(installed("opencode")?).set("ANTHROPIC_API_KEY", "sandbar-placeholder");
            // In a sandbox the proxy answers for the true host; here the file says where the model is.
            let dir = place.home().join(".config/opencode");
            fs::create_dir_all(&dir).unwrap();
            let provider =
                format!(r#"{{"anthropic": {{"options": {{"baseURL": "{}/v1"}}}}}}"#, model.url);
            fs::write(dir.join("opencode.json"), format!(r#"{{"provider": {provider}}}"#)).unwrap();
            Some(place)
        },
        |order| order.model = Some("anthropic/claude-sonnet-4-5".to_owned()),
    )
}

behaves! {
    it_edits(("x-api-key", "sandbar-placeholder")),
    it_offers_no_question(),
    a_permission_that_is_given_lets_it_edit(),
    a_permission_that_is_refused_does_not(),
    it_tries_again_after_a_rate_limit(Says::Nothing),
    an_error_of_the_model_is_the_error_of_the_task(),
    it_goes_on_after_a_cut(),
    it_stops_when_it_is_cancelled(),
    it_goes_on_with_a_session(|_| {}),
    a_session_that_is_not_there_is_an_error("ses_000000000000000000000000"),
}
