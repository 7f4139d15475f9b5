//! The options that `run` and `create` share: what the new sandbox is to be.

use std::{collections::BTreeMap, env, path::PathBuf, time::Duration};

use sandbar_types::{
    AcceptanceRules, AppStart, EnvName, Expiry, IdlePolicy, NetworkMode, NetworkSpec, PresetName,
    SandboxName, SandboxSpec, Source, ToolchainPolicy, Visibility, WorkspacePath,
};

use crate::{
    clone::{CloneArgs, LocalClone},
    devshell::{Devshell, Variables},
    failure::Failure,
    git_identity,
    output::{
        Output,
        units::{parse_cpus, parse_duration, parse_size},
    },
    select,
};

/// What the new sandbox is to be.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SpecArgs {
    /// Name of the sandbox; made up when absent.
    #[arg(long, short, value_name = "NAME")]
    name: Option<SandboxName>,
    /// Directory that the workspace is a view of; default: the current one.
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Start with an empty workspace instead of a view of a directory.
    #[arg(long, conflicts_with_all = ["source", "scope", "reserve"])]
    empty: bool,
    /// Start with a starter instead: react-vite, nextjs, node-express, fastapi or worker.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "empty", "scope", "reserve"])]
    preset: Option<PresetName>,
    #[command(flatten)]
    clone: CloneArgs,
    /// Only this subtree may change; the rest is read-only inside.
    #[arg(long, value_name = "PATH", value_parser = parse_workspace_path)]
    scope: Option<WorkspacePath>,
    /// Keep other sandboxes from reserving this subtree while this one lives; `.` is everything. May be repeated.
    #[arg(long, value_name = "PATH")]
    reserve: Vec<String>,
    /// Set a variable inside; without `=VALUE` it is taken from here. May be repeated.
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_variable)]
    env: Vec<(EnvName, String)>,
    /// Give the sandbox the variables of the project's development shell; `PATH` with it, but nothing that looks like a
    /// secret.
    #[arg(long, value_name = "WHOSE", conflicts_with_all = ["empty", "preset", "git"])]
    devshell: Option<Devshell>,
    /// Memory at the most, for example 2G.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// Processors at the most, for example 1.5.
    #[arg(long, value_name = "NUMBER", value_parser = parse_cpus)]
    cpus: Option<u32>,
    /// Processes and threads at the most.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pids: Option<u32>,
    /// Disk space for changes at the most, for example 10G.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    disk: Option<u64>,
    /// Toolchains of your home to show inside: `known`, `none`, or names apart by commas, such as cargo,rustup.
    #[arg(long, value_name = "WHICH", value_parser = parse_toolchains)]
    toolchains: Option<ToolchainPolicy>,
    /// Package caches of your home that installs inside read from: `known`, `none`, or names apart by commas, such as
    /// npm,pip; default: as --toolchains.
    #[arg(long, value_name = "WHICH", value_parser = parse_toolchains)]
    caches: Option<ToolchainPolicy>,
    /// Stop the sandbox this long after its creation, for example 8h.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    ttl: Option<Duration>,
    /// Stop the sandbox after this long without activity.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    idle_timeout: Option<Duration>,
    /// Start what the workspace's sandbox.yaml declares; `create` does it by itself, `run` does not.
    #[arg(long, overrides_with = "no_app")]
    app: bool,
    /// Do not start it.
    #[arg(long)]
    no_app: bool,
    /// Never put the sandbox to sleep, however long nobody uses it and however short memory is.
    #[arg(long, conflicts_with = "idle_timeout")]
    always_on: bool,
    /// Who may see previews: `public` for everybody who reaches the server, `private` for who was given a link.
    #[arg(long, value_name = "WHO", value_parser = parse_visibility)]
    preview: Option<Visibility>,
    /// Whom programs inside may reach: `allow-list` (package registries, git hosts, and what is allowed here), `open`
    /// (whatever is public), or `none`.
    #[arg(long, value_name = "MODE", value_parser = parse_network, default_value = "allow-list")]
    network: NetworkMode,
    /// Let programs inside reach this host, for example `api.example.org`, `*.example.org`, `example.org:8443`. May be
    /// repeated.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Keep your git name and e-mail out of the sandbox.
    #[arg(long)]
    no_git_identity: bool,
    /// Let up to this many changed files be approved without you, where nothing about them needs a yes; `run` does it at
    /// the end of a command that succeeded. Off without it.
    #[arg(long, value_name = "NUMBER", conflicts_with = "empty")]
    accept_files: Option<u32>,
    /// And only up to this many lines that come or go.
    #[arg(long, value_name = "NUMBER", requires = "accept_files", default_value_t = ACCEPT_LINES_MAX)]
    accept_lines: u64,
    /// And only paths like this, for example `docs/**`. May be repeated.
    #[arg(long, value_name = "PATTERN", requires = "accept_files")]
    accept_path: Vec<String>,
}

/// Lines that may go without a person where nothing else is said.
const ACCEPT_LINES_MAX: u64 = 1_000;

impl SpecArgs {
    /// The specification for the API, and the clone that it is over, where one was asked for.
    ///
    /// # Errors
    /// The source is not there, or cannot be cloned; a path is no path of a workspace.
    pub(crate) async fn into_spec(
        self,
        app: AppStart,
        out: Output,
    ) -> Result<(SandboxSpec, Option<LocalClone>), Failure> {
        let clone = self.clone.make(out).await?;
        let dir = clone.as_ref().map(LocalClone::dir).or(self.source.as_deref());
        let source = match (self.preset, self.empty) {
            (Some(preset), _) => Source::Preset { preset },
            (None, true) => Source::Empty,
            (None, false) => Source::Directory { path: select::source_dir(dir)? },
        };
        let devshell = match (self.devshell, &source) {
            (Some(devshell), Source::Directory { path }) => devshell.variables(path.as_path())?,
            (Some(_) | None, _) => Variables::default(),
        };
        if !devshell.withheld.is_empty() {
            let names = devshell.withheld.join(", ");
            out.say(&format!("not given to the sandbox, as they look like secrets: {names}"));
        }
        let mut spec = self.over(source, app)?;
        for (name, value) in devshell.given {
            // What was named one by one wins.
            spec.env.entry(name).or_insert(value);
        }
        Ok((spec, clone))
    }

    fn over(self, source: Source, app: AppStart) -> Result<SandboxSpec, Failure> {
        let mut spec = SandboxSpec::over(source);
        spec.name = self.name;
        spec.scope = self.scope;
        for path in self.reserve {
            if matches!(path.as_str(), "." | "./") {
                spec.reserve_all = true;
            } else {
                spec.reserve.push(parse_workspace_path(&path).map_err(Failure::usage)?);
            }
        }
        spec.env = self.env.into_iter().collect::<BTreeMap<_, _>>();
        let limits = &mut spec.limits;
        limits.memory_bytes_max = self.memory.unwrap_or(limits.memory_bytes_max);
        limits.cpu_millis_max = self.cpus.unwrap_or(limits.cpu_millis_max);
        limits.pids_max = self.pids.unwrap_or(limits.pids_max);
        limits.disk_bytes_max = self.disk.unwrap_or(limits.disk_bytes_max);
        spec.toolchains = self.toolchains.unwrap_or(ToolchainPolicy::Known);
        spec.caches = self.caches;
        spec.expiry =
            Expiry { ttl_ms: self.ttl.map(millis), idle_timeout_ms: self.idle_timeout.map(millis) };
        spec.app = match (self.app, self.no_app) {
            (true, _) => AppStart::Auto,
            (false, true) => AppStart::Manual,
            (false, false) => app,
        };
        spec.idle_policy = if self.always_on { IdlePolicy::AlwaysOn } else { IdlePolicy::Sleep };
        spec.visibility = self.preview;
        spec.network = NetworkSpec { mode: self.network, allow: self.allow_host, deny: Vec::new() };
        spec.git_identity = if self.no_git_identity { None } else { git_identity::read() };
        spec.acceptance = self.accept_files.map(|files_max| AcceptanceRules {
            files_max,
            lines_max: self.accept_lines,
            paths: self.accept_path,
        });
        Ok(spec)
    }
}

/// Whole milliseconds; what does not fit is as good as for ever.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads `NAME=VALUE`, or `NAME` with the value that it has here.
pub(crate) fn parse_variable(text: &str) -> Result<(EnvName, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (
            text,
            env::var(text).map_err(|_| format!("`{text}` is not set here; write {text}=VALUE"))?,
        ),
    };
    let name = name.parse::<EnvName>().map_err(|error| format!("`{name}` is {error}"))?;
    Ok((name, value))
}

fn parse_workspace_path(text: &str) -> Result<WorkspacePath, String> {
    WorkspacePath::parse(text).map_err(|error| format!("`{text}`: {error}"))
}

pub(crate) fn parse_network(text: &str) -> Result<NetworkMode, String> {
    match text {
        "none" => Ok(NetworkMode::None),
        "allow-list" => Ok(NetworkMode::AllowList),
        "open" => Ok(NetworkMode::Open),
        _ => Err("must be `allow-list`, `open` or `none`".to_owned()),
    }
}

/// Reads who may see previews.
pub(crate) fn parse_visibility(text: &str) -> Result<Visibility, String> {
    match text {
        "public" => Ok(Visibility::Public),
        "private" => Ok(Visibility::Private),
        _ => Err("must be `public` or `private`".to_owned()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that clap wants")]
fn parse_toolchains(text: &str) -> Result<ToolchainPolicy, String> {
    Ok(match text {
        "known" => ToolchainPolicy::Known,
        "none" | "" => ToolchainPolicy::None,
        names => {
            ToolchainPolicy::Only(names.split(',').map(|name| name.trim().to_owned()).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_given_or_taken_from_here() {
        assert_eq!(parse_variable("A=b=c").unwrap(), ("A".parse().unwrap(), "b=c".to_owned()));
        assert_eq!(parse_variable("EMPTY=").unwrap().1, "");
        assert!(parse_variable("PATH").is_ok());
        for wrong in ["", "=x", "1A=x", "SANDBAR_SURELY_NOT_SET", "A B=x"] {
            assert!(parse_variable(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_that_are_not_named_keep_their_defaults() {
        let args = SpecArgs {
            memory: Some(2 << 30),
            reserve: vec![".".to_owned()],
            ..SpecArgs::default()
        };
        let spec = args.over(Source::Empty, AppStart::Auto).unwrap();
        assert_eq!(spec.limits.memory_bytes_max, 2 << 30);
        assert_eq!(spec.limits.pids_max, sandbar_types::Limits::default().pids_max);
        assert!(spec.reserve_all && spec.reserve.is_empty());
    }
}
