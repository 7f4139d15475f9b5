//! What each route asks of who asks: declared beside the route, written in the document, and enforced from there.
//!
//! A route says `scope` of `x-sandbar` in its documentation; [`Accesses`] is read from the document, so what is enforced is
//! what is documented. A route that says nothing is for nobody. Order: the gate of `auth` before; here who it is, how
//! often they asked, whether a page of another site made their browser ask, and whether they may.

use std::collections::BTreeMap;

use axum::extract::{MatchedPath, Request};
use http::{HeaderMap, Method, header};
use sandbar_api::{CSRF, ErrorCode};
use sandbar_engine::{Credential, Identity};
use sandbar_types::Scope;
use utoipa::openapi::OpenApi;

use crate::{
    audit::Notes,
    auth::Transport,
    error::ApiError,
    identify::{Identified, identify},
    openapi,
    rate::Standing,
    state::AppState,
};

/// What a route asks of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    Open,
    /// That it is known who they are.
    Known,
    /// A scope in their tenant.
    Scope(Scope),
    /// That they run the server.
    Instance,
}

impl Access {
    /// Reads what a route declares.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::Open),
            "any" => Some(Self::Known),
            "instance" => Some(Self::Instance),
            scope => scope.parse().ok().map(Self::Scope),
        }
    }

    /// Whether a request of it changes nothing, so that a cookie alone may ask for it.
    const fn only_looks(self) -> bool {
        match self {
            Self::Open | Self::Known | Self::Scope(Scope::Read) => true,
            Self::Scope(Scope::Write | Scope::Review | Scope::Admin) | Self::Instance => false,
        }
    }
}

/// What every route asks, by its path and method.
#[derive(Debug, Default)]
pub(crate) struct Accesses(BTreeMap<String, BTreeMap<&'static str, Option<Access>>>);

impl Accesses {
    /// Reads them from the document.
    pub(crate) fn of(document: &mut OpenApi) -> Self {
        let mut found: BTreeMap<String, BTreeMap<_, _>> = BTreeMap::new();
        for (path, item) in &mut document.paths.paths {
            let by_method = found.entry(path.clone()).or_default();
            for (method, operation) in openapi::operations(item) {
                let declared = openapi::declared(operation, "scope");
                let access = declared.and_then(Access::parse);
                by_method.insert(method, access);
            }
        }
        Self(found)
    }

    fn of_request(&self, request: &Request) -> Result<Access, ApiError> {
        // Where there is no such route, or no such method, who may know that is whoever is known.
        let Some(path) = request.extensions().get::<MatchedPath>() else {
            return Ok(Access::Known);
        };
        let method = match *request.method() {
            Method::HEAD => "GET",
            ref method => method.as_str(),
        };
        match self.0.get(path.as_str()).and_then(|methods| methods.get(method)) {
            None => Ok(Access::Known),
            Some(Some(access)) => Ok(*access),
            // A route that forgot to say it: a bug of ours, so closed.
            Some(None) => Err(ApiError::new(ErrorCode::Internal, "the route is for nobody")),
        }
    }
}

/// Lets a request in with its [`Identity`] among its extensions, or says why not.
///
/// How often the principal may still ask is told in both cases.
pub(crate) async fn enter(
    state: &AppState,
    transport: Transport,
    request: &mut Request,
) -> (Option<Standing>, Result<(), ApiError>) {
    let access = match state.accesses.of_request(request) {
        Ok(access) => access,
        Err(error) => return (None, Err(error)),
    };
    let identified = match identify(state, transport, request.headers()).await {
        Ok(identified) => identified,
        // Whether we live is told to whoever asks, with whatever they hold in their hand.
        Err(_) if access == Access::Open => None,
        Err(error) => return (None, Err(error)),
    };
    let Some(Identified { identity, by_cookie }) = identified else {
        let answer = if access == Access::Open { Ok(()) } else { Err(unauthorized()) };
        return (None, answer);
    };
    if let Some(notes) = request.extensions().get::<Notes>() {
        notes.asked_by(&identity.principal);
    }
    let standing = match state.rates.count(state, &identity).await {
        Ok(standing) => standing,
        Err(error) => return (None, Err(error)),
    };
    let is_too_often = standing.as_ref().is_some_and(|standing| standing.admit().is_err());
    if is_too_often {
        state.metrics.rate_limited.add_one();
    }
    let admitted = standing.as_ref().map_or(Ok(()), Standing::admit).and_then(|()| {
        if by_cookie {
            refuse_forged(access, request.method(), request.headers())?;
        }
        allow(access, &identity)
    });
    if admitted.is_ok() {
        request.extensions_mut().insert(identity);
    }
    (standing, admitted)
}

pub(crate) fn unauthorized() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "no token, or not the right one").hint(
        "send `Authorization: Bearer` with an API key, or with what the file `token` of the data directory holds",
    )
}

/// A browser adds its cookie to whatever asks. That a page of ours asks, it says with `Origin`, which `auth` compared,
/// and with a header that no other site's page can send.
fn refuse_forged(access: Access, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let only_looks = matches!(*method, Method::GET | Method::HEAD)
        && access.only_looks()
        && !headers.contains_key(header::UPGRADE);
    if only_looks {
        return Ok(());
    }
    // A WebSocket of a page has no headers of its own; its `Origin` is always there.
    let needs_header = !matches!(*method, Method::GET | Method::HEAD);
    let is_ours =
        headers.contains_key(header::ORIGIN) && (!needs_header || headers.contains_key(CSRF));
    if is_ours {
        Ok(())
    } else {
        let message = format!("with a cookie, this needs `Origin` and the header `{CSRF}`");
        Err(ApiError::new(ErrorCode::CsrfRequired, message)
            .hint("programs use an API key: `Authorization: Bearer`"))
    }
}

fn allow(access: Access, identity: &Identity) -> Result<(), ApiError> {
    let principal = &identity.principal;
    let (is_allowed, needed) = match access {
        Access::Open | Access::Known => (true, ""),
        Access::Scope(scope) => (principal.scopes.has(scope), scope.as_str()),
        Access::Instance => (principal.is_instance(), "instance"),
    };
    if is_allowed {
        return Ok(());
    }
    let message = match (access, identity.credential) {
        (Access::Instance, _) => {
            "this is for who runs the server, by its socket or its token file".to_owned()
        }
        (_, Credential::Key(_)) => format!("the key lacks the scope `{needed}`"),
        (_, Credential::Session(..) | Credential::Instance) => {
            format!("a {} may not do this: it needs the scope `{needed}`", principal.role)
        }
    };
    Err(ApiError::new(ErrorCode::Forbidden, message)
        .details(serde_json::json!({ "needed": needed })))
}
