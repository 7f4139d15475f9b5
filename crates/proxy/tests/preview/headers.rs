//! What an app and a client are told of each other.

use http::{Method, Response, StatusCode};
use http_body_util::Full;

use crate::{
    apps::{app, full, mirror},
    world::World,
};

#[tokio::test]
async fn an_app_is_asked_as_if_it_were_at_localhost() {
    let app = mirror().await;
    let world = World::with_app(app.address).await;
    let request = world
        .request(Method::GET, "/a/../b?c=%20")
        .header("origin", world.origin())
        .header("cookie", "sandbar_preview=secret; mine=1")
        .header("authorization", "Bearer sbt_secret")
        .header("x-forwarded-for", "6.6.6.6")
        .header("connection", "x-mine")
        .header("x-mine", "1")
        .body(Full::default())
        .unwrap();
    let answer = world.ask(request).await;
    let text = answer.text();
    assert!(text.starts_with("GET /a/../b?c=%20\n"), "{text}");
    for line in [
        "host: localhost:3000",
        "origin: http://localhost:3000",
        "cookie: mine=1",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: localhost:3000",
        "x-forwarded-proto: http",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    for gone in ["secret", "6.6.6.6", "x-mine", "connection:"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_answer_leads_back_to_the_preview() {
    let app = app(async |_| {
        Response::builder()
            .status(StatusCode::FOUND)
            .header("location", "http://127.0.0.1:3000/next")
            .header("set-cookie", "a=1; Domain=localhost; Path=/")
            .header("set-cookie", "b=2; Secure")
            .header("service-worker-allowed", "/")
            .header("etag", "\"x\"")
            .body(full("moved"))
            .unwrap()
    })
    .await;
    let world = World::with_app(app.address).await;
    let answer = world.get("/").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers["location"], format!("{}/next", world.origin()));
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2"]);
    assert!(!answer.headers.contains_key("service-worker-allowed"));
    assert_eq!((answer.headers["etag"].as_bytes(), answer.text()), (&b"\"x\""[..], "moved"));
    world.stop().await;
}
