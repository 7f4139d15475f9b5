//! What there is to put in: values with their rules, ready to be looked for.

use std::{collections::HashMap, fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use sandbar_types::{InjectionPlace, InjectionRule};
use zeroize::Zeroizing;

use super::{
    pattern::Patterns,
    renewal::{IsUsable, Renewal, is_due},
    response::Refusal,
};
use crate::egress::policy::Target;

/// Headers that carry credentials with the services that people use. A request that gets a credential of ours has no
/// other one: with a key of somebody else's, what the sandbox holds could be sent to their account.
const KNOWN: [HeaderName; 5] = [
    http::header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("private-token"),
];

/// A secret with its rules.
#[derive(Clone)]
pub struct Credential {
    /// What people call it.
    pub name: String,
    /// The value that goes out; `None` where it cannot be had: what would get it is refused.
    pub secret: Option<Zeroizing<String>>,
    /// What is inside in its place.
    pub placeholder: String,
    /// Where it may go.
    pub rules: Vec<InjectionRule>,
    /// How it is renewed, where it is.
    pub renewal: Option<Renewal>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every credential of one sandbox, by where it is bound to.
#[derive(Debug, Default)]
pub struct CredentialSet {
    bound: HashMap<Target, Arc<Bound>>,
}

impl CredentialSet {
    /// Sorts credentials by where they are bound to. A rule whose host cannot be read is left out: it binds to nothing.
    #[must_use]
    pub fn new(credentials: Vec<Credential>) -> Self {
        let mut by_target: HashMap<Target, Vec<Arc<Credential>>> = HashMap::new();
        for credential in credentials.into_iter().map(Arc::new) {
            for rule in &credential.rules {
                let Some(target) = rule.target() else { continue };
                let of = by_target.entry(target).or_default();
                if !of.iter().any(|known| Arc::ptr_eq(known, &credential)) {
                    of.push(Arc::clone(&credential));
                }
            }
            // Ended as well, so that a program inside that would renew it is told who does: its provider would say of what
            // stands for the token that it was revoked, and some agents give up then.
            if let Some(renewal) = &credential.renewal {
                let of = by_target.entry(renewal.endpoint.clone()).or_default();
                if !of.iter().any(|known| Arc::ptr_eq(known, &credential)) {
                    of.push(Arc::clone(&credential));
                }
            }
        }
        let bound = by_target.into_iter().map(|(target, of)| (target, Arc::new(Bound::new(of))));
        Self { bound: bound.collect() }
    }

    /// Whether a credential is bound to `target`.
    #[must_use]
    pub fn has(&self, target: &Target) -> bool {
        self.bound.contains_key(target)
    }

    /// Whether the value of `credential` is `value`.
    pub(super) fn is_value(&self, credential: &str, value: &str) -> bool {
        let mut all = self.bound.values().flat_map(|bound| &bound.credentials);
        all.any(|known| {
            known.name == credential
                && known.secret.as_ref().is_some_and(|secret| secret.as_str() == value)
        })
    }

    /// What is bound to `target`.
    pub(super) fn bound(&self, target: &Target) -> Option<Arc<Bound>> {
        self.bound.get(target).map(Arc::clone)
    }
}

/// What is bound to one host and port.
#[derive(Debug)]
pub(super) struct Bound {
    credentials: Vec<Arc<Credential>>,
    patterns: Arc<Patterns>,
}

/// A value that a request is to get and that is to be renewed before.
#[derive(Debug)]
pub(super) struct Due<'a> {
    pub(super) credential: &'a str,
    pub(super) seen: &'a str,
    pub(super) usable: IsUsable,
}

/// What a request gets.
#[derive(Debug, Default)]
pub(super) struct Injection<'a> {
    headers: Vec<(HeaderName, HeaderValue, &'a str)>,
    /// Credentials whose placeholder is looked for in the body.
    pub(super) body: Vec<&'a Credential>,
}

impl Bound {
    fn new(credentials: Vec<Arc<Credential>>) -> Self {
        let patterns = Arc::new(Patterns::new(&credentials));
        Self { credentials, patterns }
    }

    /// What must not come back.
    pub(super) fn patterns(&self) -> &Arc<Patterns> {
        &self.patterns
    }

    /// Returns what a request gets: of several rules for one header, the one with the longest path.
    ///
    /// # Errors
    /// A value that the request is to have cannot be had.
    pub(super) fn injection(
        &self,
        target: &Target,
        (method, path): (&str, &str),
    ) -> Result<Injection<'_>, Refusal> {
        let mut fitting: Vec<(&InjectionRule, &Credential)> = self
            .credentials
            .iter()
            .flat_map(|credential| credential.rules.iter().map(move |rule| (rule, &**credential)))
            .filter(|(rule, _)| rule.admits(target, method, path).is_ok())
            .collect();
        fitting.sort_by_key(|(rule, _)| std::cmp::Reverse(rule.path.len()));
        let mut injection = Injection::default();
        for (rule, credential) in fitting {
            let secret = credential.secret.as_ref().ok_or(Refusal::Unavailable)?;
            match header(&rule.place, secret) {
                None => {
                    if !injection.body.iter().any(|known| known.name == credential.name) {
                        injection.body.push(credential);
                    }
                }
                Some((name, value)) => {
                    if !injection.headers.iter().any(|(known, ..)| *known == name) {
                        injection.headers.push((name, value, &credential.name));
                    }
                }
            }
        }
        Ok(injection)
    }

    /// What a request is to get and what is due at `now`.
    pub(super) fn due(
        &self,
        target: &Target,
        (method, path): (&str, &str),
        now: Timestamp,
    ) -> Vec<Due<'_>> {
        let fits = |rule: &InjectionRule| rule.admits(target, method, path).is_ok();
        self.credentials
            .iter()
            .filter(|credential| credential.rules.iter().any(fits))
            .filter_map(|credential| {
                let usable = is_due(credential.renewal.as_ref()?.expires_at?, now)?;
                Some(Due {
                    credential: &credential.name,
                    seen: credential.secret.as_ref()?,
                    usable,
                })
            })
            .collect()
    }

    /// The values of `names` that are renewed, with those names.
    pub(super) fn renewable<'a>(&'a self, names: &[String]) -> Vec<(&'a str, &'a str)> {
        self.credentials
            .iter()
            .filter(|known| known.renewal.is_some() && names.contains(&known.name))
            .filter_map(|known| Some((known.name.as_str(), known.secret.as_ref()?.as_str())))
            .collect()
    }

    /// Whether a credential of ours is renewed at `path` of `target`.
    pub(super) fn is_token_endpoint(&self, target: &Target, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let mut renewals = self.credentials.iter().filter_map(|known| known.renewal.as_ref());
        renewals.any(|it| it.endpoint == *target && it.path.trim_end_matches('/') == path)
    }

    /// Takes out what the program inside sent where a credential of `target` would be, whether this request gets one or
    /// not.
    pub(super) fn strip(&self, target: &Target, headers: &mut HeaderMap) {
        let is_of = |rule: &&InjectionRule| rule.target().is_some_and(|of| of == *target);
        let rules = self.credentials.iter().flat_map(|credential| &credential.rules);
        for rule in rules.filter(is_of) {
            if let Some(name) = header_name(&rule.place) {
                headers.remove(name);
            }
        }
    }
}

impl Injection<'_> {
    /// Puts the headers in, and returns the names of the credentials that they are of.
    pub(super) fn put(&self, headers: &mut HeaderMap) -> Vec<&str> {
        if !self.headers.is_empty() {
            for known in &KNOWN {
                headers.remove(known);
            }
        }
        for (name, value, _) in &self.headers {
            headers.insert(name, value.clone());
        }
        self.headers.iter().map(|(.., credential)| *credential).collect()
    }
}

fn header_name(place: &InjectionPlace) -> Option<HeaderName> {
    match place {
        InjectionPlace::Header { name, .. } => name.parse().ok(),
        InjectionPlace::Basic { .. } => Some(http::header::AUTHORIZATION),
        InjectionPlace::Body => None,
    }
}

/// The header that a place makes of a secret; `None` for a body, and for a value that no header can have.
fn header(place: &InjectionPlace, secret: &str) -> Option<(HeaderName, HeaderValue)> {
    let text = match place {
        InjectionPlace::Header { template, .. } => Zeroizing::new(template.replace("{}", secret)),
        InjectionPlace::Basic { user } => {
            let pair = Zeroizing::new([user, ":", secret].concat());
            let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
            Zeroizing::new(["Basic ", &encoded].concat())
        }
        InjectionPlace::Body => return None,
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some((header_name(place)?, value))
}
