//! Decides: what may happen to a sandbox, in which order, and what to do when the host shows something else.
//!
//! Knows neither HTTP nor a system call. Three machines are kept apart:
//! the *record* (what the store says), the *actor* (what we are doing; one for each sandbox, and only it changes the
//! sandbox), and the *observed* (what the host shows). [`lifecycle`] decides with values; `actor` carries out;
//! `reconcile` compares record and observed at the start and every minute, and is the same code after a crash.

mod account;
mod actor;
mod app;
mod audit;
mod backup;
mod checkpoint;
mod config;
mod credential;
mod engine;
mod error;
mod event;
mod exec;
mod files;
mod git;
mod idempotency;
mod idle;
mod layout;
pub mod lifecycle;
mod metrics;
mod network;
mod processes;
pub mod reconcile;
mod record;
mod review;
mod sandbox;
mod secret;
mod settings;
mod size;
mod source;
mod task;
mod trace;
mod upkeep;
mod watchers;
mod webhook;
mod workspace_view;

pub use account::{
    ApiKey, Credential, Identity, KeyCreateParams, KeyCreated, KeyWhich, LoggedIn, LoginParams,
    Tenant, TenantCreateParams, TenantUpdateParams, User, UserCreateParams, UserUpdateParams,
    UserWhich,
};
pub use app::{
    App, AppCreateParams, AppField, AppListParams, AppRef, AppRemoved, AppUpdateParams, Replace,
    Undecided,
};
pub use audit::{AuditEntry, AuditFilter, AuditOrder, AuditRecord, AuditTarget};
pub use checkpoint::{
    Checkpoint, CheckpointMakeParams, CheckpointPoint, RestoreOutcome, RevertOutcome,
};
pub use config::{Clock, EngineConfig, SystemClock};
pub use credential::{
    CredentialCreateParams, CredentialScope, CredentialUpdateParams, CredentialWhich,
    CredentialWhy, EgressCredential, KnownAgent, Login, Renewal, RenewalAsk, RenewalParams,
    TokenAnswer, TokenBody, TokenRequest, Trust, WhyRequest, Wire, WireCredential, WireRenewal,
    WireTold,
};
pub use engine::{Engine, StartError};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, EventFilter, EventOrder, EventPayload};
pub use exec::{Captured, Exec, ExecItem, ExecReader, ExecResult, ExecSession, ExecWriter};
pub use files::{
    Extracted, FileArchive, FileContent, FileEntry, FileKind, FileList, Overwrite, Recursion,
    SearchMatch, SearchParams, SearchResult,
};
pub use git::{BranchUpdate, GitFds, GitWorker, NoGitWorker, PullParams, WorkerGit};
pub use idempotency::{KeyGuard, Keyed, KeyedRequest};
pub use metrics::{
    Counter, Counters, DURATION_BOUNDS_US, DurationCounts, Durations, Gauge, GaugeGuard, Metrics,
};
pub use network::{
    Egress, EgressClosed, EgressCounts, EgressDenied, EgressEntry, EgressSockets, Network,
    NetworkDenials, NetworkQuestion, NetworkReader, NoNetwork,
};
pub use processes::{
    AfterCheck, AppStatus, Check, LogLine, LogTail, ManifestState, Preview, PreviewError,
    PreviewStatus, PreviewViewer, Restarted, manifest_check,
};
pub use review::{
    Applier, ApplierFds, ApproveListParams, ApproveParams, ApproveRecord, Changes, Consistency,
    Declined, FileHunks, InProcessApplier, MergeState, RefreshOutcome, RefreshParams,
    RejectOutcome, RejectParams, Resolutions, WorkerApplier,
};
pub use sandbar_manifest::Finding as ManifestFinding;
pub use sandbar_runtime::{
    Caller, ProcessAction, Usage,
    doctor::{Finding, Verdict},
};
pub use sandbar_store::{AppFilter, CommitTimes, Driver, SettingRow, TaskCount};
pub use sandbar_workspace::Sizes;
pub use sandbox::{
    IdempotencyKey, Sandbox, SandboxCreateParams, SandboxCreated, SandboxSize, SandboxWatch,
};
pub use secret::{
    AfterChange, ConfigChanged, ConfigCreateParams, ConfigItem, ConfigScope, ConfigUpdateParams,
    ConfigWhich, Rotation, SecretString, expose,
};
pub use settings::{EngineSettings, SettingsChange, SettingsReader, settings_generation};
pub use task::{TaskFollower, TaskListParams};
pub use trace::TRACES;
pub use upkeep::{GcAction, GcMode, GcReport, Pending, Reconciler, UpkeepStatus};
pub use webhook::{
    Courier, NoCourier, Webhook, WebhookAnswer, WebhookCreateParams, WebhookDelivery,
    WebhookMessage, WebhookUpdateParams, WebhookWhich, WebhookWithSecret,
};
