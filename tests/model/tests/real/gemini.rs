//! The Gemini CLI, through the Agent Client Protocol.

use std::fs;

use crate::{
    drive::{Place, installed},
    scenario::{Says, behaves},
    subject::Subject,
};

fn subject() -> Option<Subject> {
    Subject::new(
        "gemini",
        |model| {
            let place = Place::new(installed("gemini")?);
            Some(
                place
                    .set("GOOGLE_GEMINI_BASE_URL", &model.url)
                    .set("GEMINI_API_KEY", "sandbar-placeholder"),
            )
        },
        |_| {},
    )
}

behaves! {
    it_edits(("x-goog-api-key", "sandbar-placeholder")),
    it_offers_no_question(),
    a_permission_that_is_given_lets_it_edit(),
    a_permission_that_is_refused_does_not(),
    it_tries_again_after_a_rate_limit(Says::Nothing),
    an_error_of_the_model_is_the_error_of_the_task(),
    it_goes_on_after_a_cut(),
    it_stops_when_it_is_cancelled(),
    it_goes_on_with_a_session as it_goes_on_with_a_session_of_another_minute(another_minute),
    a_session_that_is_not_there_is_an_error("7a7e2b5e-3c1c-4f43-9d4e-2f2f4b6f0c11"),
}

/// It names the file of a session by the minute, and one that is gone on with in the same minute is overwritten before
/// it is read. So the file of the first run is made an older one here.
fn another_minute(place: &Place) {
    // Where it keeps the sessions of a workspace named `work`.
    let dir = place.home().join(".gemini").join("tmp").join("work").join("chats");
    for entry in fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let id = name.rsplit('-').next().unwrap();
        fs::rename(dir.join(&name), dir.join(format!("session-2026-01-01T00-00-{id}"))).unwrap();
    }
}
