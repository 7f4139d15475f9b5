//! How a credential is renewed: where, by whom, and with what.

use jiff::Timestamp;
use sandbar_agents::Credential;
use sandbar_store::{CredentialRow, Reads, WriteTxn};
use sandbar_types::{AgentName, InjectionPlace, InjectionRule};
use serde::{Deserialize, Serialize};

use crate::{
    Result, SecretString,
    credential::{
        agents, invalid,
        values::{self, Part},
        wire::WireRenewal,
    },
    secret,
};

/// LIMIT: bytes of a client's id.
const CLIENT_ID_BYTES_MAX: usize = 256;

/// How a token endpoint wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    /// With JSON.
    Json,
    /// With a form, as RFC 6749 has it.
    Form,
}

/// How a credential is renewed: everything but the token that it is renewed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The token endpoint: `https://HOST[:PORT]/PATH`.
    pub token_url: String,
    /// Who asks, as the endpoint knows it.
    pub client_id: String,
    /// How it wants to be asked.
    pub body: TokenBody,
    /// When the value ends, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// How a credential shall be renewed. Of an agent that is known, endpoint and client are known.
#[derive(Debug, Clone)]
pub struct RenewalParams {
    /// What a new value is asked for with.
    pub refresh_token: SecretString,
    /// When the value ends, where that is known.
    pub expires_at: Option<Timestamp>,
    /// The token endpoint.
    pub token_url: Option<String>,
    /// Who asks, as the endpoint knows it.
    pub client_id: Option<String>,
    /// What it knows them by, where it wants that of a program.
    pub client_secret: Option<SecretString>,
}

/// What an endpoint is asked with, and nobody else is told.
#[derive(Debug, Clone)]
pub(in crate::credential) struct RenewalSecrets {
    pub(super) refresh: SecretString,
    pub(super) client: Option<SecretString>,
}

impl RenewalSecrets {
    /// Seals and writes them.
    pub(in crate::credential) async fn put(
        &self,
        txn: &mut WriteTxn,
        ring: &secret::Ring<'_>,
        row: (&CredentialRow, Timestamp),
    ) -> Result<()> {
        values::put(txn, ring, row, (Part::Refresh, &self.refresh)).await?;
        match &self.client {
            Some(client) => values::put(txn, ring, row, (Part::Client, client)).await,
            None => Ok(()),
        }
    }

    /// Removes them.
    pub(in crate::credential) async fn remove(
        txn: &mut WriteTxn,
        row: &CredentialRow,
    ) -> Result<()> {
        values::remove(txn, row, Part::Refresh).await?;
        values::remove(txn, row, Part::Client).await
    }

    /// Opens them; `None` where there are none, or none that open.
    pub(super) async fn open(
        conn: &mut impl Reads,
        ring: &secret::Ring<'_>,
        row: &CredentialRow,
    ) -> Result<Option<Self>> {
        let refresh = values::open(conn, ring, (row, Part::Refresh)).await?;
        let client = values::open(conn, ring, (row, Part::Client)).await?;
        Ok(refresh.map(|refresh| Self { refresh, client }))
    }
}

impl RenewalParams {
    /// Checks it, and adds what is known of the agent.
    pub(in crate::credential) fn plan(
        self,
        agent: Option<&AgentName>,
    ) -> Result<(Renewal, RenewalSecrets)> {
        let Self { refresh_token, expires_at, token_url, client_id, client_secret } = self;
        let secrets = [Some(&refresh_token), client_secret.as_ref()];
        secrets.into_iter().flatten().try_for_each(values::check)?;
        let known = agent.and_then(|agent| {
            Credential::of(agent.as_str()).find_map(|known| known.token_endpoint)
        });
        let is_of_program = known.is_some_and(|known| known.client_id.is_none());
        if is_of_program && (client_id.is_none() || client_secret.is_none()) {
            let message = "a renewal of this agent needs `client_id` and `client_secret`";
            return Err(invalid(message)
                .hint("`sandbar agents connect` takes them from its program on your host"));
        }
        let token_url = token_url.or_else(|| known.map(|known| known.url.to_owned()));
        let client_id = client_id.or_else(|| known?.client_id.map(str::to_owned));
        let (Some(token_url), Some(client_id)) = (token_url, client_id) else {
            return Err(invalid(
                "a renewal needs `token_url` and `client_id`, or an agent whose logins are known",
            ));
        };
        split(&token_url)?;
        let is_plain = client_id.bytes().all(|b| b.is_ascii_graphic());
        if client_id.is_empty() || client_id.len() > CLIENT_ID_BYTES_MAX || !is_plain {
            return Err(invalid("`client_id` is visible ASCII without spaces"));
        }
        let body = match known.map(|known| known.body) {
            Some(sandbar_agents::TokenBody::Json) => TokenBody::Json,
            Some(sandbar_agents::TokenBody::Form) | None => TokenBody::Form,
        };
        let renewal = Renewal { token_url, client_id, body, expires_at };
        Ok((renewal, RenewalSecrets { refresh: refresh_token, client: client_secret }))
    }
}

/// Host, port and path of a token endpoint.
pub(super) fn split(url: &str) -> Result<(String, u16, String)> {
    let wrong = || invalid("`token_url` is https://HOST[:PORT]/PATH");
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let (authority, path) = rest.split_at(rest.find('/').ok_or_else(wrong)?);
    let (host, port) = agents::split(authority).map_err(|_| wrong())?;
    let rule = InjectionRule {
        host,
        port,
        methods: Vec::new(),
        path: path.to_owned(),
        place: InjectionPlace::Body,
    };
    rule.check().map_err(|_| wrong())?;
    Ok((rule.host, rule.port, rule.path))
}

impl Renewal {
    /// What is in the record; `None` where a later version wrote what this one does not read.
    pub(in crate::credential) fn of(value: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }

    pub(in crate::credential) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("it has texts alone")
    }

    pub(in crate::credential) fn on_wire(&self) -> Option<WireRenewal> {
        let (host, port, path) = split(&self.token_url).ok()?;
        Some(WireRenewal { host, port, path, expires_at: self.expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(token_url: Option<&str>) -> RenewalParams {
        RenewalParams {
            refresh_token: "sk-ant-ort01-a+b".into(),
            expires_at: None,
            token_url: token_url.map(str::to_owned),
            client_id: None,
            client_secret: None,
        }
    }

    #[test]
    fn of_known_agents_endpoint_and_client_are_known_and_an_endpoint_is_over_tls() {
        for agent in ["claude-code", "codex"] {
            let agent = agent.parse().unwrap();
            assert!(params(None).plan(Some(&agent)).is_ok(), "{agent}");
            for wrong in
                ["http://a.example/t", "https://a.example", "https://a..b/t", "https://a/../t"]
            {
                assert!(params(Some(wrong)).plan(Some(&agent)).is_err(), "{wrong}");
            }
        }
        assert!(params(None).plan(None).is_err());
        assert_eq!(
            split("https://[::1]:8443/v1/token").unwrap(),
            ("[::1]".to_owned(), 8443, "/v1/token".to_owned())
        );
    }

    #[test]
    fn who_asks_for_logins_of_google_is_said_by_the_program_of_the_host() {
        let agent = "gemini".parse().unwrap();
        let refused = params(None).plan(Some(&agent)).unwrap_err();
        assert!(refused.message().contains("client_secret"), "{}", refused.message());
        let client_id = Some("1.apps.example".to_owned());
        let client_secret = Some("planted-secret".into());
        let said = RenewalParams { client_id, client_secret, ..params(None) };
        let (renewal, secrets) = said.plan(Some(&agent)).unwrap();
        assert_eq!(renewal.token_url, "https://oauth2.googleapis.com/token");
        assert_eq!((renewal.body, secrets.client.is_some()), (TokenBody::Form, true));
        assert!(!renewal.to_value().to_string().contains("planted"));
    }
}
