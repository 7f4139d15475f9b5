//! What the operator sets.

use std::{fmt, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{access::AccessKey, host::PreviewDomain};

/// How browsers reach previews.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Plain.
    #[default]
    Http,
    /// Behind something that speaks TLS.
    Https,
}

impl Scheme {
    /// The port that is not written.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As it stands before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How previews are served.
#[derive(Debug, Clone)]
pub struct PreviewConfig {
    /// Below which domain they are.
    pub domain: PreviewDomain,
    /// How browsers reach them.
    pub scheme: Scheme,
    /// Signs tickets, share links and cookies. Another key ends all of them.
    pub key: AccessKey,
    /// Proxies of the operator: what these say in `X-Forwarded-For` and `X-Forwarded-Proto` is believed.
    pub trusted: Vec<IpAddr>,
    /// How long a person waits before the page is shown that says the sandbox wakes.
    pub browser_patience: Duration,
    /// How long a program's request is held while the sandbox wakes.
    pub program_patience: Duration,
}

impl PreviewConfig {
    /// The defaults, below `domain`.
    #[must_use]
    pub const fn new(domain: PreviewDomain, key: AccessKey) -> Self {
        Self {
            domain,
            scheme: Scheme::Http,
            key,
            trusted: Vec::new(),
            // A resume from pause takes less, and then no page flashes.
            browser_patience: Duration::from_millis(300),
            program_patience: Duration::from_secs(60),
        }
    }
}
