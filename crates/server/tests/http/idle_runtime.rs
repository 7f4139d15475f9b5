//! A host that has nothing and can do nothing, for tests that never get that far.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, time::Duration};

use sandbar_runtime::{
    AppWatch, DialError, ExecStream, Finding, LaunchError, LaunchSpec, Launched, Observed,
    ProcessAction, Runtime, SandboxDir, StopOutcome, Usage, Verdict, View,
};
use sandbar_types::{AppSpec, ExecId, ExecSpec, ExitStatus, ProcessName, ProcessStatus, SandboxId};
use tokio::net::{TcpListener, TcpStream};

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

    async fn app_log(&self, _: &SandboxDir, _: &ProcessName, _: OwnedFd) -> io::Result<()> {
        nothing()
    }

    async fn app_apply(&self, _: &SandboxDir, _: &AppSpec) -> io::Result<()> {
        nothing()
    }

    async fn app_processes(&self, _: &SandboxDir) -> io::Result<Vec<ProcessStatus>> {
        nothing()
    }

    async fn app_process(
        &self,
        _: &SandboxDir,
        _: &ProcessName,
        _: ProcessAction,
    ) -> io::Result<()> {
        nothing()
    }

    async fn app_follow(&self, _: &SandboxDir, _: &ProcessName, _: u64) -> io::Result<ExecStream> {
        nothing()
    }

    async fn app_watch(&self, _: &SandboxDir) -> io::Result<AppWatch> {
        nothing()
    }

    async fn dial(&self, _: &SandboxDir, _: u16) -> Result<TcpStream, DialError> {
        Ok(nothing()?)
    }

    async fn egress(&self, _: &SandboxDir) -> io::Result<TcpListener> {
        nothing()
    }

    async fn stop(&self, _: &SandboxDir, _: SandboxId, _: Duration) -> io::Result<StopOutcome> {
        Ok(StopOutcome::NotRunning)
    }

    async fn freeze(&self, _: &SandboxDir, _: SandboxId) -> io::Result<()> {
        nothing()
    }

    async fn reclaim(&self, _dir: &SandboxDir, _id: SandboxId) -> io::Result<()> {
        Ok(())
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
