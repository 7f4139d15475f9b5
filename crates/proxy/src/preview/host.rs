//! The names of previews. Pure.

use std::{fmt, str::FromStr};

use sandbar_types::{SandboxId, SandboxName};

use super::config::Scheme;

/// LIMIT: bytes of one label of a host name (RFC 1035).
const LABEL_MAX: usize = 63;
/// What stands between a preview's own label and the domain.
const BELOW: &str = "preview.";

/// The domain below which previews are, `preview.<domain>`; in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewDomain(String);

/// A text that is no domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a domain: labels of `a-z`, `0-9`, `-`, with dots between them, at most 180 bytes")]
pub struct InvalidDomain;

impl Default for PreviewDomain {
    /// `localhost`: browsers take every name below it for this machine.
    fn default() -> Self {
        Self(format!("{BELOW}localhost"))
    }
}

impl FromStr for PreviewDomain {
    type Err = InvalidDomain;

    fn from_str(domain: &str) -> Result<Self, Self::Err> {
        let domain = domain.to_ascii_lowercase();
        let fits = domain.len() <= 180 && domain.split('.').all(is_label);
        fits.then(|| Self(format!("{BELOW}{domain}"))).ok_or(InvalidDomain)
    }
}

impl fmt::Display for PreviewDomain {
    /// Without `preview.`, as it was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[BELOW.len()..])
    }
}

/// What a host name is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostMatch {
    /// A preview's.
    Preview(PreviewHost),
    /// It is below our domain, and no preview can have it.
    NoPreview,
    /// It is not below our domain.
    Elsewhere,
}

impl PreviewDomain {
    /// Reads a host name, without a port. Case does not matter.
    #[must_use]
    pub fn read(&self, host: &str) -> HostMatch {
        let host = host.to_ascii_lowercase();
        if host == self.0 {
            return HostMatch::NoPreview;
        }
        match host.strip_suffix(&self.0).and_then(|rest| rest.strip_suffix('.')) {
            None => HostMatch::Elsewhere,
            Some(label) => read_label(label).map_or(HostMatch::NoPreview, HostMatch::Preview),
        }
    }

    /// The host name of a preview, without a port.
    #[must_use]
    pub fn host(&self, preview: &PreviewHost) -> String {
        format!("{preview}.{}", self.0)
    }
}

/// One port of one sandbox; prints as the label `<port>-<sandbox>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PreviewHost {
    /// The port inside; never 0.
    pub port: u16,
    /// The sandbox, as it was named.
    pub sandbox: SandboxLabel,
}

/// How a host name says which sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SandboxLabel {
    /// By the digits of its id: the `_` of a whole id may not be in a host name.
    Id(SandboxId),
    /// By its name.
    Name(SandboxName),
}

impl SandboxLabel {
    /// By name where a host name can hold it, else by id.
    #[must_use]
    pub fn of(id: SandboxId, name: Option<&SandboxName>) -> Self {
        match name {
            Some(name) if is_host_name(name.as_str()) => Self::Name(name.clone()),
            Some(_) | None => Self::Id(id),
        }
    }
}

impl fmt::Display for PreviewHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.port)?;
        match &self.sandbox {
            SandboxLabel::Id(id) => f.write_str(&id.to_string()[SandboxId::PREFIX.len()..]),
            SandboxLabel::Name(name) => f.write_str(name.as_str()),
        }
    }
}

fn read_label(label: &str) -> Option<PreviewHost> {
    let (port, sandbox) = label.split_once('-')?;
    let is_port = !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit());
    let port = is_port.then(|| port.parse().ok()).flatten()?;
    let sandbox = if is_id(sandbox) {
        SandboxLabel::Id(format!("{}{sandbox}", SandboxId::PREFIX).parse().ok()?)
    } else if is_host_name(sandbox) {
        SandboxLabel::Name(sandbox.parse().ok()?)
    } else {
        return None;
    };
    Some(PreviewHost { port, sandbox })
}

/// Whether the digits of an id can be meant.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a name of a sandbox can stand in a host name behind its longest port, and is no id.
fn is_host_name(name: &str) -> bool {
    name.len() <= LABEL_MAX - "65535-".len() && is_label(name) && !is_id(name)
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Where a preview is seen, for people: the port stands in it exactly when it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewUrl {
    /// How it is reached.
    pub scheme: Scheme,
    /// The host name, without a port.
    pub host: String,
    /// The port on which we listen, or who stands before us.
    pub port: u16,
}

impl fmt::Display for PreviewUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str("/")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(host: &str) -> HostMatch {
        PreviewDomain::default().read(host)
    }

    #[test]
    fn d9_the_url_has_the_port_exactly_when_it_is_not_the_default() {
        let url = |scheme, port| {
            PreviewUrl { scheme, host: "3000-a.preview.localhost".to_owned(), port }.to_string()
        };
        assert_eq!(url(Scheme::Http, 80), "http://3000-a.preview.localhost/");
        assert_eq!(url(Scheme::Https, 443), "https://3000-a.preview.localhost/");
        assert_eq!(url(Scheme::Http, 443), "http://3000-a.preview.localhost:443/");
        assert_eq!(url(Scheme::Https, 80), "https://3000-a.preview.localhost:80/");
        assert_eq!(url(Scheme::Http, 7070), "http://3000-a.preview.localhost:7070/");
    }

    #[test]
    fn a_name_is_used_where_dns_can_hold_it() {
        let id = SandboxId::generate();
        for (name, is_used) in [
            ("shop", true),
            ("my-shop-2", true),
            ("my_shop", false),
            ("my.shop", false),
            ("shop-", false),
            ("0123456789abcdef0123456789abcdef", false),
            (&"x".repeat(57), true),
            (&"x".repeat(58), false),
        ] {
            let label = SandboxLabel::of(id, Some(&name.parse().unwrap()));
            assert_eq!(label != SandboxLabel::Id(id), is_used, "{name}");
            let host = PreviewHost { port: 65535, sandbox: label };
            let text = PreviewDomain::default().host(&host);
            assert_eq!(read(&text), HostMatch::Preview(host), "{text}");
        }
    }

    #[test]
    fn what_no_preview_can_have() {
        for host in [
            "preview.localhost",
            ".preview.localhost",
            "3000.preview.localhost",
            "0-shop.preview.localhost",
            "03000-shop.preview.localhost",
            "65536-shop.preview.localhost",
            "+3000-shop.preview.localhost",
            "-shop.preview.localhost",
            "3000-.preview.localhost",
            "3000--shop.preview.localhost",
            "3000-sb_0.preview.localhost",
            "3000-shop.x.preview.localhost",
            "3000-shöp.preview.localhost",
        ] {
            assert_eq!(read(host), HostMatch::NoPreview, "{host}");
        }
        for host in [
            "localhost",
            "",
            "3000-shop.localhost",
            "3000-shop.preview.localhost.",
            "xpreview.localhost",
        ] {
            assert_eq!(read(host), HostMatch::Elsewhere, "{host}");
        }
    }

    #[test]
    fn a_domain_is_a_domain() {
        for bad in ["", ".", "a..b", "a.", "-a", "a_b", "a b", "a:80", &"x.".repeat(100)] {
            assert_eq!(bad.parse::<PreviewDomain>(), Err(InvalidDomain), "{bad}");
        }
        let domain: PreviewDomain = "Example.COM".parse().unwrap();
        assert_eq!(domain.to_string(), "example.com");
        assert!(matches!(domain.read("80-a.PREVIEW.example.com"), HostMatch::Preview(_)));
    }

    proptest! {
        #[test]
        fn a_host_reads_back_as_itself(port in 1_u16.., name in "[a-z0-9][a-z0-9-]{0,55}[a-z0-9]", is_upper: bool) {
            let name: Result<SandboxName, _> = name.parse();
            prop_assume!(name.is_ok());
            let host = PreviewHost { port, sandbox: SandboxLabel::of(SandboxId::generate(), name.ok().as_ref()) };
            let text = PreviewDomain::default().host(&host);
            let text = if is_upper { text.to_ascii_uppercase() } else { text };
            prop_assert_eq!(read(&text), HostMatch::Preview(host));
        }

        #[test]
        fn no_text_is_read_as_a_host_of_another_spelling(label in "[-a-z0-9._]{0,70}") {
            let text = format!("{label}.preview.localhost");
            if let HostMatch::Preview(host) = read(&text) {
                prop_assert_eq!(PreviewDomain::default().host(&host), text);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            read(&text);
        }
    }
}
