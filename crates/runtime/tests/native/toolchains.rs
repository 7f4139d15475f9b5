//! The toolchains of a home, inside.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use sandbar_types::{HostPath, ToolchainPolicy};

use crate::rig::{Rig, read};

fn write(path: impl AsRef<Path>, text: &str) {
    let dir = path.as_ref().parent().expect("every path here is below a directory");
    fs::create_dir_all(dir).expect("the directory is the test's own");
    fs::write(path, text).expect("the directory is the test's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn toolchains_work_inside_and_secrets_are_not_there() {
    let rig = Rig::new();
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    for secret in [".cargo/credentials.toml", ".ssh/id_ed25519", ".netrc", ".npmrc"] {
        write(at(secret), "SECRET");
    }
    write(at(".cargo/config.toml"), "[registry]\ntoken = \"SECRET\"\n");
    write(at(".cargo/env"), "export FROM_ENV=1\n");
    write(at(".cargo/registry/index/one"), "packed");
    write(at(".nvm/bin/tool"), "#!/bin/sh\necho tool runs\n");
    fs::set_permissions(at(".nvm/bin/tool"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink(at(".ssh"), at(".volta")).unwrap();

    let mut spec = rig.spec();
    spec.toolchains = ToolchainPolicy::Known;
    spec.caller.home = HostPath::parse(home.path()).unwrap();
    rig.launch(&spec).await;
    let home_inside = home.path().display();
    assert_eq!(
        rig.shell(
            &spec,
            &format!(
                "cd {home_inside}; ls -A . .cargo; . .cargo/env; echo $FROM_ENV; .nvm/bin/tool; cat .cargo/registry/index/one"
            )
        ).await,
        ".:\n.cargo\n.nvm\n\n.cargo:\nenv\nregistry\n1\ntool runs\npacked"
    );
    assert_eq!(
        rig.shell(
            &spec,
            &format!(
                "cd {home_inside}/.cargo; touch .package-cache registry/src && echo written; \
                 echo changed > registry/index/one; cat registry/index/one; touch ../.nvm/x env 2>/dev/null || echo refused"
            )
        ).await,
        "written\nchanged\nrefused\n"
    );
    assert_eq!(read(at(".cargo/registry/index/one")), "packed");
    assert!(!at(".cargo/registry/src").exists() && !at(".cargo/.package-cache").exists());
    assert_eq!(
        rig.shell(&spec, &format!("grep -rl SECRET {home_inside} /tmp || echo none")).await,
        "none\n"
    );
    rig.stop(&spec).await;
}

/// With the home of whoever runs the tests, if Rust's tools are in it: `cargo` is how these tests are run.
#[tokio::test(flavor = "multi_thread")]
async fn cargo_builds_inside_without_a_network() {
    let home = std::env::var("HOME").unwrap();
    if !Path::new(&home).join(".cargo/bin/cargo").exists()
        || !Path::new(&home).join(".cargo/registry/index").exists()
    {
        return;
    }
    let rig = Rig::new();
    let manifest = "[package]\nname = \"probe\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\nitoa = \"1\"\n";
    write(rig.source().join("Cargo.toml"), manifest);
    write(
        rig.source().join("src/main.rs"),
        "fn main() { println!(\"{}\", itoa::Buffer::new().format(42)); }",
    );
    let mut spec = rig.spec();
    spec.toolchains = ToolchainPolicy::Only(vec!["cargo".to_owned(), "rustup".to_owned()]);
    spec.caller.path = format!("{home}/.cargo/bin:/usr/bin:/bin");
    spec.caller.home = HostPath::parse(&home).unwrap();
    rig.launch(&spec).await;
    assert_eq!(rig.shell(&spec, "cargo run -q --offline 2>&1").await, "42\n");
    assert!(!rig.source().join("target").exists());
    rig.stop(&spec).await;
}
