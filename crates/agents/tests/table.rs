//! What is known of agents before they run.

use sandbar_agents::{Credential, Login, Order, all, by_name, login, version};
use sandbar_types::{AgentName, Permissions};

#[test]
fn every_agent_has_a_name_of_its_own_that_finds_it() {
    for agent in all() {
        agent.name().parse::<AgentName>().unwrap();
        assert_eq!(by_name(agent.name()).unwrap().name(), agent.name());
    }
    assert!(by_name("clippy").is_none());
}

#[test]
fn no_prompt_is_in_the_arguments() {
    for permissions in [Permissions::AllowInside, Permissions::Ask] {
        for agent in all() {
            let order = Order {
                prompt: "the secret plan".to_owned(),
                command: vec!["any".to_owned()],
                permissions,
                ..Order::default()
            };
            let launch = agent.launch(&order);
            assert!(!format!("{launch:?}").contains("secret plan"));
            assert_eq!(launch.argv.first().map(String::as_str), agent.program().or(Some("any")));
            assert!(launch.files.keys().all(|path| !path.starts_with('/') && !path.contains("..")));
        }
    }
}

#[test]
fn every_credential_belongs_to_an_agent_and_has_a_place() {
    for agent in all().iter().filter(|agent| agent.program().is_some()) {
        let credentials: Vec<_> = Credential::of(agent.name()).collect();
        assert!(!credentials.is_empty(), "{}", agent.name());
        for credential in credentials {
            assert!(!credential.hosts.is_empty() && !credential.headers.is_empty());
            assert!(!credential.env.is_empty() || credential.login_file.is_some());
        }
    }
    assert_eq!(Credential::of("command").count(), 0);
}

#[test]
fn versions_are_read_as_the_real_ones_write_them() {
    assert_eq!(version("2.1.332 (Claude Code)\n"), Some("2.1.332"));
    assert_eq!(version("WARNING: proceeding\ncodex-cli 0.171.0\n"), Some("0.171.0"));
    assert_eq!(version("1.18.33\n"), Some("1.18.33"));
    assert_eq!(version("v0.61.0-preview.1"), Some("0.61.0-preview.1"));
    assert_eq!(version("command not found"), None);
}

#[test]
fn logins_are_seen_without_being_kept() {
    let claude = r#"{"claudeAiOauth":{"accessToken":"a","refreshToken":"b","expiresAt":1}}"#;
    let codex = r#"{"OPENAI_API_KEY":null,"tokens":{"access_token":"a","account_id":"x"}}"#;
    let opencode = r#"{"anthropic":{"type":"api","key":"a"}}"#;
    let gemini = r#"{"access_token":"a","scope":"s","token_type":"Bearer"}"#;
    for file in [claude, codex, opencode, gemini] {
        assert_eq!(login(Some(file)), Login::Present, "{file}");
    }
    assert_eq!(login(None), Login::Absent);
    assert_eq!(login(Some(r#"{"OPENAI_API_KEY":null,"account_id":"x"}"#)), Login::Absent);
    assert_eq!(login(Some("{}")), Login::Absent);
    assert_eq!(login(Some("not json")), Login::Absent);
}
