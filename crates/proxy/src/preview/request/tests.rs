use http::Request;
use proptest::prelude::*;

use super::*;
use crate::preview::AccessKey;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3));
const HOST: &str = "3000-shop.preview.localhost:7070";

fn config() -> PreviewConfig {
    PreviewConfig::new(PreviewDomain::default(), AccessKey::new([0; 32]))
}

fn names() -> Names {
    Names::read(&HOST.parse().unwrap(), Scheme::Http, &PreviewDomain::default()).unwrap()
}

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::get("/a?b");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn prepared_by(config: &PreviewConfig, headers: &[(&str, &str)]) -> HeaderMap {
    let mut parts = parts(headers);
    prepare(&mut parts, &names(), PEER, config).unwrap();
    assert_eq!(parts.uri, "/a?b");
    parts.headers
}

fn prepared(headers: &[(&str, &str)]) -> HeaderMap {
    prepared_by(&config(), headers)
}

#[test]
fn an_app_sees_itself_at_localhost() {
    let origin = format!("http://{HOST}");
    let headers = prepared(&[
        ("host", HOST),
        ("origin", &origin),
        ("referer", &format!("{origin}/page?q")),
        ("x-forwarded-host", "evil.com"),
    ]);
    assert_eq!(headers["host"], "localhost:3000");
    assert_eq!(headers["origin"], "http://localhost:3000");
    assert_eq!(headers["referer"], "http://localhost:3000/page?q");
    assert_eq!(headers["x-forwarded-host"], "localhost:3000");
    assert_eq!(headers["x-forwarded-port"], "3000");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-sandbar-preview-origin"], origin);
}

#[test]
fn the_origin_of_somebody_else_stays() {
    for other in
        ["http://evil.com", "null", "http://3000-shop.preview.localhost:70700", "https://x"]
    {
        assert_eq!(prepared(&[("origin", other), ("referer", other)])["origin"], other);
    }
}

#[test]
fn the_default_port_is_not_written() {
    let domain = PreviewDomain::default();
    let names = |host: &str, scheme| Names::read(&host.parse().unwrap(), scheme, &domain).unwrap();
    let plain = names("80-shop.preview.localhost:80", Scheme::Http);
    assert_eq!(plain.origin, "http://80-shop.preview.localhost");
    assert_eq!(plain.app_origin, "http://localhost");
    let secure = names("3000-SHOP.preview.localhost", Scheme::Https);
    assert_eq!(secure.origin, "https://3000-shop.preview.localhost");
    assert_eq!(secure.app_origin, "https://localhost:3000");
}

#[test]
fn what_a_client_says_of_itself_is_dropped_unless_it_is_trusted() {
    let said = [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/x"),
        ("x-real-ip", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4"),
    ];
    let headers = prepared(&said);
    assert_eq!(headers["x-forwarded-for"], "10.1.2.3");
    assert_eq!(headers["x-forwarded-proto"], "http");
    for gone in ["x-forwarded-prefix", "x-real-ip", "forwarded"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    let trusting = PreviewConfig { trusted: vec![PEER], ..config() };
    assert_eq!(prepared_by(&trusting, &said)["x-forwarded-for"], "1.2.3.4, 10.1.2.3");
    let map = parts(&said).headers;
    assert_eq!(scheme(&trusting, PEER, &map), Scheme::Https);
    assert_eq!(scheme(&config(), PEER, &map), Scheme::Http);
}

#[test]
fn what_is_between_neighbors_goes_no_further() {
    let headers = prepared(&[
        ("connection", "close, X-Secret , host"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip, trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("trailer", "x-sum"),
        ("http2-settings", "x"),
    ]);
    for gone in [
        "connection",
        "x-secret",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    assert_eq!(
        (&headers["te"], &headers["trailer"]),
        (&"trailers".parse().unwrap(), &"x-sum".parse().unwrap())
    );
    assert_eq!(headers["host"], "localhost:3000");
}

#[test]
fn an_upgrade_is_passed_on_when_it_is_one() {
    let asked = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
    let headers = prepared(&asked);
    assert_eq!(
        (&headers["connection"], &headers["upgrade"]),
        (&"upgrade".parse().unwrap(), &"websocket".parse().unwrap())
    );
    for no in [
        &[("connection", "upgrade"), ("upgrade", "h2c")][..],
        &[("connection", "upgrade"), ("upgrade", "websocket, H2C")],
        &[("connection", "close"), ("upgrade", "websocket")],
        &[("connection", "upgrade")],
    ] {
        assert_eq!(upgrade(&parts(no)), None, "{no:?}");
    }
}

#[test]
fn apps_get_no_secret_of_ours() {
    let headers = prepared(&[
        ("authorization", "bearer  sbt_0123"),
        ("cookie", "a=1; sandbar_preview=t.1; b=2;__Host-sandbar_preview=x"),
        ("cookie", "sandbar_console=1; c=\"3\""),
    ]);
    assert!(!headers.contains_key("authorization"));
    let cookies: Vec<_> = headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=\"3\""]);
    let headers = prepared(&[("authorization", "Bearer app"), ("cookie", "sandbar_preview=1")]);
    assert_eq!(headers["authorization"], "Bearer app");
    assert!(!headers.contains_key("cookie"));
}

#[test]
fn a_host_that_is_none_is_refused() {
    let read = |uri: &str, hosts: &[&str]| {
        let hosts: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        authority(&uri.parse().unwrap(), &parts(&hosts).headers).map(|found| found.to_string())
    };
    for hosts in [&[][..], &["a", "a"], &["u@a"], &["a:"], &["a:99999"], &["a b"], &["a/b"], &[""]]
    {
        assert!(matches!(read("/", hosts), Err(Refusal::BadRequest(_))), "{hosts:?}");
    }
    assert!(matches!(read("http://b/", &["a"]), Err(Refusal::BadRequest(_))));
    assert_eq!(read("http://a/", &["A"]), Ok("a".to_owned()));
    assert_eq!(read("http://a/", &[]), Ok("a".to_owned()));
    assert_eq!(read("/", &["[::1]:80"]), Ok("[::1]:80".to_owned()));
}

proptest! {
    #[test]
    fn any_headers_leave_one_host_and_no_secret(
        pairs in prop::collection::vec(("(host|cookie|connection|authorization|x-forwarded-for|origin|te|[a-z]{1,8})", "[ -~]{0,40}"), 0..12)
    ) {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let headers = prepared(&pairs);
        prop_assert_eq!(headers.get_all("host").iter().count(), 1);
        prop_assert!(headers.get_all("cookie").iter().count() <= 1);
        prop_assert_eq!(&headers["x-forwarded-for"], "10.1.2.3");
        if let Some(cookie) = headers.get("cookie") {
            prop_assert!(!cookie.as_bytes().split(|b| *b == b';').any(|one| is_own_cookie(one.trim_ascii())));
        }
    }
}
