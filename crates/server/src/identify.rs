//! Who asks: by the peer of the socket, a token, an API key, or the cookie of a session.

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use sandbar_engine::Identity;
use sandbar_types::{Actor, Principal};

use crate::{
    access::unauthorized,
    auth::{Channel, Transport},
    error::ApiError,
    extract::header_text,
    state::AppState,
};

/// Who asks.
#[derive(Debug)]
pub(crate) struct Identified {
    pub(crate) identity: Identity,
    /// Whether their browser may have said it without being asked to.
    pub(crate) by_cookie: bool,
}

/// Finds out who asks; `None` for nobody known. What is presented must be right: it never falls back to less.
pub(crate) async fn identify(
    state: &AppState,
    transport: Transport,
    headers: &HeaderMap,
) -> Result<Option<Identified>, ApiError> {
    let known = |identity| Some(Identified { identity, by_cookie: false });
    if let Some(presented) = bearer(headers)? {
        let is_own = state.token.as_ref().is_some_and(|token| token.is(presented));
        if is_own {
            return Ok(known(Identity::instance(Principal::instance(Actor::Token))));
        }
        let identity = state.engine.key_identify(presented).await?;
        return identity.map_or_else(|| Err(unauthorized()), |identity| Ok(known(identity)));
    }
    match transport {
        Transport::Unix { peer_uid, our_uid } => {
            // Nobody but our own user and root is let in.
            let name = match (peer_uid == our_uid, peer_uid) {
                (true, _) => Some(state.caller.name.clone()),
                (false, 0) => Some("root".to_owned()),
                (false, _) => None,
            };
            let who = Actor::User { uid: peer_uid, name };
            Ok(known(Identity::instance(Principal::instance(who))))
        }
        Transport::Tcp { channel, .. } => {
            let Some(token) = cookie(headers, channel) else { return Ok(None) };
            let identity = state.engine.session_identify(token).await?;
            Ok(identity.map(|identity| Identified { identity, by_cookie: true }))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    Ok(header_text(headers, &header::AUTHORIZATION)?.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }))
}

/// The token of the session; `None` where there is none, or where somebody put a second one beside it.
fn cookie(headers: &HeaderMap, channel: Channel) -> Option<&str> {
    let name = channel.cookie();
    let mut tokens = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, token)| token);
    let token = tokens.next()?;
    tokens.next().is_none().then_some(token)
}

/// The cookie that begins a session: for this host alone, out of reach of scripts and of other sites.
pub(crate) fn set_cookie(
    channel: Channel,
    token: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> HeaderValue {
    let seconds = expires_at.duration_since(now).as_secs().max(0);
    let text = format!(
        "{}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{}",
        channel.cookie(),
        channel.attributes()
    );
    HeaderValue::try_from(text).expect("a token is digits")
}

/// The cookie that ends a session.
pub(crate) fn clear_cookie(channel: Channel) -> HeaderValue {
    let text = format!(
        "{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{}",
        channel.cookie(),
        channel.attributes()
    );
    HeaderValue::try_from(text).expect("it is plain text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_114_a_cookie_is_for_this_host_out_of_reach_of_scripts_and_sites() {
        let now = Timestamp::UNIX_EPOCH;
        let end = Timestamp::from_second(60).unwrap();
        let plain = set_cookie(Channel::Plain, "t", now, end);
        assert_eq!(plain, "sandbar_session=t; Path=/; Max-Age=60; HttpOnly; SameSite=Strict");
        let tls = set_cookie(Channel::Tls, "t", now, end);
        let expected =
            "__Host-sandbar_session=t; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(tls, expected);
        assert!(clear_cookie(Channel::Tls).to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn case_117_a_second_cookie_of_the_name_is_no_session() {
        let one = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, text.parse().unwrap())]);
            cookie(&headers, Channel::Plain).map(ToOwned::to_owned)
        };
        assert_eq!(one("a=b; sandbar_session=t"), Some("t".to_owned()));
        assert_eq!(one("sandbar_session=t; sandbar_session=u"), None);
        assert_eq!(one("xsandbar_session=t; __Host-sandbar_session=u"), None);
    }
}
