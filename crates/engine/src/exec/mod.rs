//! Execs: start, follow, wait, signal; and what is left of them when the sandbox does not run.

mod capture;
mod home;
mod memory;
mod model;
mod seat;
mod session;

use std::{io, sync::Arc};

use sandbar_runtime::client::{LogReader, refusal as refusal_of};
use sandbar_store::{ExecRow, exec_fetch, exec_list};
use sandbar_types::{ExecId, ExecSpec, ExecState, SandboxId};
use tokio::sync::oneshot;

pub(crate) use self::{
    home::HomeFile,
    memory::MemoryKills,
    seat::Seated,
    session::{AfterLog, Reporter},
};
pub use self::{
    model::{Captured, Exec, ExecItem, ExecResult},
    session::{ExecReader, ExecSession, ExecWriter},
};
use crate::{Engine, Error, ErrorKind, Result, actor::Ordinary, credential, trace::TRACES};

/// How long a supervisor may take until it has heard a signal.
const SIGNAL_HEARD_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
/// LIMIT: execs of one list.
const LIST_MAX: u32 = 200;

impl Engine {
    /// Starts a command. It runs on when the session is dropped.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict` (with the hint to start it), `limit_reached`, `invalid_value`.
    #[tracing::instrument(target = TRACES, name = "exec start", skip_all, fields(sandbox.id = %id))]
    pub async fn exec_start(&self, id: SandboxId, spec: ExecSpec) -> Result<ExecSession> {
        check(&spec)?;
        credential::stand_in(self, id, &spec).await?;
        self.exec_begin(id, spec).await
    }

    /// Starts a command as it is: nothing is made for it before.
    pub(crate) async fn exec_begin(&self, id: SandboxId, spec: ExecSpec) -> Result<ExecSession> {
        let (reply, answer) = oneshot::channel();
        self.inner.actor(id)?.send(Ordinary::Exec { spec, reply })?;
        answer.await.unwrap_or_else(|_gone| {
            Err(Error::new(ErrorKind::Unavailable, "unavailable", "the server is leaving"))
        })
    }

    /// Starts a command and waits for its end, keeping at most `output_bytes_max` of each output.
    ///
    /// # Errors
    /// As [`Engine::exec_start`].
    pub async fn exec_run(
        &self,
        id: SandboxId,
        spec: ExecSpec,
        output_bytes_max: u64,
    ) -> Result<ExecResult> {
        let mut session = self.exec_start(id, spec).await?;
        if session.exec.spec.stdin {
            // Nobody sends any.
            session.writer.stdin_end().await.ok();
        }
        capture::until_end(self, session, output_bytes_max).await
    }

    /// Waits for the end of an exec, and returns its output from the beginning, at most `output_bytes_max` of each.
    ///
    /// # Errors
    /// `sandbox_not_found`, `exec_not_found`.
    pub async fn exec_wait(
        &self,
        id: SandboxId,
        exec: ExecId,
        output_bytes_max: u64,
    ) -> Result<ExecResult> {
        let session = self.exec_attach(id, exec, 0).await?;
        capture::until_end(self, session, output_bytes_max).await
    }

    /// Follows an exec from `offset` of its log on (0: from the oldest that is left); one that has ended is read from its log.
    ///
    /// # Errors
    /// `sandbox_not_found`, `exec_not_found`.
    pub async fn exec_attach(
        &self,
        id: SandboxId,
        exec: ExecId,
        offset: u64,
    ) -> Result<ExecSession> {
        let found = self.exec_fetch(id, exec).await?;
        let handle = self.inner.actor(id)?;
        if found.state == ExecState::Running {
            let dir = self.inner.layout.sandbox(id);
            match self.inner.config.runtime.attach(&dir, exec, offset).await {
                Ok(stream) => {
                    let (actor, kills) =
                        (handle.ordinary.downgrade(), Arc::clone(&handle.memory_kills));
                    let reporter = Reporter::new(&self.inner, actor, kills, (id, exec));
                    return Ok(ExecSession::live(found, stream, reporter));
                }
                // It ended just now, or its supervisor did; its log tells.
                Err(err)
                    if matches!(
                        err.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotConnected
                    ) => {}
                Err(err) => return Err(refusal(err)),
            }
        }
        let reader = self.log(&found, offset, AfterLog::Lost).await?;
        Ok(ExecSession::recorded(found, reader))
    }

    /// Reads what the log of an exec holds now, from `offset` on, without following it.
    ///
    /// # Errors
    /// `sandbox_not_found`, `exec_not_found`.
    pub async fn exec_output(
        &self,
        id: SandboxId,
        exec: ExecId,
        offset: u64,
    ) -> Result<ExecReader> {
        let found = self.exec_fetch(id, exec).await?;
        let after = match found.state {
            ExecState::Lost => AfterLog::Lost,
            ExecState::Running | ExecState::Ended { .. } => AfterLog::Nothing,
        };
        self.log(&found, offset, after).await
    }

    /// Lists execs, newest first, at most 200.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn exec_list(&self, id: SandboxId) -> Result<Vec<Exec>> {
        self.inner.actor(id)?;
        let rows = exec_list(&mut self.inner.store.read().await?, id, LIST_MAX).await?;
        Ok(rows.into_iter().map(Exec::of).collect())
    }

    /// Fetches one.
    ///
    /// # Errors
    /// `sandbox_not_found`, `exec_not_found`.
    pub async fn exec_fetch(&self, id: SandboxId, exec: ExecId) -> Result<Exec> {
        self.inner.actor(id)?;
        let found: Option<ExecRow> = exec_fetch(&mut self.inner.store.read().await?, exec).await?;
        found.filter(|row| row.sandbox_id == id).map(Exec::of).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "exec_not_found", "the sandbox has no such exec")
                .hint("`sandbar logs <sandbox>` lists its execs")
        })
    }

    /// Signals the process group of an exec. One that has ended is left alone, and that is no error.
    ///
    /// # Errors
    /// `sandbox_not_found`, `exec_not_found`, `invalid_value`.
    pub async fn exec_signal(&self, id: SandboxId, exec: ExecId, signal: u8) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "invalid_value",
                "a signal is a number from 1 to 64",
            ));
        }
        if self.exec_fetch(id, exec).await?.state != ExecState::Running {
            return Ok(());
        }
        let dir = self.inner.layout.sandbox(id);
        match self.inner.config.runtime.attach(&dir, exec, 0).await {
            // Ended between the two; what was wanted is so.
            Err(err)
                if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotConnected) =>
            {
                Ok(())
            }
            Err(err) => Err(refusal(err)),
            Ok(mut stream) => {
                let sent = stream.send(sandbar_runtime::client::Input::Signal(signal)).await;
                // A supervisor that finds us gone while it sends us the log would never look at what we sent.
                self.inner.tasks.spawn(async move {
                    tokio::time::sleep(SIGNAL_HEARD_WITHIN).await;
                    drop(stream);
                });
                match sent {
                    Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                    sent => sent.map_err(refusal),
                }
            }
        }
    }

    async fn log(&self, exec: &Exec, offset: u64, after: AfterLog) -> Result<ExecReader> {
        let file = match self.inner.layout.log_open(exec.sandbox_id, exec.id) {
            Ok(file) => file,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(ExecReader::lost()),
            Err(err) => return Err(Error::internal(err)),
        };
        let opened = tokio::task::spawn_blocking(move || LogReader::open(file, offset));
        match opened.await.map_err(Error::internal)? {
            Ok(reader) => Ok(ExecReader::log(reader, after, &exec.state)),
            // Nothing was ever written: the exec never began.
            Err(err) if err.kind() == io::ErrorKind::InvalidData => Ok(ExecReader::lost()),
            Err(err) => Err(Error::internal(err)),
        }
    }
}

fn check(spec: &ExecSpec) -> Result<()> {
    let invalid = |message| Error::new(ErrorKind::Invalid, "invalid_value", message);
    if spec.argv.first().is_none_or(String::is_empty) {
        return Err(invalid("`argv` needs a command"));
    }
    if spec.argv.iter().chain(spec.env.values()).chain(&spec.cwd).any(|text| text.contains('\0')) {
        return Err(invalid("`argv`, `env` and `cwd` hold no NUL byte"));
    }
    if spec.timeout_ms == Some(0) {
        return Err(invalid("`timeout_ms` is at least 1"));
    }
    Ok(())
}

/// The error that a client sees when the supervisor did not do what was asked.
#[expect(clippy::wildcard_enum_match_arm, reason = "kinds of I/O errors are not ours, and grow")]
pub(crate) fn refusal(err: io::Error) -> Error {
    let said = refusal_of(&err).map(ToString::to_string);
    match err.kind() {
        io::ErrorKind::NotConnected => {
            Error::new(ErrorKind::Denied, "state_conflict", "the sandbox does not run any more")
                .hint("start it: `sandbar start`")
        }
        io::ErrorKind::QuotaExceeded => Error::new(
            ErrorKind::LimitReached,
            "limit_reached",
            said.unwrap_or_else(|| "too many execs".to_owned()),
        ),
        io::ErrorKind::InvalidInput => Error::new(
            ErrorKind::Invalid,
            "invalid_value",
            said.unwrap_or_else(|| "the exec cannot be started".to_owned()),
        ),
        io::ErrorKind::TimedOut => {
            Error::new(ErrorKind::Unavailable, "unavailable", "the sandbox did not answer in time")
        }
        _other => Error::internal(err),
    }
}
