//! From what a user wants started to what the kernel is given: values only.

use std::{collections::BTreeMap, ffi::CString, os::unix::ffi::OsStrExt, path::Path};

use sandbar_protocol::Refusal;
use sandbar_types::ExecSpec;

use crate::settings::Settings;

/// Where commands are looked for when the environment says nothing.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What a terminal is when the environment says nothing.
const DEFAULT_TERM: &str = "xterm-256color";

/// A command, ready for execve(2).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Files to try.
    pub(crate) files: Vec<CString>,
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
}

impl Command {
    pub(crate) fn new(settings: &Settings, spec: &ExecSpec) -> Result<Self, Refusal> {
        let name = spec.argv.first().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("no command"))?;
        let env = environment(&settings.env, spec);
        let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        let argv = spec.argv.iter().map(|arg| text(arg.as_bytes(), "an argument"));
        let cwd = settings.workspace.join(spec.cwd.as_deref().unwrap_or_default());
        Ok(Self {
            files: files(name, path)?,
            argv: argv.collect::<Result<_, _>>()?,
            env: env
                .iter()
                .map(|(name, value)| {
                    text(format!("{name}={value}").as_bytes(), "a value of the environment")
                })
                .collect::<Result<_, _>>()?,
            cwd: text(cwd.as_os_str().as_bytes(), "the working directory")?,
        })
    }
}

fn environment(base: &BTreeMap<String, String>, spec: &ExecSpec) -> BTreeMap<String, String> {
    let mut env = base.clone();
    if spec.terminal.is_some() {
        env.entry("TERM".to_owned()).or_insert_with(|| DEFAULT_TERM.to_owned());
    }
    env.extend(spec.env.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())));
    env
}

/// A name with a slash is a path, below the working directory unless absolute; another one is tried in each directory
/// of `PATH`. Empty entries of `PATH` would mean the working directory, where an agent's file could pose as a command.
fn files(name: &str, path: &str) -> Result<Vec<CString>, Refusal> {
    if name.contains('/') {
        return Ok(vec![text(name.as_bytes(), "the command")?]);
    }
    path.split(':')
        .filter(|directory| !directory.is_empty())
        .map(|directory| {
            text(Path::new(directory).join(name).as_os_str().as_bytes(), "the command")
        })
        .collect()
}

fn text(bytes: &[u8], what: &str) -> Result<CString, Refusal> {
    CString::new(bytes).map_err(|_| invalid(&format!("{what} holds a zero byte")))
}

fn invalid(what: &str) -> Refusal {
    Refusal::Invalid { what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let env = [("PATH", "/a:/b::c"), ("HOME", "/home/agent"), ("LANG", "C")];
        Settings {
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            workspace: "/workspace".into(),
            agent: None,
            limits: Vec::new(),
            log_bytes_max: 1 << 20,
            execs_max: 1,
        }
    }

    fn spec(argv: &[&str]) -> ExecSpec {
        let argv = argv.iter().map(|&arg| arg.to_owned()).collect();
        ExecSpec {
            argv,
            env: BTreeMap::new(),
            cwd: None,
            terminal: None,
            stdin: false,
            timeout_ms: None,
        }
    }

    fn texts(list: &[CString]) -> Vec<&str> {
        list.iter().map(|text| text.to_str().unwrap()).collect()
    }

    #[test]
    fn names_are_looked_for_in_path_and_paths_are_not() {
        let command = Command::new(&settings(), &spec(&["ls", "-l"])).unwrap();
        assert_eq!(texts(&command.files), ["/a/ls", "/b/ls", "c/ls"]);
        assert_eq!(texts(&command.argv), ["ls", "-l"]);
        for path in ["./ls", "/bin/ls", "bin/ls"] {
            let command = Command::new(&settings(), &spec(&[path])).unwrap();
            assert_eq!(texts(&command.files), [path]);
        }
    }

    #[test]
    fn the_path_of_the_exec_wins_over_that_of_the_sandbox() {
        let mut spec = spec(&["ls"]);
        spec.env.insert("PATH".parse().unwrap(), "/x".to_owned());
        let command = Command::new(&settings(), &spec).unwrap();
        assert_eq!(texts(&command.files), ["/x/ls"]);
        assert_eq!(texts(&command.env), ["HOME=/home/agent", "LANG=C", "PATH=/x"]);
    }

    #[test]
    fn directories_are_relative_to_the_workspace() {
        for (cwd, entered) in
            [(None, "/workspace/"), (Some("a/b"), "/workspace/a/b"), (Some("/tmp"), "/tmp")]
        {
            let spec = ExecSpec { cwd: cwd.map(str::to_owned), ..spec(&["ls"]) };
            assert_eq!(Command::new(&settings(), &spec).unwrap().cwd.to_str(), Ok(entered));
        }
    }

    #[test]
    fn what_the_kernel_cannot_be_given_is_refused() {
        for argv in [&[] as &[&str], &[""], &["a\0b"], &["a", "b\0"]] {
            assert!(Command::new(&settings(), &spec(argv)).is_err(), "{argv:?}");
        }
    }
}
