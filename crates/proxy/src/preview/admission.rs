//! Who of those that ask may see a private preview: decided before anything is woken or told.

use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, HeaderValue, Method, Uri, header, request::Parts};
use sandbar_types::SandboxId;

use super::{
    access::{
        AccessKey, COOKIE_SECONDS, Pass, PassError, PassKind, Spent, Subject, TICKET_SECONDS,
    },
    config::Scheme,
    refusal::Refusal,
    request::{Names, upgrade},
};

/// The parameter of a URL that holds a ticket or a share link.
pub(crate) const PARAMETER: &str = "sandbar_ticket";

/// What is done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It goes on.
    Pass,
    /// The client comes again without the ticket, with a cookie for it if there is one.
    ComeAgain {
        /// Where.
        location: String,
        /// Sets the cookie.
        cookie: Option<HeaderValue>,
    },
}

/// What it is decided with.
#[derive(Debug)]
pub(crate) struct Gate<'a> {
    pub(crate) key: &'a AccessKey,
    pub(crate) spent: &'a Mutex<Spent>,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// When we started: a ticket from before may have been used before.
    pub(crate) started: u64,
    /// For a cookie that is made.
    pub(crate) nonce: fn() -> [u8; 16],
}

impl Gate<'_> {
    /// Decides about a request for a preview of this sandbox.
    pub(crate) fn admit(
        &self,
        parts: &Parts,
        names: &Names,
        sandbox: SandboxId,
    ) -> Result<Admission, Refusal> {
        let subject = Subject { host: &names.host, sandbox };
        let by_cookie = self.by_cookie(parts, names, subject);
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let Some((signed, rest)) = ticket(&parts.uri).filter(|_| is_read) else {
            by_cookie.map_err(Refusal::Unauthorized)?;
            return admit_origin(parts, names).map(|()| Admission::Pass);
        };
        let cookie = match by_cookie {
            Ok(()) => None,
            Err(_) => Some(self.exchange(signed, names, subject)?),
        };
        // Absolute: a path may begin with `//`, which alone would lead to another host.
        Ok(Admission::ComeAgain { location: format!("{}{rest}", names.origin), cookie })
    }

    /// Any cookie that is right will do: others below the domain can plant one of the same name beside ours.
    fn by_cookie(
        &self,
        parts: &Parts,
        names: &Names,
        subject: Subject<'_>,
    ) -> Result<(), Option<PassError>> {
        let mut why = None;
        for signed in cookies(&parts.headers, names.scheme) {
            match self.key.verify(subject, signed, self.now) {
                Ok(pass) if pass.kind == PassKind::Cookie => return Ok(()),
                Ok(_) => why = Some(PassError::Wrong),
                Err(error) => why = Some(error),
            }
        }
        Err(why)
    }

    fn exchange(
        &self,
        signed: &str,
        names: &Names,
        subject: Subject<'_>,
    ) -> Result<HeaderValue, Refusal> {
        let pass = self.key.verify(subject, signed, self.now);
        let expires = pass
            .and_then(|pass| self.accept(pass))
            .map_err(|why| Refusal::Unauthorized(Some(why)))?;
        let cookie = Pass { kind: PassKind::Cookie, expires, nonce: (self.nonce)() };
        let signed = self.key.sign(subject, cookie);
        set_cookie(&signed, expires - self.now, names.scheme)
    }

    /// Until when the cookie for a pass is good.
    fn accept(&self, pass: Pass) -> Result<u64, PassError> {
        let longest = self.now + COOKIE_SECONDS;
        match pass.kind {
            // A cookie that somebody copied into a URL.
            PassKind::Cookie => Err(PassError::Wrong),
            PassKind::Share => Ok(longest.min(pass.expires)),
            PassKind::Ticket if pass.expires < self.started + TICKET_SECONDS => {
                Err(PassError::Spent)
            }
            PassKind::Ticket => {
                let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
                spent.spend(pass, self.now).map(|()| longest)
            }
        }
    }
}

/// Other previews of the same domain are the same site to a browser, so its cookies alone do not keep them out.
fn admit_origin(parts: &Parts, names: &Names) -> Result<(), Refusal> {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if is_read && upgrade(parts).is_none() {
        return Ok(());
    }
    let origin = parts.headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    let is_own = origin.is_none_or(|origin| origin.eq_ignore_ascii_case(names.origin.as_bytes()));
    // A page that sends no referrer has the origin `null` even at home; this header no page can write.
    let is_home = origin == Some(b"null")
        && parts.headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    if is_own || is_home { Ok(()) } else { Err(Refusal::ForeignOrigin) }
}

/// The ticket in a URL, and what is left of path and query without it.
fn ticket(uri: &Uri) -> Option<(&str, String)> {
    let signed_of =
        |pair: &'_ &str| pair.split_once('=').is_some_and(|(name, _)| name == PARAMETER);
    let query = uri.query()?;
    let signed = query.split('&').find(signed_of)?.split_once('=')?.1;
    let rest: Vec<&str> = query.split('&').filter(|pair| !signed_of(pair)).collect();
    let mark = if rest.is_empty() { "" } else { "?" };
    Some((signed, format!("{}{mark}{}", uri.path(), rest.join("&"))))
}

/// The prefix makes a browser refuse the cookie from any other host; it needs TLS.
const fn cookie_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "sandbar_preview",
        Scheme::Https => "__Host-sandbar_preview",
    }
}

fn cookies(headers: &HeaderMap, scheme: Scheme) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(move |(name, _)| *name == cookie_name(scheme))
        .map(|(_, value)| value)
}

fn set_cookie(signed: &str, seconds: u64, scheme: Scheme) -> Result<HeaderValue, Refusal> {
    let name = cookie_name(scheme);
    let secure = match scheme {
        Scheme::Http => "",
        Scheme::Https => "; Secure",
    };
    let text =
        format!("{name}={signed}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(|_| Refusal::Internal)
}

#[cfg(test)]
mod tests;
