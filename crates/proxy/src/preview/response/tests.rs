use http::Response;
use proptest::prelude::*;

use super::*;
use crate::preview::PreviewDomain;

const ORIGIN: &str = "http://3000-shop.preview.localhost:7070";

fn names(scheme: Scheme) -> Names {
    let host = "3000-shop.preview.localhost:7070".parse().unwrap();
    Names::read(&host, scheme, &PreviewDomain::default()).unwrap()
}

fn prepared(scheme: Scheme, status: u16, headers: &[(&str, &str)]) -> HeaderMap {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let mut parts = response.body(()).unwrap().into_parts().0;
    prepare(&mut parts, &names(scheme));
    parts.headers
}

#[test]
fn absolute_urls_of_the_app_become_those_of_the_preview() {
    for (from, to) in [
        ("http://localhost:3000/login?next=/", format!("{ORIGIN}/login?next=/")),
        ("http://127.0.0.1:3000", ORIGIN.to_owned()),
        ("HTTPS://LocalHost:3000#x", format!("{ORIGIN}#x")),
        ("http://[::1]:3000/", format!("{ORIGIN}/")),
        ("//localhost:3000/a", format!("{ORIGIN}/a")),
    ] {
        let headers =
            prepared(Scheme::Http, 302, &[("location", from), ("content-location", from)]);
        assert_eq!(headers["location"], to, "{from}");
        assert_eq!(headers["content-location"], to, "{from}");
    }
    for other in [
        "/login",
        "login",
        "http://localhost/",
        "http://localhost:3001/",
        "http://localhost:30000/",
        "http://localhost.evil.com:3000/",
        "http://a@localhost:3000/",
        "http://localhost:3000@evil.com/",
        "https://example.com/http://localhost:3000/",
        "",
    ] {
        assert_eq!(prepared(Scheme::Http, 302, &[("location", other)])["location"], other);
    }
    let allowed = [("access-control-allow-origin", "http://localhost:3000")];
    assert_eq!(prepared(Scheme::Http, 200, &allowed)["access-control-allow-origin"], ORIGIN);
}

#[test]
fn cookies_stay_on_the_host_of_the_preview() {
    let set = |scheme, cookie| {
        let headers = prepared(scheme, 200, &[("set-cookie", cookie)]);
        headers.get("set-cookie").map(|kept| kept.to_str().unwrap().to_owned())
    };
    let session = "s=1; Path=/; Domain=.preview.localhost; HttpOnly; Secure; SameSite=None";
    assert_eq!(
        set(Scheme::Https, session).unwrap(),
        "s=1; Path=/; HttpOnly; Secure; SameSite=None"
    );
    assert_eq!(set(Scheme::Http, session).unwrap(), "s=1; Path=/; HttpOnly");
    assert_eq!(set(Scheme::Http, "s=1; SameSite=Lax").unwrap(), "s=1; SameSite=Lax");
    assert_eq!(
        set(Scheme::Http, "__Host-s=1; Secure; Path=/").unwrap(),
        "__Host-s=1; Secure; Path=/"
    );
    assert_eq!(set(Scheme::Http, "domain=a; DOMAIN =b").unwrap(), "domain=a");
    assert_eq!(set(Scheme::Http, "sandbar_preview=stolen"), None);
    assert_eq!(set(Scheme::Https, " __Host-sandbar_preview=stolen; Path=/; Secure"), None);
    let two = [("set-cookie", "a=1"), ("set-cookie", "b=2; domain=x")];
    let headers = prepared(Scheme::Http, 200, &two);
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[test]
fn an_app_gets_no_more_than_its_own_host() {
    let headers = prepared(
        Scheme::Https,
        200,
        &[
            ("service-worker-allowed", "/"),
            ("alt-svc", "h3=\":443\""),
            ("connection", "x-a"),
            ("x-a", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("etag", "\"1\""),
        ],
    );
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["etag"]);
}

proptest! {
    #[test]
    fn no_cookie_names_a_domain_or_us(cookie in "[ -~]{0,60}") {
        if let Some(kept) = host_only(cookie.as_bytes(), Scheme::Http) {
            let kept = kept.to_str().unwrap().to_ascii_lowercase();
            prop_assert!(!kept.starts_with("sandbar_"));
            prop_assert!(kept.split(';').skip(1).all(|field| field.split('=').next() != Some("domain")));
        }
    }

    #[test]
    fn a_url_goes_back_to_the_preview_or_stays(url in "(http|https|)://[a-z0-9.:@\\[\\]]{0,20}(localhost|)(:3000|)[/?#a-z]{0,10}") {
        let kept = prepared(Scheme::Http, 302, &[("location", &url)]);
        let kept = kept["location"].to_str().unwrap();
        prop_assert!(kept == url || kept.strip_prefix(ORIGIN).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])));
    }
}
