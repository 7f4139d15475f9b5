//! Agents and their credentials: what `sandbar-agents` knows of a key becomes rules, and back.

use std::path::Path;

use jiff::Timestamp;
use sandbar_agents::{Agent, Credential, CredentialKind, KeyHeader};
use sandbar_secrets::ExposeSecret as _;
use sandbar_store::CredentialRow;
use sandbar_types::{
    AgentName, EnvName, InjectionPlace, InjectionRule, SandboxId, TOOLBOX, TenantId,
};

use super::{CredentialCreateParams, invalid, wire};
use crate::{Caller, Engine, Result, engine::Inner};

/// How an agent got its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Login {
    /// A key of an API.
    #[default]
    Key,
    /// The token of a login.
    OAuth,
}

impl Login {
    const fn kind(self) -> CredentialKind {
        match self {
            Self::Key => CredentialKind::Key,
            Self::OAuth => CredentialKind::Login,
        }
    }
}

/// An agent that may be asked, and what of it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAgent {
    /// What it is called.
    pub name: AgentName,
    /// What people call it.
    pub label: &'static str,
    /// Its program; `None` where the task says which.
    pub program: Option<&'static str>,
    /// The variables that take a key of it, the usual one first.
    pub env: Vec<EnvName>,
    /// Where its program is on the host.
    pub host_path: Option<String>,
    /// Whether the tenant has a credential for it.
    pub is_connected: bool,
}

impl Engine {
    /// Lists every agent, the ones that most people use first; on the host they are looked for as `caller` would.
    ///
    /// # Errors
    /// The store failed.
    pub async fn agent_list(&self, tenant: TenantId, caller: &Caller) -> Result<Vec<KnownAgent>> {
        let there = self.credential_list(tenant, None, u32::MAX >> 1).await?;
        let caller = caller.clone();
        crate::workspace_view::blocking(move || {
            let known = |agent: &&'static dyn Agent| {
                let name: AgentName = agent.name().parse().expect("it is a name");
                let is_connected = there.iter().any(|known| known.agent.as_ref() == Some(&name));
                KnownAgent {
                    label: agent.label(),
                    program: agent.program(),
                    env: variables(agent.name()),
                    host_path: host_path(*agent, &caller),
                    is_connected,
                    name,
                }
            };
            sandbar_agents::all().iter().map(known).collect()
        })
        .await
    }
}

/// Every variable that takes a key, once.
fn variables(agent: &str) -> Vec<EnvName> {
    let mut variables: Vec<EnvName> = Vec::new();
    for name in Credential::of(agent).flat_map(|credential| credential.env) {
        let name: EnvName = name.parse().expect("it is a name of a variable");
        if !variables.contains(&name) {
            variables.push(name);
        }
    }
    variables
}

/// Where a program is found by `caller`, or in the toolbox that sandboxes see.
fn host_path(agent: &dyn Agent, caller: &Caller) -> Option<String> {
    let program = agent.program()?;
    let toolbox = caller.home.as_path().join(TOOLBOX).join("bin");
    let dirs = caller.path.split(':').filter(|dir| dir.starts_with('/')).map(Path::new);
    let mut paths = dirs.chain([toolbox.as_path()]).map(|dir| dir.join(program));
    let found = paths.find(|path| path.is_file())?;
    found.into_os_string().into_string().ok()
}

/// The way in which the agent of a sandbox proves who it works for: by a credential that is put into its requests.
pub(crate) async fn of_agent(
    inner: &Inner,
    sandbox: SandboxId,
    agent: &AgentName,
) -> Result<Option<&'static Credential>> {
    let rows = wire::rows(inner, sandbox).await?;
    let mut ways: Vec<_> =
        rows.iter().filter(|row| row.agent.as_ref() == Some(agent)).filter_map(way).collect();
    // What a variable takes is used before what a file does, as the agents do.
    ways.sort_by_key(|way| way.env.is_empty());
    Ok(ways.first().copied())
}

/// What is known of the way that a credential is of.
pub(super) fn way(row: &CredentialRow) -> Option<&'static Credential> {
    let env = row.env.as_ref().map(EnvName::as_str);
    Credential::of_placed(row.agent.as_ref()?.as_str(), env, &row.placeholder)
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
    let known = known(&params)?;
    if let Some(stand_in) = known.stand_in {
        let token = params.value.expose_secret();
        if stand_in.content("placeholder", token, Timestamp::UNIX_EPOCH).is_none() {
            let message =
                format!("the token does not say whose it is, as those of {} do", known.provider);
            return Err(invalid(message).hint("log in anew with the agent on the host"));
        }
    }
    let hosts: Vec<(String, u16)> = match host {
        Some(host) => vec![split(&host)?],
        None => known.hosts.iter().map(|host| ((*host).to_owned(), 443)).collect(),
    };
    let rule = |(host, port): &(String, u16), path: &str, header: KeyHeader| InjectionRule {
        host: host.clone(),
        port: *port,
        methods: Vec::new(),
        path: path.to_owned(),
        place: InjectionPlace::Header {
            name: header.name.to_owned(),
            template: header.value("{}"),
        },
    };
    for host in &hosts {
        for path in known.paths {
            params.rules.extend(known.headers.iter().map(|header| rule(host, path, *header)));
        }
    }
    let first = known.env.first().map(|name| name.parse().expect("it is a name of a variable"));
    params.env = params.env.or(first);
    params.prefix = Some(params.prefix.unwrap_or_else(|| known.key_prefix.to_owned()));
    Ok(params)
}

/// The way that is meant: of the providers of an agent that has several, the one whose variable is named.
fn known(params: &CredentialCreateParams) -> Result<&'static Credential> {
    let agent = params.agent.as_ref().map_or("", AgentName::as_str);
    let ways: Vec<&'static Credential> =
        Credential::of(agent).filter(|known| known.kind == params.login.kind()).collect();
    let named = params.env.as_ref().map(EnvName::as_str);
    let by_name = ways.iter().find(|way| named.is_some_and(|name| way.env.contains(&name)));
    match (by_name, named, ways.as_slice()) {
        (Some(way), ..) | (None, _, [way]) | (None, None, [way, ..]) => Ok(*way),
        (None, _, []) => Err(invalid(
            "a credential needs `rules`, or an agent that is known to have one of this kind",
        )),
        (None, Some(name), [_, _, ..]) => {
            let names: Vec<&str> = ways.iter().filter_map(|way| way.env.first().copied()).collect();
            let message = format!("`{agent}` takes no key from `{name}`; it takes: ");
            Err(invalid(format!("{message}{}", names.join(", "))))
        }
    }
}

pub(super) fn split(host: &str) -> Result<(String, u16)> {
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
            renewal: None,
        }
    }

    #[test]
    fn every_known_key_has_rules_that_can_be_kept_and_a_placeholder() {
        for agent in sandbar_agents::all() {
            for name in variables(agent.name()) {
                let of = |login| CredentialCreateParams {
                    env: Some(name.clone()),
                    ..params(agent.name(), login, None)
                };
                let way = Credential::of(agent.name())
                    .find(|known| known.env.contains(&name.as_str()))
                    .unwrap();
                let login = match way.kind {
                    CredentialKind::Key => Login::Key,
                    CredentialKind::Login => Login::OAuth,
                };
                let complete = complete(of(login)).unwrap();
                let kept = super::super::checked(complete.rules.clone()).unwrap();
                assert_eq!(kept, complete.rules, "{name}");
                assert!(super::super::values::placeholder(way.key_prefix).is_ok(), "{name}");
                assert_eq!(complete.env.as_ref(), Some(&name));
                assert!(complete.rules.iter().all(|rule| way.hosts.contains(&&*rule.host)));
            }
        }
        assert!(complete(params("unheard-of", Login::Key, None)).is_err());
        assert!(complete(params("command", Login::Key, None)).is_err());
    }

    #[test]
    fn c2_a_login_that_no_variable_takes_has_what_stands_for_it_and_gets_no_more_than_it_needs() {
        let opaque = complete(params("codex", Login::OAuth, None)).unwrap_err();
        assert!(opaque.message().contains("whose"), "{}", opaque.message());
        // `{"https://api.openai.com/auth":{"chatgpt_account_id":"a"}}`
        let token =
            "e30.eyJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdGdwdF9hY2NvdW50X2lkIjoiYSJ9fQ.s";
        let login =
            CredentialCreateParams { value: token.into(), ..params("codex", Login::OAuth, None) };
        let complete = complete(login).unwrap();
        assert_eq!((complete.env, complete.prefix.as_deref()), (None, Some("chatgpt-")));
        let paths: Vec<&str> = complete.rules.iter().map(|rule| rule.path.as_str()).collect();
        assert_eq!(paths, ["/backend-api/codex", "/backend-api/wham/accounts/check"]);
        assert!(super::super::checked(complete.rules.clone()).is_ok());
    }

    #[test]
    fn c2_logins_that_a_variable_takes_need_nothing_else() {
        for (agent, variable) in
            [("claude-code", "CLAUDE_CODE_OAUTH_TOKEN"), ("gemini", "GOOGLE_CLOUD_ACCESS_TOKEN")]
        {
            let complete = complete(params(agent, Login::OAuth, None)).unwrap();
            assert_eq!(complete.env.as_ref().map(EnvName::as_str), Some(variable));
        }
    }

    #[test]
    fn of_several_providers_the_variable_says_which() {
        let of = |env: &str| {
            let env = Some(env.parse().unwrap());
            complete(CredentialCreateParams { env, ..params("opencode", Login::Key, None) })
        };
        assert_eq!(of("OPENROUTER_API_KEY").unwrap().rules[0].host, "openrouter.ai");
        assert_eq!(of("OPENAI_API_KEY").unwrap().rules[0].host, "api.openai.com");
        let refused = of("MY_KEY").unwrap_err();
        assert!(refused.message().contains("OPENCODE_API_KEY"), "{}", refused.message());
    }

    #[test]
    fn a_gateway_of_ones_own_takes_the_place_of_the_known_host() {
        let gateway = params("claude-code", Login::Key, Some("llm.corp.example:8443"));
        let complete = complete(gateway).unwrap();
        assert_eq!(complete.rules[0].host, "llm.corp.example");
        assert_eq!(complete.rules[0].port, 8443);
    }
}
