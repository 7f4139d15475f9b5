//! Git pushes through a real server of Git's, with a token that is never inside.

use std::{fs, process::Command};

use sandbar_host_tests::{Planted, Project, eventually};
use serde_json::json;

use crate::{
    bind, is_nowhere,
    upstream::{ADDRESS, Upstream, server},
};

fn git(args: &[&str]) -> String {
    let output = Command::new("git").args(args).output().expect("git is there");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn d14_git_pushes_with_an_injected_token_to_the_repository_that_is_bound_and_to_no_other() {
    let upstream = Upstream::start();
    let root = upstream.dir.path().join("git/ann");
    fs::create_dir_all(&root).expect("a directory");
    let bare = |name: &str| root.join(name).to_str().expect("text").to_owned();
    for name in ["shop.git", "other.git"] {
        git(&["init", "--quiet", "--bare", &bare(name)]);
    }
    let server = server(&upstream);
    let project = Project::new().file("README", "x");
    let secret = Planted("planted-push-71c0de".to_owned());
    let base = format!("https://{ADDRESS}:{}/git/ann", upstream.port);
    bind(&server, &upstream, &secret, &["github", "--git", &format!("{base}/shop")]);
    let name = server.create(&project);
    let watching = json!({ "argv": ["sleep", "600"] });
    drop(server.api("POST", &format!("/v1/sandboxes/{name}/execs"), Some(&watching)));
    server.sh(
        &name,
        "git init -q work && cd work && git config user.name Ann && git config user.email a@b.example \
         && echo cart > cart && git add cart && git commit -qm cart",
    );
    let push = |to: &str| {
        server.sh(
            &name,
            &format!(
                "cd work && GIT_TERMINAL_PROMPT=0 git push {base}/{to}.git HEAD:refs/heads/main 2>&1 || true"
            ),
        )
    };
    eventually("it is pushed", std::time::Duration::from_secs(20), || {
        let said = push("shop");
        if said.contains("main") && !said.contains("fatal") { Ok(()) } else { Err(said) }
    });
    assert_eq!(git(&["--git-dir", &bare("shop.git"), "show", "main:cart"]), "cart\n");
    let refused = push("other");
    assert!(refused.contains("fatal"), "{refused}");
    assert_eq!(git(&["--git-dir", &bare("other.git"), "for-each-ref"]), "");
    let status = server.sh(
        &name,
        &format!(
            "curl -s -o /dev/null -w '%{{http_code}}' '{base}/other.git/info/refs?service=git-receive-pack'"
        ),
    );
    assert_eq!(status, "401");
    is_nowhere(&server, &name, &secret);
}
