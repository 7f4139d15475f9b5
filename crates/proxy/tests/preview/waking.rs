//! Sandboxes that do not serve, or not yet.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_proxy::preview::{
    AccessKey, NotServing, PreviewConfig, PreviewDomain, Progress, Visibility,
};

use crate::{
    apps::mirror,
    world::{Answer, Standing, World, eventually},
};

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn starting() -> Standing {
    Standing::Not(NotServing::Starting(Progress {
        step: "installing packages".to_owned(),
        last_lines: vec!["<b>added 12 packages".to_owned()],
    }))
}

async fn look(world: &World) -> Answer {
    let request = world.request(Method::GET, "/").header("accept", HTML);
    world.ask(request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn s3_the_warming_page_is_503_with_retry_after() {
    let world = World::new().await;
    let standing = world.add("shop", Visibility::Public, starting());
    let answer = look(&world).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = answer.text();
    assert!(
        page.contains("installing packages") && page.contains("http-equiv=\"refresh\""),
        "{page}"
    );
    assert!(page.contains("&lt;b&gt;added 12 packages") && !page.contains("<b>"), "{page}");
    // And the next look finds the app.
    let app = mirror().await;
    standing.send(Standing::Serves(app.address)).unwrap();
    assert_eq!(look(&world).await.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn a_program_is_held_until_the_app_serves() {
    let world = World::new().await;
    let standing = world.add("shop", Visibility::Public, starting());
    let app = mirror().await;
    let waking = async {
        eventually(|| world.sandboxes.connects.load(Ordering::Relaxed) == 100).await;
        standing.send(Standing::Serves(app.address)).unwrap();
    };
    let asking = join_all((0..100).map(|n| {
        let world = &world;
        async move { world.get(&format!("/{n}")).await.status }
    }));
    let (statuses, ()) = tokio::join!(asking, waking);
    assert_eq!(statuses, vec![StatusCode::OK; 100]);
    // Each client has one connection, and none asked twice.
    assert_eq!(world.sandboxes.connects.load(Ordering::Relaxed), 100);
    world.stop().await;
}

#[tokio::test]
async fn a_program_is_not_held_for_ever() {
    let mut config = PreviewConfig::new(PreviewDomain::default(), AccessKey::new([7; 32]));
    config.program_patience = Duration::from_millis(20);
    let world = World::with(config, std::sync::Arc::default()).await;
    let _standing = world.add("shop", Visibility::Public, starting());
    let answer = world.get("/").await;
    assert_eq!(
        (answer.status, &*answer.code()),
        (StatusCode::GATEWAY_TIMEOUT, "preview_start_timeout")
    );
    assert_eq!(answer.headers["retry-after"], "5");
    assert_eq!(answer.json()["details"]["step"], "installing packages");
    world.stop().await;
}

#[tokio::test]
async fn each_reason_has_a_page_and_a_code_of_its_own() {
    let failed = NotServing::Failed {
        reason: "exited with 1 five times".to_owned(),
        last_lines: vec!["Error: no module".to_owned()],
    };
    let elsewhere = NotServing::NotListening { wanted: 3000, listening: vec![5173] };
    for (why, status, code, said) in [
        (NotServing::Stopped, 503, "preview_stopped", "the sandbox is stopped"),
        (failed, 502, "preview_failed", "exited with 1 five times"),
        (
            elsewhere,
            502,
            "preview_not_listening",
            "nothing listens on port 3000; the app listens on 5173",
        ),
    ] {
        let world = World::new().await;
        let _standing = world.add("shop", Visibility::Public, Standing::Not(why));
        let answer = world.get("/").await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code));
        let page = look(&world).await;
        assert_eq!(page.status, answer.status);
        assert!(page.text().contains(said) && page.text().contains(code), "{}", page.text());
        assert!(!page.text().contains("http-equiv=\"refresh\""));
        world.stop().await;
    }
}

#[tokio::test]
async fn d10_an_app_of_workers_alone_has_no_preview_and_the_page_says_so() {
    let world = World::new().await;
    let _standing = world.add("shop", Visibility::Public, Standing::Not(NotServing::NoPreview));
    let answer = world.get("/").await;
    assert_eq!((answer.status, &*answer.code()), (StatusCode::NOT_FOUND, "preview_none"));
    assert!(look(&world).await.text().contains("an app of workers alone has no URL"));
    world.stop().await;
}

#[tokio::test]
async fn an_unknown_preview_is_404_and_nothing_is_woken() {
    let world = World::new().await;
    let answer = world.get("/").await;
    assert_eq!((answer.status, &*answer.code()), (StatusCode::NOT_FOUND, "preview_not_found"));
    assert_eq!(look(&world).await.status, StatusCode::NOT_FOUND);
    let raw = "GET / HTTP/1.1\r\nHost: nonsense.preview.localhost\r\nConnection: close\r\n\r\n";
    let answer = world.raw(raw).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("preview_not_found"), "{answer}");
    assert_eq!(world.sandboxes.connects.load(Ordering::Relaxed), 0);
    world.stop().await;
}
