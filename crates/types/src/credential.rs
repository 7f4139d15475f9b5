//! Where a credential is put into a request on its way out: decided about with values alone.

use serde::{Deserialize, Serialize};

use crate::{Target, word::word};

/// What a credential is called: `[a-z0-9._-]`, at most 64 bytes, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialName(String);

/// A text that is not the name of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a name of a credential: lower-case letters, digits, `.`, `_` and `-`, at most 64 bytes, beginning with a letter or a digit"
)]
pub struct InvalidCredentialName;

fn is_credential_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        })
}

word!(CredentialName, is_credential_name, InvalidCredentialName, InvalidCredentialName);

/// Which requests get a credential, and where in them. Always over TLS: a rule for plain HTTP cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InjectionRule {
    /// The host, exactly: a name, or an address. No pattern is taken. Names in other scripts are written as `xn--…`.
    pub host: String,
    /// The port; 443 when absent.
    #[cfg_attr(feature = "openapi", schema(maximum = 65535))]
    #[serde(default = "https")]
    pub port: u16,
    /// The methods, in capitals; every one where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// What the path begins with, in whole segments; `/` when absent.
    #[serde(default = "every_path")]
    pub path: String,
    /// Where in the request.
    pub place: InjectionPlace,
}

const fn https() -> u16 {
    443
}

fn every_path() -> String {
    "/".to_owned()
}

/// Where a credential is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InjectionPlace {
    /// Into a header. What the program inside sent in it is taken out.
    Header {
        /// The name of the header.
        name: String,
        /// Its value, with `{}` where the secret goes: `Bearer {}`.
        template: String,
    },
    /// As the password of `authorization: Basic`, as Git and package registries take it.
    Basic {
        /// The name that goes with it.
        user: String,
    },
    /// Into a body of JSON or of a form, where a value is the placeholder.
    Body,
}

/// Why a rule is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// Not an exact host.
    #[error(
        "`host` is one host, without a pattern, a port or a scheme; names in other scripts are written as `xn--…`"
    )]
    Host,
    /// No port.
    #[error("`port` is a number from 1 to 65535")]
    Port,
    /// Not a method.
    #[error("a method is a word in capitals, and neither TRACE nor CONNECT")]
    Method,
    /// Not a path.
    #[error(
        "`path` begins with `/` and has no query, no empty, `.` or `..` segment, and nothing escaped"
    )]
    Path,
    /// Not a header that may be set.
    #[error("this header cannot be set: it belongs to the connection, or is no header")]
    Header,
    /// Not a template.
    #[error("a template is visible ASCII with `{{}}` in it exactly once")]
    Template,
    /// Not a user.
    #[error("a user is visible ASCII without a colon")]
    User,
}

/// Why a rule does not apply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RuleMiss {
    /// It is for another host.
    Host,
    /// It is for another port.
    Port,
    /// It is for other methods.
    Method,
    /// It is for other paths.
    Path,
    /// Two servers could read the path as two paths: it has `..`, `//`, `\`, or an escaped `/`, `.` or `\`.
    AmbiguousPath,
}

impl InjectionRule {
    /// LIMIT: rules of one credential.
    pub const MAX: usize = 32;

    /// Looks whether the rule can be kept.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn check(&self) -> Result<(), InvalidRule> {
        let target = self.target().ok_or(InvalidRule::Host)?;
        if target.port == 0 {
            return Err(InvalidRule::Port);
        }
        let is_method = |method: &String| {
            !method.is_empty()
                && method.bytes().all(|b| b.is_ascii_uppercase())
                && !matches!(method.as_str(), "TRACE" | "CONNECT")
        };
        if !self.methods.iter().all(is_method) {
            return Err(InvalidRule::Method);
        }
        let is_plain = self.path.bytes().all(|b| b.is_ascii_graphic() && !b"?#%".contains(&b));
        if !self.path.starts_with('/') || !is_plain || is_ambiguous(&self.path) {
            return Err(InvalidRule::Path);
        }
        self.place.check()
    }

    /// Returns the rule as it is kept: its host in the one way in which it is written.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn checked(self) -> Result<Self, InvalidRule> {
        self.check()?;
        let Target { host, .. } = self.target().ok_or(InvalidRule::Host)?;
        Ok(Self { host: host.to_string(), ..self })
    }

    /// Where the credential may go; `None` where the host is none, which an earlier version may have kept.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        Some(Target { host: self.host.parse().ok()?, port: self.port })
    }

    /// Returns whether the rule applies to a request, else why not.
    ///
    /// # Errors
    /// The first thing that is not as the rule says.
    pub fn admits(&self, asked: &Target, method: &str, path: &str) -> Result<(), RuleMiss> {
        let Some(target) = self.target().filter(|target| target.host == asked.host) else {
            return Err(RuleMiss::Host);
        };
        if target.port != asked.port {
            return Err(RuleMiss::Port);
        }
        if !self.methods.is_empty() && !self.methods.iter().any(|known| known == method) {
            return Err(RuleMiss::Method);
        }
        if self.path == "/" {
            return Ok(());
        }
        if is_ambiguous(path) {
            return Err(RuleMiss::AmbiguousPath);
        }
        match path.strip_prefix(&self.path) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/') => {
                Ok(())
            }
            Some(_) | None => Err(RuleMiss::Path),
        }
    }
}

/// Whether a path could lead elsewhere than it reads.
fn is_ambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let is_escaped = ["%2e", "%2f", "%5c", "%00", "\\", "//"];
    is_escaped.iter().any(|odd| lower.contains(odd))
        || lower.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Headers that frame a message or belong to one connection: a credential in one of them would be something else.
const FRAMING: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "proxy-authorization",
    "proxy-connection",
];

impl InjectionPlace {
    fn check(&self) -> Result<(), InvalidRule> {
        let is_visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        match self {
            Self::Header { name, template } => {
                let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
                let is_framing = FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing));
                if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token) || is_framing {
                    return Err(InvalidRule::Header);
                }
                let is_once = template.matches("{}").count() == 1;
                let fits = is_visible(template) && template.len() <= 256 && is_once;
                if fits { Ok(()) } else { Err(InvalidRule::Template) }
            }
            Self::Basic { user }
                if is_visible(user) && !user.contains(':') && user.len() <= 128 =>
            {
                Ok(())
            }
            Self::Basic { .. } => Err(InvalidRule::User),
            Self::Body => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str) -> InjectionRule {
        InjectionRule {
            host: "api.example".to_owned(),
            port: 443,
            methods: Vec::new(),
            path: path.to_owned(),
            place: InjectionPlace::Header {
                name: "authorization".to_owned(),
                template: "Bearer {}".to_owned(),
            },
        }
    }

    fn to(host: &str, port: u16) -> Target {
        Target { host: host.parse().unwrap(), port }
    }

    #[test]
    fn a_prefix_is_of_whole_segments() {
        let at = |rule: &InjectionRule, path| rule.admits(&to("api.example", 443), "GET", path);
        for path in ["/v1", "/v1/", "/v1/messages"] {
            assert_eq!(at(&rule("/v1"), path), Ok(()), "{path}");
        }
        for path in ["/", "/v2", "/v1x", "/V1"] {
            assert_eq!(at(&rule("/v1"), path), Err(RuleMiss::Path), "{path}");
        }
        for path in ["/v1/../admin", "/v1/%2e%2E/x", "/v1//x", "/v1/%2fx", "/v1/a\\b", "/v1/."] {
            assert_eq!(at(&rule("/v1"), path), Err(RuleMiss::AmbiguousPath), "{path}");
        }
        assert_eq!(at(&rule("/"), "/a/../b"), Ok(()));
    }

    #[test]
    fn another_host_port_or_method_is_said_so() {
        let only = InjectionRule { methods: vec!["POST".to_owned()], ..rule("/") };
        assert_eq!(only.admits(&to("api.example", 443), "GET", "/"), Err(RuleMiss::Method));
        assert_eq!(only.admits(&to("api.example", 8443), "POST", "/"), Err(RuleMiss::Port));
        assert_eq!(only.admits(&to("x.api.example", 443), "POST", "/"), Err(RuleMiss::Host));
    }

    #[test]
    fn one_host_is_the_same_however_it_is_written() {
        for (written, kept) in [
            ("API.Example.COM.", "api.example.com"),
            ("XN--Bcher-Kva.example", "xn--bcher-kva.example"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            ("[::ffff:192.0.2.7]", "192.0.2.7"),
        ] {
            let rule = InjectionRule { host: written.to_owned(), ..rule("/") };
            // Also one that was kept as it was written.
            assert_eq!(rule.admits(&to(kept, 443), "GET", "/"), Ok(()), "{written}");
            assert_eq!(rule.checked().unwrap().host, kept);
        }
        let odd = InjectionRule { host: "a..b".to_owned(), ..rule("/") };
        assert_eq!(odd.admits(&to("a.b", 443), "GET", "/"), Err(RuleMiss::Host));
    }

    #[test]
    fn a_rule_that_means_more_than_one_host_or_no_header_is_refused() {
        assert_eq!(rule("/").check(), Ok(()));
        for host in
            ["*.example", "https://a", "a:443", "", "a/b", ".a", "a..b", "bücher.example", "127.1"]
        {
            let rule = InjectionRule { host: host.to_owned(), ..rule("/") };
            assert_eq!(rule.check(), Err(InvalidRule::Host), "{host}");
        }
        for path in ["v1", "/a?b", "/a/..", "/%41", "//", "/a b"] {
            assert_eq!(rule(path).check(), Err(InvalidRule::Path), "{path}");
        }
        for (name, template, wrong) in [
            ("host", "{}", InvalidRule::Header),
            ("X Y", "{}", InvalidRule::Header),
            ("x-key", "none", InvalidRule::Template),
            ("x-key", "{}{}", InvalidRule::Template),
            ("x-key", "{}\r\nx: y", InvalidRule::Template),
        ] {
            let place =
                InjectionPlace::Header { name: name.to_owned(), template: template.to_owned() };
            let rule = InjectionRule { place, ..rule("/") };
            assert_eq!(rule.check(), Err(wrong), "{name} {template:?}");
        }
    }
}
