use std::sync::{Arc, atomic::Ordering};

use sandbar_proxy::egress::{Mode, Policy, Reason, Resolver, SplitHorizon};

use super::fixture::{Fixture, Names, echo, policy_for, server};

#[tokio::test]
async fn a_denied_host_is_told_why_and_how_and_is_never_looked_up() {
    let fixture = Fixture::new(Policy::with_defaults()).await;
    let answer = fixture.ask("CONNECT secret.evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 403 Forbidden\r\nX-Sandbar-Denied: host_not_allowed\r\n"),
        "{answer}"
    );
    assert!(answer.contains("the connection to secret.evil.example:443 was refused"), "{answer}");
    assert!(answer.contains("sandbar net allow SANDBOX secret.evil.example"), "{answer}");
    let plain = "GET http://secret.evil.example/x HTTP/1.1\r\nHost: secret.evil.example\r\n\r\n";
    assert!(fixture.ask(plain).await.contains("X-Sandbar-Denied: host_not_allowed"));
    assert_eq!(fixture.names.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_same_denial_is_told_once() {
    let fixture = Fixture::new(Policy::with_defaults()).await;
    for _ in 0..5 {
        fixture.ask("CONNECT a.example:443 HTTP/1.1\r\n\r\n").await;
    }
    fixture.ask("CONNECT b.example:443 HTTP/1.1\r\n\r\n").await;
    let denied = fixture.heard.denied.lock().unwrap().clone();
    let told: Vec<_> =
        denied.iter().map(|denial| (denial.target.to_string(), denial.reason)).collect();
    assert_eq!(
        told,
        [
            ("a.example:443".to_owned(), Reason::HostNotAllowed),
            ("b.example:443".to_owned(), Reason::HostNotAllowed),
        ]
    );
}

#[tokio::test]
async fn a_private_address_is_refused_without_a_connection() {
    let inner = server(echo).await;
    let port = inner.address.port();
    for policy in [
        Policy::new(Mode::Open),
        Policy::new(Mode::AllowList).allow(format!("ok.example:{port}").parse().unwrap()),
    ] {
        let fixture = Fixture::new(policy).await;
        for address in [
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "::1",
            "fd00:ec2::254",
            "0.0.0.0",
        ] {
            fixture.names.answer("ok.example", &[&[address]]);
            let (_tunnel, head) = fixture.tunnel(&format!("ok.example:{port}")).await;
            assert!(head.contains("X-Sandbar-Denied: special_address"), "{address}: {head}");
        }
    }
    assert_eq!(inner.accepted(), 0);
}

#[tokio::test]
async fn the_host_is_not_reached_by_its_addresses_in_any_notation() {
    let inner = server(echo).await;
    let port = inner.address.port();
    let fixture = Fixture::new(Policy::new(Mode::Open)).await;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0",
        "127.0.0.1.",
    ] {
        let (_tunnel, head) = fixture.tunnel(&format!("{host}:{port}")).await;
        assert!(
            head.starts_with("HTTP/1.1 403 ") || head.starts_with("HTTP/1.1 400 "),
            "{host}: {head}"
        );
    }
    assert_eq!(inner.accepted(), 0);
}

#[tokio::test]
async fn an_answer_that_changes_changes_nothing() {
    let inner = server(echo).await;
    let port = inner.address.port();
    // What is decided about is what is connected to: the second answer is never asked for.
    let fixture = Fixture::new(policy_for("named.example", inner.address)).await;
    fixture.names.answer("named.example", &[&["127.0.0.1"], &["127.9.9.9"]]);
    let (_tunnel, head) = fixture.tunnel(&format!("named.example:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(fixture.names.calls.load(Ordering::SeqCst), 1);
    assert_eq!(fixture.heard.connected.lock().unwrap()[0].address, inner.address);
    // A name that was public and is not any more is decided about anew, each time.
    let fixture = Fixture::new(Policy::new(Mode::Open)).await;
    fixture.names.answer("evil.example", &[&["127.0.0.1", "10.0.0.1"], &["::1", "127.0.0.1"]]);
    for _ in 0..3 {
        let (_tunnel, head) = fixture.tunnel(&format!("evil.example:{port}")).await;
        assert!(head.contains("X-Sandbar-Denied: special_address"), "{head}");
    }
    assert_eq!(inner.accepted(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_an_error_and_no_denial() {
    let fixture =
        Fixture::new(Policy::new(Mode::AllowList).allow("ok.example".parse().unwrap())).await;
    let answer = fixture.ask("CONNECT ok.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 502 Bad Gateway\r\nX-Sandbar-Error: unresolved\r\n"),
        "{answer}"
    );
    assert!(fixture.heard.denied.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_registry_that_the_network_answers_for_is_pinned_to_the_answer() {
    let names = Arc::new(Names::default());
    names.answer("registry.npmjs.org", &[&["10.0.0.7", "203.0.113.7"]]);
    // A public answer needs no pin; one with a loopback in it, or of the host, is no mirror.
    names.answer("pypi.org", &[&["93.184.216.34"]]);
    names.answer("github.com", &[&["10.0.0.7", "93.184.216.34"]]);
    names.answer("crates.io", &[&["127.0.0.1"]]);
    names.answer("static.crates.io", &[&["169.254.169.254"]]);
    names.answer("evil.example", &[&["10.0.0.7"]]);
    let horizon = SplitHorizon::over(Arc::clone(&names) as Arc<dyn Resolver>);
    let pinned = async |name: &str| {
        let answer = horizon.resolve(&name.parse().unwrap()).await.unwrap();
        let pinned = answer.iter().filter(|address| address.is_pinned);
        pinned.map(|address| address.ip.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(pinned("registry.npmjs.org").await, ["10.0.0.7", "203.0.113.7"]);
    for other in ["pypi.org", "github.com", "crates.io", "static.crates.io", "evil.example"] {
        assert!(pinned(other).await.is_empty(), "{other}");
    }
    // The first answer holds: neither another one nor one after a public one is believed.
    names.answer("registry.npmjs.org", &[&["10.0.0.8", "10.0.0.7"]]);
    names.answer("pypi.org", &[&["10.0.0.7"]]);
    assert_eq!(pinned("registry.npmjs.org").await, ["10.0.0.7"]);
    assert!(pinned("pypi.org").await.is_empty());
}

#[tokio::test]
async fn s9_egress_is_not_open_by_default_and_never_to_the_lan_or_a_clouds_metadata() {
    let fixture = Fixture::new(Policy::with_defaults()).await;
    for (asked, code) in [
        ("any.example:443", "host_not_allowed"),
        ("192.168.1.1:80", "special_address"),
        ("169.254.169.254:80", "special_address"),
        ("[fd00:ec2::254]:80", "special_address"),
        ("metadata.google.internal:80", "host_not_allowed"),
    ] {
        let (_tunnel, head) = fixture.tunnel(asked).await;
        assert!(head.contains(&format!("X-Sandbar-Denied: {code}")), "{asked}: {head}");
    }
    // Not by a name of the list, either.
    fixture.names.answer("registry.npmjs.org", &[&["192.168.1.1", "169.254.169.254"]]);
    let (_tunnel, head) = fixture.tunnel("registry.npmjs.org:443").await;
    assert!(head.contains("X-Sandbar-Denied: special_address"), "{head}");
}
