//! What we are compared with: `crun` and `bwrap`, on the same root file system, with the same command.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::json;

use crate::Result;

/// Peers, ready to run.
pub(crate) struct Peers {
    bundle: PathBuf,
    state: PathBuf,
    /// A container that runs for `crun exec`.
    sleeper: Child,
}

const SLEEPER: &str = "sandbar-bench-sleeper";

impl Peers {
    /// Makes a root file system with static programs, and a container that sleeps.
    pub(crate) fn prepare(dir: &Path) -> Result<Self> {
        let bundle = dir.join("bundle");
        let root = bundle.join("rootfs");
        for name in ["proc", "dev", "sys", "tmp"] {
            fs::create_dir_all(root.join(name))?;
        }
        compile(&root.join("true"), "int main(void) { return 0; }")?;
        compile(&root.join("pause"), "#include <unistd.h>\nint main(void) { for (;;) pause(); }")?;
        let run = Command::new("crun").arg("spec").current_dir(&bundle).status()?;
        if !run.success() {
            return Err("`crun spec` failed".into());
        }
        let mut spec: serde_json::Value =
            serde_json::from_slice(&fs::read(bundle.join("config.json"))?)?;
        spec["process"]["terminal"] = json!(false);
        // What this machine does not grant to root is nothing that the comparison is about.
        spec["process"]["rlimits"] = json!([]);
        spec["process"]["args"] = json!(["/true"]);
        fs::write(bundle.join("config.json"), spec.to_string())?;
        spec["process"]["args"] = json!(["/pause"]);
        let sleeping = dir.join("sleeping");
        fs::create_dir_all(&sleeping)?;
        spec["root"]["path"] = json!(root);
        fs::write(sleeping.join("config.json"), spec.to_string())?;
        let state = dir.join("crun");
        let sleeper = crun(&state).args(["run", "--bundle"]).arg(&sleeping).arg(SLEEPER).spawn()?;
        Ok(Self { bundle, state, sleeper })
    }

    /// The root file system: a static `true` and empty directories.
    pub(crate) fn root(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }

    /// `crun run` of `true`, all of it.
    pub(crate) fn crun_run(&self) -> Command {
        let mut command = crun(&self.state);
        command.args(["run", "--bundle"]).arg(&self.bundle).arg("sandbar-bench-run");
        command
    }

    /// `crun exec` of `true` in a container that runs.
    pub(crate) fn crun_exec(&self) -> Command {
        let mut command = crun(&self.state);
        command.args(["exec", SLEEPER, "/true"]);
        command
    }

    /// `bwrap` with every namespace.
    pub(crate) fn bwrap(&self) -> Command {
        let mut command = quiet("bwrap");
        command
            .args(["--unshare-all", "--bind"])
            .arg(self.bundle.join("rootfs"))
            .args(["/", "--proc", "/proc", "--dev", "/dev", "/true"]);
        command
    }

    /// A static `true` on the host: the floor of every process.
    pub(crate) fn host(&self) -> Command {
        quiet(&self.bundle.join("rootfs/true").to_string_lossy())
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        crun(&self.state).args(["delete", "--force", SLEEPER]).status().ok();
        self.sleeper.kill().ok();
        self.sleeper.wait().ok();
    }
}

/// Without control groups, which it refuses on hosts that mix both versions: that makes it faster, not slower.
fn crun(state: &Path) -> Command {
    let mut command = quiet("crun");
    command.arg("--root").arg(state).args(["--cgroup-manager", "disabled"]);
    command
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn compile(to: &Path, source: &str) -> Result<()> {
    let mut compiler = Command::new("gcc")
        .args(["-static", "-O2", "-x", "c", "-", "-o"])
        .arg(to)
        .stdin(Stdio::piped())
        .spawn()?;
    compiler.stdin.take().ok_or("no pipe")?.write_all(source.as_bytes())?;
    if compiler.wait()?.success() { Ok(()) } else { Err("gcc failed".into()) }
}
