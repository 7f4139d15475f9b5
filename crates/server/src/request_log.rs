//! The log of one request: every line that is written on its behalf carries its id, its route and what kind of
//! principal asked. Never a token, a body, or a path.

use std::time::Duration;

use http::{Method, StatusCode};
use sandbar_types::Actor;
use tracing::{Span, field};

/// A request that is being answered.
#[derive(Debug, Clone)]
pub(crate) struct RequestLog(Span);

impl RequestLog {
    pub(crate) fn begin(request_id: &str, method: &Method, route: &str) -> Self {
        Self(tracing::info_span!(
            "request",
            request.id = request_id,
            http.method = %method,
            http.route = route,
            principal.kind = field::Empty,
        ))
    }

    /// What lines are to be written in.
    pub(crate) fn span(&self) -> Span {
        self.0.clone()
    }

    /// It is known who asks.
    pub(crate) fn asked_by(&self, who: Option<&Actor>) {
        self.0.record("principal.kind", who.map_or("nobody", kind));
    }

    /// It was answered.
    pub(crate) fn answered(&self, status: StatusCode, took: Duration) {
        self.0.in_scope(|| {
            tracing::debug!(
                http.status = status.as_u16(),
                // As a number: JSON has none of 128 bits, so it would be text.
                duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                "request answered"
            );
        });
    }
}

/// How they were known, without who they are.
const fn kind(who: &Actor) -> &'static str {
    match who {
        Actor::User { .. } => "socket",
        Actor::Token => "token",
        Actor::Account { .. } => "session",
        Actor::ApiKey { .. } => "api_key",
        Actor::Rules => "rules",
        Actor::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_of_a_request_says_which_and_who_and_never_a_token() {
        let written = Written::default();
        let writer = written.clone();
        let log = crate::logging::json("debug", move || writer.clone());
        tracing::subscriber::with_default(log, || {
            let log = RequestLog::begin("id-1", &Method::POST, "/v1/sandboxes/{sandbox}");
            log.asked_by(Some(&Actor::ApiKey {
                id: sandbar_types::ApiKeyId::generate(),
                name: "deploys".parse().unwrap(),
            }));
            log.span().in_scope(|| tracing::warn!("something within"));
            log.answered(StatusCode::CONFLICT, Duration::from_millis(2));
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        for line in &lines {
            let span = &line["span"];
            assert_eq!(span["request.id"], "id-1", "{line}");
            assert_eq!(span["http.route"], "/v1/sandboxes/{sandbox}", "{line}");
            assert_eq!(span["http.method"], "POST", "{line}");
            assert_eq!(span["principal.kind"], "api_key", "{line}");
        }
        assert_eq!(lines[0]["message"], "something within");
        assert_eq!(lines[1]["message"], "request answered");
        assert_eq!(
            (&lines[1]["http.status"], &lines[1]["duration_us"]),
            (&409.into(), &2000.into())
        );
        assert!(!text.contains("deploys"), "{text}");
    }
}
