//! What an upstream gets.

use std::sync::Arc;

use sandbar_proxy::egress::CredentialSet;
use sandbar_types::{InjectionPlace, InjectionRule};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::world::{
    Certificate, HOST, PLACEHOLDER, SECRET, Upstream, World, answer, bearer, credential, head,
    remembering, rule,
};

fn count(head: &str, name: &str) -> usize {
    head.to_lowercase().lines().filter(|line| line.starts_with(&format!("{name}:"))).count()
}

#[tokio::test]
async fn case_67_the_upstream_gets_the_value_and_the_sandbox_never_sees_it() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let answer =
        world.fetch("/v1/models?x=1", &format!("Authorization: Bearer {PLACEHOLDER}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("fine"), "{answer}");
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /v1/models?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", world.target())), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    assert!(!head.contains(PLACEHOLDER), "{head}");
    assert_eq!(*world.told.injected.lock().unwrap(), ["model"]);
}

#[tokio::test]
async fn case_68_what_the_program_sent_in_the_header_is_gone_however_it_is_written() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let tricks = "AUTHORIZATION: Bearer mine\r\nauthorization: Basic bWluZQ==\r\naUthorization: x\r\n\
                  X-Api-Key: mine\r\n";
    world.fetch("/v1/x", tricks).await;
    // Not for this path, and still nothing of the program's own.
    world.fetch("/other", tricks).await;
    world.fetch("/v1/../other", tricks).await;
    world.fetch("/v1%2f..%2fother", tricks).await;
    let heads = heads.lock().unwrap().clone();
    assert_eq!(count(&heads[0], "authorization"), 1, "{}", heads[0]);
    assert!(heads[0].contains(SECRET) && !heads[0].contains("mine"), "{}", heads[0]);
    for head in &heads[1..] {
        assert_eq!(count(head, "authorization"), 0, "{head}");
        assert!(!head.contains(SECRET), "{head}");
    }
}

#[tokio::test]
async fn case_68_a_header_that_names_itself_as_one_of_the_connection_is_set_all_the_same() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    world.fetch("/v1", "Connection: authorization\r\nProxy-Authorization: x\r\n").await;
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{head}");
    assert_eq!(count(&head, "proxy-authorization") + count(&head, "connection"), 0, "{head}");
}

#[tokio::test]
async fn the_rule_with_the_longest_path_wins_and_methods_are_kept_to() {
    let (upstream, heads) = remembering().await;
    let port = upstream.address().port();
    let key = InjectionPlace::Header {
        name: "authorization".to_owned(),
        template: "Token {}".to_owned(),
    };
    let post_only =
        InjectionRule { methods: vec!["POST".to_owned()], ..rule(port, "/p", bearer()) };
    let world = World::with(
        upstream,
        vec![rule(port, "/v1", bearer()), rule(port, "/v1/deep", key), post_only],
    )
    .await;
    for path in ["/v1/deep/x", "/v1/x", "/p"] {
        world.fetch(path, "").await;
    }
    let heads = heads.lock().unwrap().clone();
    assert!(heads[0].contains("authorization: Token "), "{}", heads[0]);
    assert!(heads[1].contains("authorization: Bearer "), "{}", heads[1]);
    assert_eq!(count(&heads[2], "authorization"), 0, "{}", heads[2]);
}

#[tokio::test]
async fn d14_git_gets_its_password_below_one_repository_only() {
    let (upstream, heads) = remembering().await;
    let port = upstream.address().port();
    let basic = InjectionPlace::Basic { user: "x-access-token".to_owned() };
    let world = World::with(upstream, vec![rule(port, "/ann/shop.git", basic)]).await;
    world.fetch("/ann/shop.git/info/refs?service=git-upload-pack", "").await;
    world.fetch("/ann/other.git/info/refs?service=git-receive-pack", "").await;
    let heads = heads.lock().unwrap().clone();
    use base64::Engine as _;
    let pair = base64::prelude::BASE64_STANDARD.encode(format!("x-access-token:{SECRET}"));
    assert!(heads[0].contains(&format!("authorization: Basic {pair}\r\n")), "{}", heads[0]);
    assert_eq!(count(&heads[1], "authorization"), 0, "{}", heads[1]);
}

#[tokio::test]
async fn a_placeholder_in_a_body_is_replaced_and_nowhere_else() {
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        let head = head(&mut stream).await;
        let length = head.to_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        let is_there = String::from_utf8_lossy(&body).contains(SECRET);
        let is_in_head = head.contains(SECRET);
        answer(&mut stream, "", format!("body {is_there}, head {is_in_head}").as_bytes()).await;
    })
    .await;
    let port = upstream.address().port();
    let world = World::with(upstream, vec![rule(port, "/token", InjectionPlace::Body)]).await;
    let target = world.target();
    let body = format!("{{\"refresh_token\":\"{PLACEHOLDER}\"}}");
    let said = world
        .ask(&format!(
            "POST /token?{PLACEHOLDER} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    assert!(said.ends_with("body true, head false"), "{said}");
}

#[tokio::test]
async fn one_connection_carries_many_requests_and_each_gets_the_value_of_now() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let target = world.target();
    let mut stream = world.connect().await;
    for round in 0..3 {
        if round == 2 {
            let mut other = credential(vec![rule(world.upstream.address().port(), "/", bearer())]);
            other.secret = Some("sk-another-value".to_owned().into());
            world.credentials.send_replace(Arc::new(CredentialSet::new(vec![other])));
        }
        let request = format!("GET /v1 HTTP/1.1\r\nHost: {target}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let said = head(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
    }
    assert_eq!(world.upstream.server.accepted(), 1);
    let heads = heads.lock().unwrap().clone();
    assert!(heads[0].contains(SECRET) && heads[1].contains(SECRET));
    assert!(heads[2].contains("sk-another-value") && !heads[2].contains(SECRET), "{}", heads[2]);
}

#[tokio::test]
async fn a_host_without_a_credential_stays_opaque() {
    let upstream = Upstream::new(Certificate::SelfSigned, super::world::mirror).await;
    let port = upstream.address().port();
    let world = World::with(upstream, vec![rule(port.wrapping_add(1).max(1), "/", bearer())]).await;
    // The certificate is the upstream's own, which nobody here trusts: it is not ended.
    let refused = world.connect_as(HOST).await;
    assert!(refused.is_err());
    assert!(world.told.refused.lock().unwrap().is_empty());
}
