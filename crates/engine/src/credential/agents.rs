//! Where the credentials of the agents that people use belong: host, header, variable.

use sandbar_types::{AgentName, EnvName, InjectionPlace, InjectionRule, TenantId};

use super::{CredentialCreateParams, invalid};
use crate::{Engine, Result};

/// How an agent got its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Login {
    /// A key of an API.
    #[default]
    Key,
    /// The token of a login.
    OAuth,
}

/// What is known of one credential.
struct Known {
    login: Login,
    env: &'static str,
    prefix: &'static str,
    hosts: &'static [&'static str],
    header: &'static str,
    template: &'static str,
}

const BEARER: (&str, &str) = ("authorization", "Bearer {}");

const fn known(
    login: Login,
    (env, prefix): (&'static str, &'static str),
    hosts: &'static [&'static str],
    (header, template): (&'static str, &'static str),
) -> Known {
    Known { login, env, prefix, hosts, header, template }
}

/// An agent that credentials are known of.
struct Agent {
    name: &'static str,
    label: &'static str,
    program: &'static str,
    known: &'static [Known],
}

const AGENTS: &[Agent] = &[
    Agent {
        name: "claude-code",
        label: "Claude Code",
        program: "claude",
        known: &[
            known(
                Login::Key,
                ("ANTHROPIC_API_KEY", "sk-ant-api03-"),
                &["api.anthropic.com"],
                ("x-api-key", "{}"),
            ),
            known(
                Login::OAuth,
                ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-"),
                &["api.anthropic.com"],
                BEARER,
            ),
        ],
    },
    Agent {
        name: "codex",
        label: "Codex",
        program: "codex",
        known: &[
            known(Login::Key, ("OPENAI_API_KEY", "sk-proj-"), &["api.openai.com"], BEARER),
            known(Login::OAuth, ("CODEX_ACCESS_TOKEN", ""), &["chatgpt.com"], BEARER),
        ],
    },
    Agent {
        name: "gemini-cli",
        label: "Gemini CLI",
        program: "gemini",
        known: &[
            known(
                Login::Key,
                ("GEMINI_API_KEY", "AIza"),
                &["generativelanguage.googleapis.com"],
                ("x-goog-api-key", "{}"),
            ),
            known(
                Login::OAuth,
                ("GOOGLE_CLOUD_ACCESS_TOKEN", "ya29."),
                &["cloudcode-pa.googleapis.com"],
                BEARER,
            ),
        ],
    },
    Agent {
        name: "opencode",
        label: "OpenCode",
        program: "opencode",
        known: &[known(
            Login::Key,
            ("OPENROUTER_API_KEY", "sk-or-v1-"),
            &["openrouter.ai"],
            BEARER,
        )],
    },
];

/// An agent that credentials are known of, and whether there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAgent {
    /// What it is called.
    pub name: AgentName,
    /// What people call it.
    pub label: &'static str,
    /// Its program.
    pub program: &'static str,
    /// The variable that a key of it is in, usually.
    pub env: EnvName,
    /// Whether the tenant has a credential for it.
    pub is_connected: bool,
}

impl Engine {
    /// Lists the agents that credentials are known of.
    ///
    /// # Errors
    /// The store failed.
    pub async fn agent_list(&self, tenant: TenantId) -> Result<Vec<KnownAgent>> {
        let there = self.credential_list(tenant, None, u32::MAX >> 1).await?;
        let listed = AGENTS.iter().map(|agent| {
            let name: AgentName = agent.name.parse().expect("it is a name");
            let is_connected = there.iter().any(|known| known.agent.as_ref() == Some(&name));
            let env = agent.known[0].env.parse().expect("it is a name of a variable");
            KnownAgent { name, label: agent.label, program: agent.program, env, is_connected }
        });
        Ok(listed.collect())
    }
}

/// Adds what is known of the agent to what is not said.
pub(super) fn complete(mut params: CredentialCreateParams) -> Result<CredentialCreateParams> {
    let host = params.host.take();
    if !params.rules.is_empty() {
        if host.is_some() {
            return Err(invalid("either `host`, for an agent that is known, or `rules`"));
        }
        return Ok(params);
    }
    let agent = params
        .agent
        .as_ref()
        .and_then(|name| AGENTS.iter().find(|agent| agent.name == name.as_str()));
    let known = agent
        .and_then(|agent| agent.known.iter().find(|known| known.login == params.login))
        .ok_or_else(|| {
            invalid(
                "a credential needs `rules`, or an agent that is known to have one of this kind",
            )
        })?;
    let hosts: Vec<(String, u16)> = match host {
        Some(host) => vec![split(&host)?],
        None => known.hosts.iter().map(|host| ((*host).to_owned(), 443)).collect(),
    };
    params.rules = hosts
        .into_iter()
        .map(|(host, port)| InjectionRule {
            host,
            port,
            methods: Vec::new(),
            path: "/".to_owned(),
            place: InjectionPlace::Header {
                name: known.header.to_owned(),
                template: known.template.to_owned(),
            },
        })
        .collect();
    let env = || known.env.parse().expect("it is a name of a variable");
    params.env = Some(params.env.unwrap_or_else(env));
    params.prefix = Some(params.prefix.unwrap_or_else(|| known.prefix.to_owned()));
    Ok(params)
}

fn split(host: &str) -> Result<(String, u16)> {
    match host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        None => Ok((host.to_owned(), 443)),
        Some((name, port)) => {
            let port = port.parse().map_err(|_| invalid("`host` is HOST or HOST:PORT"))?;
            Ok((name.to_owned(), port))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CredentialScope;

    fn params(agent: &str, login: Login, host: Option<&str>) -> CredentialCreateParams {
        CredentialCreateParams {
            name: agent.parse().unwrap(),
            value: "sk-1234567".into(),
            scope: CredentialScope::Tenant,
            agent: Some(agent.parse().unwrap()),
            login,
            host: host.map(str::to_owned),
            env: None,
            prefix: None,
            rules: Vec::new(),
        }
    }

    #[test]
    fn every_known_agent_has_rules_that_can_be_kept() {
        for agent in AGENTS {
            for known in agent.known {
                let complete = complete(params(agent.name, known.login, None)).unwrap();
                assert!(super::super::check_rules(&complete.rules).is_ok(), "{}", agent.name);
                assert!(complete.env.is_some());
            }
        }
        assert!(complete(params("unheard-of", Login::Key, None)).is_err());
    }

    #[test]
    fn a_gateway_of_ones_own_takes_the_place_of_the_known_host() {
        let gateway = params("claude-code", Login::Key, Some("llm.corp.example:8443"));
        let complete = complete(gateway).unwrap();
        assert_eq!(complete.rules[0].host, "llm.corp.example");
        assert_eq!(complete.rules[0].port, 8443);
    }
}
