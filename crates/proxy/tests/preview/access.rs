//! Private previews, from outside.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use sandbar_proxy::preview::{NotServing, PreviewHost, Progress, SandboxLabel, Visibility};

use crate::{
    apps::mirror,
    world::{Answer, Standing, World},
};

fn shop() -> PreviewHost {
    PreviewHost { port: 3000, sandbox: SandboxLabel::Name("shop".parse().unwrap()) }
}

async fn get(world: &World, path: &str, cookie: &str) -> Answer {
    let request = world.request(Method::GET, path).header("cookie", cookie);
    world.ask(request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn a_private_preview_opens_for_who_has_a_ticket() {
    let app = mirror().await;
    let world = World::new().await;
    let _standing = world.add("shop", Visibility::Private, Standing::Serves(app.address));
    let answer = world.get("/").await;
    assert_eq!(
        (answer.status, &*answer.code()),
        (StatusCode::UNAUTHORIZED, "preview_unauthorized")
    );
    let ticket = world.proxy.ticket(&shop(), world.id("shop"));
    let url = world.proxy.url(&shop(), world.address.port()).with_ticket(&ticket);
    let path = url.strip_prefix(&world.origin()).unwrap();
    let answer = world.get(path).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers["location"], format!("{}/", world.origin()));
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let answer = get(&world, "/page", cookie).await;
    assert_eq!(answer.status, StatusCode::OK);
    // The app does not see what let the person in.
    assert!(!answer.text().contains("sandbar_preview"), "{}", answer.text());
    assert_eq!(get(&world, path, "").await.status, StatusCode::UNAUTHORIZED);
    world.stop().await;
}

#[tokio::test]
async fn a_share_link_opens_for_many_and_for_one_port() {
    let app = mirror().await;
    let world = World::new().await;
    let _standing = world.add("shop", Visibility::Private, Standing::Serves(app.address));
    let expires = Timestamp::now() + SignedDuration::from_hours(1);
    let ticket = world.proxy.share(&shop(), world.id("shop"), expires);
    for _ in 0..2 {
        let answer = world.get(&format!("/?sandbar_ticket={ticket}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
    }
    let other = format!("3001-shop.preview.localhost:{}", world.address.port());
    let answer = world
        .raw(&format!(
            "GET /?sandbar_ticket={ticket} HTTP/1.1\r\nHost: {other}\r\nConnection: close\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn who_may_not_look_learns_nothing_and_wakes_nothing() {
    let world = World::new().await;
    let secret =
        Progress { step: "secret step".to_owned(), last_lines: vec!["secret line".to_owned()] };
    let _standing =
        world.add("shop", Visibility::Private, Standing::Not(NotServing::Starting(secret)));
    let request = world.request(Method::GET, "/").header("accept", "text/html");
    let page = world.ask(request.body(Full::default()).unwrap()).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.text().contains("This preview is private") && !page.text().contains("secret"));
    assert_eq!(world.sandboxes.connects.load(Ordering::Relaxed), 0);
    world.stop().await;
}
