//! Agents with the login of a subscription: what their files on the host hold is renewed and put in by the server, and is
//! not inside.

use std::{fs, os::unix::fs::symlink};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sandbar_host_tests::Planted;
use serde_json::{Value, json};

use crate::{
    Subject, asks_and_is_answered, bears_a_crash, bears_what_the_model_does,
    edits_and_is_taken_back, goes_on, home, works_without_a_task,
};

/// A token of ChatGPT: everybody can read whose it is.
fn chatgpt(signature: &str, ends: u64) -> String {
    let payload = json!({
        "https://api.openai.com/auth": {
            "chatgpt_account_id": "account-of-ann", "chatgpt_plan_type": "plus", "chatgpt_user_id": "ann",
        },
        "https://api.openai.com/profile": { "email": "ann.planted@shop.example" },
        "exp": ends,
    });
    format!("e30.{}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(payload.to_string()))
}

impl Subject {
    /// Logs in at the host, in a home of the test's, and hands the login over. The token has ended, so the first request
    /// gets `key`, which comes for `refresh`.
    fn logged_in(mut self, (file, login): (&str, Value), (refresh, answer): (&str, Value)) -> Self {
        let home = home().expect("agents are installed");
        let own = tempfile::tempdir().expect("a directory");
        let file = own.path().join(file);
        fs::create_dir_all(file.parent().expect("it is below the home")).expect("a directory");
        fs::write(&file, login.to_string()).expect("a file");
        symlink(home.join(".local"), own.path().join(".local")).expect("a link");
        self.model.logins().add(refresh, answer);
        let words = ["agents", "connect", self.agent, "--from-login"];
        let connected = self
            .server
            .cli(self.project.path(), &words)
            .env("HOME", own.path())
            .output()
            .expect("the binary is built");
        assert!(connected.status.success(), "{connected:?}");
        self.sandbox = self.server.create(&self.project);
        self
    }

    /// The login was renewed with the token of the host, once, and with the one that came then never.
    fn was_renewed_once(&self, path: &str) {
        let requests = self.model.requests();
        let renewals: Vec<_> = requests.iter().filter(|request| request.path == path).collect();
        assert_eq!(renewals.len(), 1, "{renewals:?}");
    }
}

fn codex() -> Option<Subject> {
    let mut subject = Subject::unconnected("codex")?;
    let ended = chatgpt("planted-access-ended-07b1", 1_700_000_000);
    let (refresh, next) = ("rt_planted-refresh-first-5fe2", "rt_planted-refresh-next-91c4");
    subject.key = Planted(chatgpt("planted-access-new-3ad8", 4_000_000_000));
    subject.words_at = "/backend-api/codex/responses";
    subject.others = [ended.as_str(), refresh, next, "ann.planted@shop.example"]
        .map(|planted| Planted(planted.to_owned()))
        .into();
    let login = json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": ended, "access_token": ended, "refresh_token": refresh, "account_id": "account-of-ann",
        },
        "last_refresh": "2023-11-14T22:13:20Z",
    });
    let answer = json!({
        "id_token": subject.key.0, "access_token": subject.key.0, "refresh_token": next,
    });
    Some(subject.logged_in((".codex/auth.json", login), (refresh, answer)))
}

/// The file is made again with each start, unless there is somebody's own.
fn what_a_person_puts_there_stays(subject: &Subject) {
    let after = |before: &str| {
        subject.server.sh(&subject.sandbox, before);
        let (code, _, stderr) =
            subject.sandbar(&["exec", &subject.sandbox, "--", "codex", "--version"]);
        assert_eq!(code, Some(0), "{stderr}");
        subject.server.sh(&subject.sandbox, "cat ~/.codex/auth.json")
    };
    let is_ours = |file: &str| file.contains("sbx-placeholder-") && file.contains("account-of-ann");
    let made = after("test -f ~/.codex/auth.json");
    assert!(is_ours(&made), "{made}");
    assert_eq!(after("echo mine >~/.codex/auth.json"), "mine\n");
    let again = after("echo sbx-placeholder-of-another >~/.codex/auth.json");
    assert!(is_ours(&again), "{again}");
}

#[test]
fn c2_codex_edits_with_a_login_of_chatgpt_that_is_renewed_and_nowhere_inside() {
    let Some(mut subject) = codex() else { return };
    edits_and_is_taken_back(&subject, ("authorization", "Bearer "));
    goes_on(&subject);
    bears_what_the_model_does(&subject);
    let words = [
        "codex",
        "exec",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        "EDIT please",
    ];
    works_without_a_task(&subject, &words);
    what_a_person_puts_there_stays(&subject);
    bears_a_crash(&mut subject);
    asks_and_is_answered(&mut subject);
    subject.is_at_the_model("authorization", "Bearer ");
    subject.was_renewed_once("/oauth/token");
    subject.is_nowhere();
    let may_have = ["/backend-api/codex/", "/backend-api/wham/accounts/check"];
    for request in subject.model.requests() {
        let account = request.header("chatgpt-account-id");
        if may_have.iter().any(|path| request.path.starts_with(path)) {
            assert_eq!(account, Some("account-of-ann"), "{request:?}");
        } else {
            assert_eq!(request.header("authorization"), None, "{request:?}");
        }
    }
}

#[test]
fn c2_gemini_edits_with_a_login_of_google_that_is_renewed_and_nowhere_inside() {
    let Some(mut subject) = Subject::unconnected("gemini") else { return };
    let (ended, refresh) = ("ya29.planted-access-ended-07b1", "1//planted-refresh-5fe2");
    subject.key = Planted("ya29.planted-access-new-3ad8".to_owned());
    subject.words_at = "/v1internal:";
    subject.others = [ended, refresh].map(|planted| Planted(planted.to_owned())).into();
    let login = json!({
        "access_token": ended, "refresh_token": refresh, "token_type": "Bearer",
        "scope": "https://www.googleapis.com/auth/cloud-platform", "expiry_date": 1_700_000_000_000_u64,
    });
    let answer =
        json!({ "access_token": subject.key.0, "expires_in": 3599, "token_type": "Bearer" });
    // As a form has it.
    let mut subject = subject
        .logged_in((".gemini/oauth_creds.json", login), ("1%2F%2Fplanted-refresh-5fe2", answer));
    edits_and_is_taken_back(&subject, ("authorization", "Bearer "));
    bears_what_the_model_does(&subject);
    let words = ["gemini", "--skip-trust", "--approval-mode", "yolo", "-p", "EDIT please"];
    works_without_a_task(&subject, &words);
    bears_a_crash(&mut subject);
    subject.is_at_the_model("authorization", "Bearer ");
    subject.was_renewed_once("/token");
    let requests = subject.model.requests();
    let renewal = requests.iter().find(|request| request.path == "/token").expect("there is one");
    let form = renewal.body.as_str().expect("it is a form");
    assert!(form.contains("&client_id=") && form.contains("&client_secret="), "{form}");
    subject.is_nowhere();
}
