//! The part of a URL that says where a registry is.

use http::Uri;

use crate::egress::policy::Target;

/// An address of the web, without a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WebUrl {
    /// The URL as it may be handed on.
    pub(super) text: String,
    pub(super) target: Target,
    /// The user and password that were in it; not for the sandbox.
    pub(super) user: Option<String>,
}

impl WebUrl {
    /// Parses `http://…` or `https://…`, with a prefix as Cargo has it (`sparse+`).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (prefix, plain) = match text.split_once('+') {
            Some((prefix @ ("sparse" | "registry" | "git"), rest)) => {
                (&text[..=prefix.len()], rest)
            }
            Some(_) | None => ("", text),
        };
        let uri: Uri = plain.trim().parse().ok()?;
        let scheme = uri.scheme_str()?;
        let usual_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, authority),
        };
        let target = Target::parse(place, Some(usual_port)).ok()?;
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        Some(Self { text: format!("{prefix}{scheme}://{place}{path}"), target, user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_told_apart_from_the_place() {
        let url = WebUrl::parse("https://me:pw@npm.example/group/").unwrap();
        assert_eq!(url.text, "https://npm.example/group/");
        assert_eq!(url.target.to_string(), "npm.example:443");
        assert_eq!(url.user.as_deref(), Some("me:pw"));
        let url = WebUrl::parse("sparse+http://cargo.example:8080/index/").unwrap();
        assert_eq!(url.text, "sparse+http://cargo.example:8080/index/");
        assert_eq!(url.target.to_string(), "cargo.example:8080");
        for text in [
            "",
            "npm.example",
            "file:///srv/npm",
            "ssh://git@npm.example/x",
            "direct",
            "https://a b/",
        ] {
            assert_eq!(WebUrl::parse(text), None, "{text}");
        }
    }
}
