//! The words of the product as values: ids, names, states, limits, policy, changes.
//!
//! Nothing here does I/O, knows async, or knows a row of the store.
//! Everything that parses, parses here once, so that the rest holds values that cannot be wrong.

mod acceptance;
mod account;
mod app;
mod audit;
mod change;
mod check;
mod checkpoint;
mod config_access;
mod credential;
mod decision;
mod escape;
mod event;
mod exec;
mod git;
mod hunk;
mod id;
mod isolation;
mod limits;
mod network;
mod path;
mod preset;
mod principal;
mod process;
mod provenance;
mod quota;
mod sandbox;
#[cfg(feature = "openapi")]
mod schema;
mod target;
mod task;
mod toolbox;
mod word;

pub use acceptance::{AcceptOutcome, AcceptanceRules, NeedsPerson, Waiting};
pub use account::{AccountName, InvalidAccountName, KeyName};
pub use app::{AppName, AppTag, ExternalId, InvalidAppWord};
pub use audit::AuditOutcome;
pub use change::{
    Change, ChangeFlag, ChangeKind, ChangeSet, DiffId, Entry, InvalidSha256, LineCount, LinkTarget,
    Sha256,
};
pub use check::CheckStatus;
pub use checkpoint::CheckpointKind;
pub use config_access::ConfigAccess;
pub use credential::{
    CredentialName, InjectionPlace, InjectionRule, InvalidCredentialName, InvalidRule, RuleMiss,
};
pub use decision::{
    ApproveOutcome, Confirmed, Conflict, ConflictReason, HunkPick, MergeConflict, Part, PathFlags,
    Resolution, Selection, Side, Skipped, Take,
};
pub use escape::escaped;
pub use event::EventType;
pub use exec::{EnvName, ExecEnd, ExecSpec, ExecState, ExitStatus, InvalidEnvName, TerminalSize};
pub use git::{
    CommitAuthor, CommitSpec, GitIdentity, InvalidGitIdentity, PullOutcome, PulledCommit,
};
pub use hunk::{Hunk, HunkId, HunkLine, Hunks, InvalidHunkId, LineText};
pub use id::{
    ApiKeyId, AppId, ApproveId, CheckpointId, CredentialId, ExecId, Generation, InvalidId,
    SandboxId, SessionId, TaskId, TenantId, UserId, WebhookId,
};
pub use isolation::{
    CacheDenied, CacheOffer, Enforcement, IsolationLevel, IsolationReport, LimitEnforcement,
    Weakness,
};
pub use limits::Limits;
pub use network::{
    EGRESS_PORT, NAME_PORT, NetworkChange, NetworkEntry, NetworkEntryKind, NetworkMode,
    NetworkSpec, NetworkWhy, NetworkWhyAddress, SOCKS_PORT,
};
pub use path::{HostPath, InvalidPath, WorkspacePath};
pub use preset::{PresetName, UnknownPreset};
pub use principal::{Authority, Principal, Role, Scope, Scopes, UnknownWord};
pub use process::{
    AppSpec, BuildCheck, HealthCheck, InvalidProcessName, Probe, ProcessKind, ProcessName,
    ProcessSpec, ProcessState, ProcessStatus, ReadyCheck, RestartPolicy, StopPolicy,
};
pub use provenance::{Actor, ApprovedPath, UndoOutcome};
pub use quota::{Quota, QuotaKind};
pub use sandbox::{
    AppStart, Expiry, FailureReason, IdlePolicy, InvalidSandboxName, Overlap, OverlapKind,
    SandboxName, SandboxSpec, SandboxState, Source, StopReason, ToolchainPolicy, Visibility,
};
pub use target::{Host, HostName, InvalidTarget, Target};
pub use task::{
    AgentEvent, AgentName, Answer, AnsweredBy, InvalidAgentName, InvalidQuestionId, Permissions,
    Question, QuestionId, QuestionKind, QuestionOption, Task, TaskEvent, TaskEventPayload,
    TaskFailure, TaskResult, TaskSpec, TaskState, TaskUsage, ToolState,
};
pub use toolbox::TOOLBOX;
