//! Values for tests.

use std::collections::BTreeSet;

use sandbar_api::Sandbox;
use sandbar_types::{
    AppStart, Change, ChangeKind, Expiry, Generation, HostPath, IdlePolicy, Limits, LineCount,
    NetworkSpec, SandboxId, SandboxState, Source, ToolchainPolicy, WorkspacePath,
};

pub(crate) fn sandbox(name: &str, source: Option<&str>) -> Sandbox {
    let source = source.map(|path| HostPath::parse(path).unwrap());
    Sandbox {
        id: SandboxId::generate(),
        name: name.parse().unwrap(),
        app_id: None,
        generation: Generation::FIRST,
        state: SandboxState::Running,
        workspace_path: source.clone().unwrap_or_else(|| HostPath::parse("/workspace").unwrap()),
        source: source.map_or(Source::Empty, |path| Source::Directory { path }),
        scope: None,
        reserve: Vec::new(),
        reserve_all: false,
        limits: Limits::default(),
        env_names: Vec::new(),
        toolchains: ToolchainPolicy::Known,
        caches: None,
        expiry: Expiry::default(),
        app: AppStart::Auto,
        idle_policy: IdlePolicy::Sleep,
        visibility: None,
        network: NetworkSpec::default(),
        stop_reason: None,
        keepalive_until: None,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: None,
        last_active_at: jiff::Timestamp::UNIX_EPOCH,
        upper_bytes: 0,
        upper_files: 0,
        isolation: None,
    }
}

pub(crate) fn change(path: impl AsRef<[u8]>, kind: ChangeKind) -> Change {
    Change {
        path: WorkspacePath::parse(path).unwrap(),
        kind,
        old: None,
        new: None,
        binary: false,
        lines: Some(LineCount { added: 2, removed: 1 }),
        renamed_from: None,
        flags: BTreeSet::new(),
    }
}
