//! The roles of the binary that the tests of this crate need: `__launch`, `__supervise`, and a user's server.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of tests: what it prints is its answer"
)]

use std::{collections::BTreeMap, ffi::OsString, process::ExitCode, time::Duration};

use sandbar_protocol::log::Body;
use sandbar_runtime::{
    Caller, LaunchSpec, Runtime, SandboxDir, View,
    native::{NativeConfig, NativeRuntime},
};
use sandbar_types::{ExecId, ExecSpec, HostPath, Limits, SandboxId, ToolchainPolicy};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    match args.get(1).and_then(|role| role.to_str()) {
        Some("__launch") => sandbar_runtime::native::launcher_main(&args[2..]),
        Some("__supervise") => sandbar_supervisor::main(),
        Some("user-mode") => match user_mode(std::path::Path::new(&args[2])) {
            Ok(()) => ExitCode::SUCCESS,
            Err(err) => {
                eprintln!("{err:?}");
                ExitCode::FAILURE
            }
        },
        Some(_) | None => ExitCode::FAILURE,
    }
}

/// Runs a sandbox as whoever this process is, and tells what it was like. See the test of user mode.
fn user_mode(dir: &std::path::Path) -> std::io::Result<()> {
    let config = NativeConfig {
        exe: std::env::current_exe()?,
        data_dir: dir.join("data"),
        instance: "user".to_owned(),
        pool_size: 1,
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let runtime = NativeRuntime::new(config);
        let id = SandboxId::generate();
        let source = HostPath::parse(dir.join("shop")).map_err(std::io::Error::other)?;
        let home = HostPath::parse("/home/ada").map_err(std::io::Error::other)?;
        let spec = LaunchSpec {
            id,
            nonce: "n1".to_owned(),
            dir: SandboxDir(dir.join("data/sandboxes").join(id.to_string())),
            source: Some(source.clone()),
            fork_of: None,
            workspace_path: source,
            scope: None,
            limits: Limits::default(),
            env: BTreeMap::new(),
            toolchains: ToolchainPolicy::None,
            caches: None,
            caller: Caller { home, name: "ada".to_owned(), path: "/usr/bin".to_owned() },
            uid_base: None,
            hostname: "shop".to_owned(),
            git_identity: None,
            certificates: None,
        };
        let launched = runtime.launch(spec.clone()).await.map_err(std::io::Error::other)?;
        println!("{:?}", launched.isolation.weaknesses);
        print!(
            "inside: {}",
            shell(&runtime, &spec.dir, "echo -n new > readme; echo $(id -u) $(cat readme)").await?
        );
        let fork = SandboxId::generate();
        let fork = LaunchSpec {
            id: fork,
            dir: SandboxDir(dir.join("data/sandboxes").join(fork.to_string())),
            fork_of: Some(spec.dir.clone()),
            ..spec.clone()
        };
        runtime.launch(fork.clone()).await.map_err(std::io::Error::other)?;
        let script = "cat readme; echo -n forked > readme; touch ~/made; cat readme; ls ~";
        println!("fork: {}", shell(&runtime, &fork.dir, script).await?.replace('\n', " "));
        println!("stopped: {:?}", runtime.stop(&fork.dir, fork.id, Duration::ZERO).await?);
        println!("view: {}", both(&runtime.view(&spec).await?)?);
        println!("stopped: {:?}", runtime.stop(&spec.dir, id, Duration::ZERO).await?);
        println!("at rest: {}", both(&runtime.view(&spec).await?)?);
        Ok(())
    })
}

fn both(view: &View) -> std::io::Result<String> {
    let text = |dir: &std::os::fd::OwnedFd| {
        let file = rustix::fs::openat(
            dir,
            "readme",
            rustix::fs::OFlags::RDONLY,
            rustix::fs::Mode::empty(),
        )?;
        std::io::read_to_string(std::fs::File::from(file))
    };
    let lower = view.lower.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
    Ok(format!("{} {}", text(&view.merged)?, text(lower)?))
}

async fn shell(runtime: &NativeRuntime, dir: &SandboxDir, script: &str) -> std::io::Result<String> {
    let id = ExecId::generate();
    let log = std::fs::OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .open(dir.0.join("logs").join(id.to_string()))?;
    let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let exec = ExecSpec {
        argv,
        env: BTreeMap::new(),
        cwd: None,
        terminal: None,
        stdin: false,
        timeout_ms: None,
    };
    let mut stream = runtime.exec(dir, id, &exec, log.into()).await?;
    let mut said = Vec::new();
    while let Some(record) = stream.next().await? {
        if let Body::Output { bytes, .. } = record.body {
            said.extend(bytes);
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
