//! `[telemetry]`: where traces are sent to.

use std::{fmt, str::FromStr};

use http::Uri;
use serde::{Deserialize, Serialize, de::Error as _};

use super::value::Text;

/// What the operator says about traces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// The collector; no traces where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) otlp_endpoint: Option<Text<Endpoint>>,
    /// How many traces are sent, of those that begin here.
    pub(crate) otlp_sample: Sample,
}

/// The base address of a collector that speaks OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Uri);

/// A text that is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidEndpoint {
    #[error("must be the base address of a collector, such as `http://127.0.0.1:4318`")]
    Malformed,
    #[error("this binary was built without traces (the feature `otlp`, which releases have)")]
    NotBuilt,
}

impl Endpoint {
    /// Where traces are posted to.
    #[cfg(feature = "otlp")]
    pub(crate) fn traces(&self) -> String {
        format!("{}/v1/traces", self.to_string().trim_end_matches('/'))
    }

    /// Whether it speaks TLS.
    #[cfg(feature = "otlp")]
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority()?;
        let host = authority.host();
        let exact =
            authority.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        // More would be a port that is none, or before an `@` a password, in a file that is shown.
        let is_host = !host.is_empty() && authority.as_str() == exact;
        // `Uri` drops a fragment without a word.
        let is_base = uri.query().is_none() && !text.contains('#');
        (is_http && is_host && is_base).then_some(Self(uri))
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let endpoint = Self::parse(text).ok_or(InvalidEndpoint::Malformed)?;
        if cfg!(feature = "otlp") { Ok(endpoint) } else { Err(InvalidEndpoint::NotBuilt) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A share, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Sample(f64);

/// It is never NaN.
impl Eq for Sample {}

impl Sample {
    #[cfg(feature = "otlp")]
    pub(crate) const fn get(self) -> f64 {
        self.0
    }
}

impl Default for Sample {
    fn default() -> Self {
        Self(1.0)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(deserializer)?;
        let is_share = (0.0..=1.0).contains(&share);
        is_share.then_some(Self(share)).ok_or_else(|| {
            D::Error::custom(format!("`{share}` is no share of traces, from 0.0 to 1.0"))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_endpoint_is_a_base_address_without_a_password() {
        for text in ["http://127.0.0.1:4318", "https://otel.example.org/base/", "http://[::1]:1"] {
            assert!(Endpoint::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "127.0.0.1:4318",
            "/v1/traces",
            "grpc://127.0.0.1:4317",
            "unix:/run/otel.sock",
            "http://me:secret@127.0.0.1:4318",
            "http://127.0.0.1:4318/?key=secret",
            "http://127.0.0.1:4318/#traces",
            "http://127.0.0.1:99999",
            "http://:4318",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint::Malformed), "{text}");
        }
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn traces_go_below_the_base_address() {
        for (base, traces) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example.org/a", "https://otel.example.org/a/v1/traces"),
        ] {
            assert_eq!(base.parse::<Endpoint>().unwrap().traces(), traces);
        }
    }

    #[cfg(not(feature = "otlp"))]
    #[test]
    fn a_binary_without_traces_says_that_it_has_none() {
        let refused = "http://127.0.0.1:4318".parse::<Endpoint>().unwrap_err();
        assert_eq!(refused, InvalidEndpoint::NotBuilt);
        assert!(refused.to_string().contains("built without traces"));
    }

    proptest! {
        #[test]
        fn an_endpoint_reads_back_as_itself(text in "https?://[a-z0-9.]{1,12}(:[1-9][0-9]{0,3})?(/[a-z]{0,4}){0,2}") {
            if let Some(endpoint) = Endpoint::parse(&text) {
                prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Some(endpoint));
            }
        }
    }
}
