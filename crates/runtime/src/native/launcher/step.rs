//! The steps of a launch by name, how one fails, and how a test makes it fail.

use std::io;

use serde::{Deserialize, Serialize};

use crate::LaunchError;

macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// One step of a launch, in the order in which they are taken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::native) enum Step { $($(#[$doc])* $variant,)* }

        impl Step {
            /// Its name in errors and failpoints.
            pub(in crate::native) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

steps! {
    /// User namespace and maps.
    UserNamespace => "user_namespace",
    /// Control groups made, the process that becomes init in them.
    Cgroup => "cgroup",
    /// The other namespaces and init.
    Init => "init",
    /// Network of the sandbox: loopback, its sysctls.
    Network => "network",
    /// Directories of the sandbox.
    Directories => "directories",
    /// Limits set and read back.
    Limits => "limits",
    /// The source opened and looked at.
    Source => "source",
    /// Owners of the source shown as the agent.
    Idmap => "idmap",
    /// Writable layer over the source.
    Overlay => "overlay",
    /// System directories, toolchains, devices.
    Binds => "binds",
    /// Sockets of supervisor and keeper.
    Sockets => "sockets",
    /// What init is told.
    Order => "order",
    /// Mount namespace of init's own.
    MountNamespace => "mount_namespace",
    /// Root of the sandbox.
    Root => "root",
    /// Everything attached.
    Mounts => "mounts",
    /// No further namespaces.
    Sysctl => "sysctl",
    /// The host's tree left behind.
    Pivot => "pivot",
    /// Host name.
    Hostname => "hostname",
    /// Keys left behind.
    Keyring => "keyring",
    /// Files that may be used.
    Landlock => "landlock",
    /// Privileges given up.
    Capabilities => "capabilities",
    /// System calls that may be made.
    Seccomp => "seccomp",
    /// The supervisor.
    Exec => "exec",
    /// The supervisor's first word.
    Hello => "hello",
    /// What the kernel says about all that.
    ReadBack => "read_back",
    /// What the keeper leaves on disk.
    Record => "record",
    /// The supervisor may begin.
    Go => "go",
}

/// Why a launch failed, as it crosses from launcher to server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::native) enum Failure {
    /// See [`LaunchError::Unsupported`].
    Unsupported { what: String, hint: Option<String> },
    /// See [`LaunchError::Source`].
    Source { what: String },
    /// See [`LaunchError::Step`].
    Step { step: String, errno: Option<i32>, message: String },
    /// See [`LaunchError::Verify`].
    Verify { what: String },
}

impl Failure {
    /// The failure of `step` with what the kernel said.
    pub(in crate::native) fn at(step: Step, err: &io::Error) -> Self {
        Self::Step {
            step: step.name().to_owned(),
            errno: err.raw_os_error(),
            message: err.to_string(),
        }
    }
}

impl From<Failure> for LaunchError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unsupported { what, hint } => Self::Unsupported { what, hint },
            Failure::Source { what } => Self::Source { what },
            Failure::Verify { what } => Self::Verify { what },
            Failure::Step { step, errno, message } => {
                let source =
                    errno.map_or_else(|| io::Error::other(message), io::Error::from_raw_os_error);
                Self::Step { step, source }
            }
        }
    }
}

/// Takes steps, and breaks the one that a test asked to break.
#[derive(Debug, Clone, Default)]
pub(in crate::native) struct Steps {
    failpoint: Option<String>,
}

impl Steps {
    /// `failpoint` is `launch.<step>:error` or `launch.<step>:kill`; release builds ignore it.
    pub(in crate::native) fn new(failpoint: Option<String>) -> Self {
        Self { failpoint: failpoint.filter(|_| cfg!(debug_assertions)) }
    }

    /// Takes a step.
    pub(in crate::native) fn take<T>(
        &self,
        step: Step,
        body: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, Failure> {
        self.check(step, || body().map_err(|err| Failure::at(step, &err)))
    }

    /// Takes a step that says itself how it failed.
    pub(in crate::native) fn check<T>(
        &self,
        step: Step,
        body: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(wish) = self.failpoint.as_deref().and_then(|f| f.strip_prefix("launch.")) else {
            return body();
        };
        match wish.split_once(':') {
            Some((name, "error")) if name == step.name() => {
                Err(Failure::at(step, &io::Error::from_raw_os_error(libc_eio())))
            }
            Some((name, "kill")) if name == step.name() => {
                // Nothing after it runs; but process 1 is deaf to its own SIGKILL, and ends without a word instead.
                let _sent = rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                );
                super::userns::end(137)
            }
            Some(_) | None => body(),
        }
    }
}

fn libc_eio() -> i32 {
    rustix::io::Errno::IO.raw_os_error()
}
