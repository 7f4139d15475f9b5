//! The history of approves over HTTP, and taking one back.

use std::sync::Arc;

use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::{Approve, ErrorCode, Page, paths};
use sandbar_engine::InProcessApplier;
use sandbar_runtime::{SandboxDir, fake::Fake};
use sandbar_types::Actor;
use serde_json::{Value, json};

use crate::server::{TestServer, request};

struct Scene {
    server: TestServer,
    fake: Fake,
    dir: SandboxDir,
    project: tempfile::TempDir,
}

async fn scene() -> Scene {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("a.txt"), "old\n").unwrap();
    let fake = Fake::new();
    let server =
        TestServer::start_writing(Arc::new(fake.clone()), Arc::new(InProcessApplier)).await;
    let body = json!({ "source": { "kind": "directory", "path": project.path() }, "name": "demo" });
    let made = server.post("/v1/sandboxes", body.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let dir = SandboxDir(server.data_dir.join("sandboxes").join(id));
    Scene { server, fake, dir, project }
}

impl Scene {
    /// Changes a file inside, approves it, and returns the id of the approve.
    async fn approve(&self, name: &str, content: &[u8]) -> String {
        self.fake.write(&self.dir, name, content).unwrap();
        let seen = self.server.get("/v1/sandboxes/demo/changes").await.json();
        let body = json!({ "diff_id": seen["diff_id"], "selection": "all" }).to_string();
        let done = self.server.post("/v1/sandboxes/demo/approve", body).await;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        done.json()["id"].as_str().unwrap().to_owned()
    }

    async fn list(&self, query: &str) -> Page<Approve> {
        let answer = self.server.get(&format!("/v1/approves?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn read(&self) -> String {
        std::fs::read_to_string(self.project.path().join("a.txt")).unwrap()
    }
}

#[tokio::test]
async fn an_undo_is_repeatable_and_only_of_the_last() {
    let scene = scene().await;
    let first = scene.approve("a.txt", b"new\n").await;
    let second = scene.approve("a.txt", b"newer\n").await;
    let early = scene.server.post(&paths::undo(&first), "").await;
    assert_eq!(
        (early.status, early.problem().code),
        (StatusCode::CONFLICT, ErrorCode::UndoNotLast)
    );
    let undone = scene.server.post(&paths::undo(&second), "").await;
    assert_eq!(undone.status, StatusCode::OK, "{undone:?}");
    assert_eq!(undone.json()["restored"], json!(["a.txt"]));
    assert_eq!(scene.read(), "new\n");
    assert_eq!(scene.server.post(&paths::undo(&second), "").await.json(), undone.json());
    std::fs::write(scene.project.path().join("a.txt"), "mine\n").unwrap();
    let refused = scene.server.post(&paths::undo(&first), "").await.problem();
    assert_eq!((refused.status, refused.code), (409, ErrorCode::UndoConflict));
    let conflict = &refused.details.unwrap()["conflicts"][0];
    assert_eq!(
        (&conflict["path"], &conflict["reason"]),
        (&json!("a.txt"), &json!("host_modified"))
    );
    assert_eq!(scene.read(), "mine\n");
    for (id, code) in [
        ("nonsense", ErrorCode::ApproveNotFound),
        (&*format!("ap_{:032}", 7), ErrorCode::ApproveNotFound),
    ] {
        assert_eq!(scene.server.post(&paths::undo(id), "").await.problem().code, code);
        assert_eq!(scene.server.get(&paths::approve(id)).await.problem().code, code);
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn the_history_is_filtered_and_comes_in_pages() {
    let scene = scene().await;
    let first = scene.approve("a.txt", b"new\n").await;
    let second = scene.approve("d/b", b"b\n").await;
    let undo = scene.server.post(&paths::undo(&second), "").await.json()["id"].clone();
    let ids = |page: &Page<Approve>| {
        page.items.iter().map(|one| Value::String(one.id.to_string())).collect::<Vec<_>>()
    };
    let page = scene.list("limit=2").await;
    assert_eq!(ids(&page), [undo.clone(), second.clone().into()]);
    let rest = scene.list(&format!("limit=2&cursor={}", page.next_cursor.unwrap())).await;
    assert_eq!((ids(&rest), &rest.next_cursor), (vec![first.clone().into()], &None));
    assert_eq!(ids(&scene.list("path=d").await), [undo, second.clone().into()]);
    assert_eq!(ids(&scene.list("path_b64=YS50eHQ=").await), [Value::from(first.clone())]);
    let source = scene.project.path().to_str().unwrap();
    assert_eq!(scene.list(&format!("source={source}&sandbox=demo")).await.items.len(), 3);
    assert!(scene.list("source=/elsewhere").await.items.is_empty());
    for (query, code) in [
        ("cursor=x", ErrorCode::InvalidCursor),
        ("limit=0", ErrorCode::InvalidQuery),
        ("source=relative", ErrorCode::InvalidPath),
        ("source=/a&source_b64=L2E=", ErrorCode::InvalidRequest),
        ("nonsense=1", ErrorCode::InvalidQuery),
    ] {
        let answer = scene.server.get(&format!("/v1/approves?{query}")).await;
        assert_eq!(answer.problem().code, code, "{query}");
    }
    let one = scene.server.get(&paths::approve(&first)).await.json();
    assert_eq!((&one["paths"][0]["kind"], &one["is_undoable"]), (&json!("modified"), &json!(true)));
    assert_ne!(one["paths"][0]["before"]["sha256"], one["paths"][0]["after"]["sha256"]);
    scene.server.stop().await;
}

#[tokio::test]
async fn who_asked_is_what_the_listener_knows() {
    let scene = scene().await;
    let approve = scene.approve("a.txt", b"new\n").await;
    let ask = request(Method::POST, &paths::undo(&approve))
        .header("authorization", format!("Bearer {}", scene.server.token.trim()));
    let undone = scene.server.ask_tcp(ask.body(Full::default()).unwrap()).await;
    assert_eq!(undone.status, StatusCode::OK, "{undone:?}");
    let actors: Vec<_> = scene.list("").await.items.into_iter().map(|one| one.actor).collect();
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    assert_eq!(actors, [Actor::Token, Actor::User { uid, name: Some("me".to_owned()) }]);
    scene.server.stop().await;
}
