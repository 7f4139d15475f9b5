//! The host of a credential, and not where its rule says.

use std::sync::Arc;

use sandbar_proxy::egress::{Credential, CredentialSet};
use sandbar_types::{InjectionPlace, InjectionRule};
use tokio::io::AsyncWriteExt as _;

use super::world::{
    HOST, SECRET, World, bearer, credential, read_all, remembering, rule, speaking,
};
use crate::fixture::{policy_for, target};

const OWN: &str = "Authorization: Bearer mine\r\nX-Api-Key: mine\r\n";

#[tokio::test]
async fn case_68_at_another_port_of_the_host_the_tunnel_stays_the_programs_own() {
    let (bound, _) = remembering().await;
    let (other, heads) = remembering().await;
    let (port, roots) = (other.address().port(), other.roots.clone());
    let policy = policy_for(HOST, bound.address()).allow_private(target(HOST, port));
    let world = World::new(bound).await;
    world.fixture.proxy.set_policy(policy);
    let to = format!("{HOST}:{port}");
    // Its certificate is the upstream's: nobody looks into it, so nothing is put in, and nothing is taken out.
    let how = (HOST, Arc::new(speaking(roots)));
    let mut stream = world.connect_to(&to, how).await.unwrap();
    let request = format!("GET /v1 HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{OWN}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("fine"));
    let seen = heads.lock().unwrap()[0].clone();
    assert!(!seen.contains(SECRET) && seen.contains("Authorization: Bearer mine"), "{seen}");
    assert!(world.told.injected.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_68_two_ports_of_one_host_have_each_their_own_credential() {
    let (mut first, first_heads) = remembering().await;
    let (second, second_heads) = remembering().await;
    first.roots.roots.extend(second.roots.roots.iter().cloned());
    let ports = [first.address().port(), second.address().port()];
    let policy = policy_for(HOST, first.address()).allow_private(target(HOST, ports[1]));
    let world = World::new(first).await;
    world.fixture.proxy.set_policy(policy);
    let key = InjectionPlace::Header { name: "X-Api-Key".to_owned(), template: "{}".to_owned() };
    let other = Credential {
        name: "other".to_owned(),
        secret: Some("another-value-4711".to_owned().into()),
        ..credential(vec![rule(ports[1], "/v1", key)])
    };
    let model = credential(vec![rule(ports[0], "/v1", bearer())]);
    world.credentials.send_replace(Arc::new(CredentialSet::new(vec![model, other])));
    for port in ports {
        let to = format!("{HOST}:{port}");
        let how = (HOST, Arc::new(speaking(world.roots_inside())));
        let mut stream = world.connect_to(&to, how).await.unwrap();
        let request = format!("GET /v1 HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{OWN}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(read_all(&mut stream).await.ends_with("fine"));
    }
    let (first, second) = (&first_heads.lock().unwrap()[0], &second_heads.lock().unwrap()[0]);
    assert!(first.contains(SECRET) && !first.contains("another-value"), "{first}");
    assert!(second.contains("x-api-key: another-value-4711\r\n"), "{second}");
    assert!(!second.contains(SECRET), "{second}");
    // Where one of ours is put in, no other one goes along.
    assert!(!first.contains("mine") && !second.contains("mine"), "{first}{second}");
}

#[tokio::test]
async fn case_68_for_another_path_or_method_nothing_is_put_in_and_the_programs_own_is_taken_out() {
    let (upstream, heads) = remembering().await;
    let port = upstream.address().port();
    let only = InjectionRule { methods: vec!["POST".to_owned()], ..rule(port, "/v1", bearer()) };
    let world = World::with(upstream, vec![only]).await;
    let target = world.target();
    let lines = [
        "GET /v1",
        "PUT /v1/x",
        "post /v1",
        "POST /",
        "POST /v1x",
        "POST /V1",
        "POST //v1",
        "POST /x/v1",
        "POST /x?/v1",
        "POST /v1/../x",
        "POST /v1/%2e%2e/x",
        "POST /%76%31/../x",
    ];
    for line in lines {
        let said = world
            .ask(&format!(
                "{line} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\nContent-Length: 0\r\n{OWN}\r\n"
            ))
            .await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{line}: {said}");
        let head = heads.lock().unwrap().pop().unwrap();
        assert!(head.starts_with(line), "{line}: {head}");
        assert!(!head.to_lowercase().contains("authorization") && !head.contains(SECRET), "{head}");
        // A header that no rule of this host names is none of ours.
        assert!(head.contains("x-api-key: mine"), "{head}");
    }
    assert!(world.told.injected.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_68_a_header_that_two_readers_could_read_differently_goes_nowhere() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    for odd in [
        "Authorization : Bearer mine\r\n",
        "Authorization\t: Bearer mine\r\n",
        " Authorization: Bearer mine\r\n",
        "X: y\r\n Authorization: Bearer mine\r\n",
        "X: y\rAuthorization: Bearer mine\r\n",
        "\0Authorization: Bearer mine\r\n",
        "Authorization\0: Bearer mine\r\n",
        "Authoriz\u{e4}tion: Bearer mine\r\n",
        "Authorization\r\n",
        ": Bearer mine\r\n",
    ] {
        let said = world.fetch("/v1", odd).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{odd:?}: {said}");
    }
    assert!(heads.lock().unwrap().is_empty());
}
