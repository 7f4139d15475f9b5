//! A host that has nothing and can do nothing, for tests that never get that far.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, time::Duration};

use sandbar_runtime::{
    ExecStream, Finding, LaunchError, LaunchSpec, Launched, Observed, Runtime, SandboxDir,
    StopOutcome, Usage, Verdict, View,
};
use sandbar_types::{ExecId, ExecSpec, ExitStatus, SandboxId};

#[derive(Debug)]
pub(crate) struct IdleRuntime;

fn nothing<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotConnected.into())
}

#[async_trait::async_trait]
impl Runtime for IdleRuntime {
    async fn doctor(&self) -> Vec<Finding> {
        vec![Finding {
            code: "user_namespaces".to_owned(),
            verdict: Verdict::Missing,
            message: "there are none".to_owned(),
            hint: Some("use another host".to_owned()),
        }]
    }

    fn has_id_ranges(&self) -> bool {
        false
    }

    async fn launch(&self, _: LaunchSpec) -> Result<Launched, LaunchError> {
        Err(LaunchError::Unsupported { what: "there is nothing".to_owned(), hint: None })
    }

    async fn exec(
        &self,
        _: &SandboxDir,
        _: ExecId,
        _: &ExecSpec,
        _: OwnedFd,
    ) -> io::Result<ExecStream> {
        nothing()
    }

    async fn attach(&self, _: &SandboxDir, _: ExecId, _: u64) -> io::Result<ExecStream> {
        nothing()
    }

    async fn stop(&self, _: &SandboxDir, _: SandboxId, _: Duration) -> io::Result<StopOutcome> {
        Ok(StopOutcome::NotRunning)
    }

    async fn freeze(&self, _: &SandboxDir, _: SandboxId) -> io::Result<()> {
        nothing()
    }

    async fn thaw(&self, _: &SandboxDir, _: SandboxId) -> io::Result<()> {
        nothing()
    }

    async fn observe(
        &self,
        _: &[(SandboxId, SandboxDir)],
    ) -> io::Result<BTreeMap<SandboxId, Observed>> {
        Ok(BTreeMap::new())
    }

    async fn release(&self, _: &SandboxDir, _: SandboxId) -> io::Result<()> {
        Ok(())
    }

    async fn view(&self, _: &LaunchSpec) -> io::Result<View> {
        nothing()
    }

    async fn usage(&self, _: &SandboxDir, _: SandboxId) -> io::Result<Usage> {
        nothing()
    }

    async fn wait(&self, _: &SandboxDir, _: SandboxId) -> io::Result<Option<ExitStatus>> {
        nothing()
    }
}
