//! The `/v1` API as values: paths, request and response bodies, error codes, the frames of an attached exec.
//!
//! Server and clients share this crate, so neither can drift from the other.
//! It knows no row of the store and opens no socket.
//! Bodies are JSON in `snake_case`, units last, times in RFC 3339 UTC.

mod accounts;
mod agents;
mod approves;
mod apps;
pub mod attach;
mod audit;
mod checkpoints;
mod config;
mod credentials;
mod error;
mod events;
mod execs;
mod files;
mod health;
mod network;
mod page;
pub mod paths;
mod processes;
mod review;
mod sandboxes;
mod settings;
mod tasks;
mod usage;
mod webhooks;

pub use accounts::{
    ApiKey, ApiKeyCreateRequest, ApiKeyCreated, AuthStatus, CSRF, LoginRequest, Me,
    PasswordRequest, Secret, Session, SetupRequest, Tenant, TenantCreateRequest, TenantPageQuery,
    TenantQuery, TenantUpdateRequest, User, UserCreateRequest, UserUpdateRequest,
};
pub use agents::KnownAgent;
pub use approves::{Approve, ApproveListQuery};
pub use apps::{
    App, AppCloneRequest, AppCreateRequest, AppListQuery, AppRemoveQuery, AppRemoved,
    AppSandboxRequest, AppUpdateRequest,
};
pub use audit::{AuditExportQuery, AuditFormat, AuditQuery, AuditRecord, AuditTarget};
pub use checkpoints::{
    Checkpoint, CheckpointChanges, CheckpointCreateRequest, CheckpointDiffQuery,
    CheckpointRestored, RevertRequest, Reverted,
};
pub use config::{
    ConfigChangeQuery, ConfigChanged, ConfigCreateRequest, ConfigItem, ConfigRemoved,
    ConfigUpdateRequest, SecretRotation,
};
pub use credentials::{
    Credential, CredentialCreateRequest, CredentialLogin, CredentialRenewal,
    CredentialRenewalRequest, CredentialUpdateRequest, CredentialWhy, CredentialWhyAnswer,
    CredentialWhyQuery,
};
pub use error::{ErrorCode, PROBLEM_JSON, Problem, table as error_table};
pub use events::{Event, EventsQuery, Order, SandboxEventsQuery, ServerSentEvent};
pub use execs::{
    AttachQuery, CapturedOutput, Exec, ExecCreateRequest, ExecResult, LIMIT_OUTPUT_BYTES_DEFAULT,
    LIMIT_OUTPUT_BYTES_MAX, OutputChunk, OutputQuery, SignalRequest,
};
pub use files::{
    ArchiveResult, FileEntry, FileKind, FileList, FilePathQuery, FileQuery, FileRemoveQuery,
    FileSearchQuery, FileWriteQuery, MkdirRequest, MoveRequest, SearchMatch, SearchResult,
};
pub use health::{Doctor, Finding, Health, Ready, ReadyCheck, Verdict};
pub use network::NetworkWhyQuery;
pub use page::{LIMIT_PAGE_DEFAULT, LIMIT_PAGE_MAX, Page, PageQuery};
pub use processes::{
    AppCheck, AppCheckOutput, AppCheckRequest, AppStatus, KeepaliveRequest, LIMIT_TAIL_DEFAULT,
    LIMIT_TAIL_MAX, Manifest, ManifestCheck, ManifestCheckRequest, ManifestFinding, ManifestStatus,
    Preview, PreviewLink, PreviewLinkRequest, PreviewStatus, ProcessLog, ProcessLogLine,
    ProcessLogQuery, RestartedProcess,
};
pub use review::{
    ApproveRequest, ChangesPage, ChangesQuery, Declined, DeclinedList, DiffQuery, FileHunks, Hunk,
    HunkLine, HunksQuery, LineKind, MergeState, PullRequest, RefreshOutcome, RefreshRequest,
    RejectOutcome, RejectRequest,
};
pub use sandboxes::{Sandbox, SandboxListQuery, StateName, StopRequest};
pub use settings::{
    PreviewSettings, Setting, SettingKey, SettingSource, SettingValue, Settings,
    SettingsUpdateRequest, UnknownSetting,
};
pub use tasks::{TaskAnswerRequest, TaskListQuery};
pub use usage::{
    DiskUsage, GcAction, GcOutcome, GcRequest, ReconcilerStatus, SandboxDiskUsage, SandboxUsage,
    Upkeep,
};
pub use webhooks::{
    Webhook, WebhookCreateRequest, WebhookDelivery, WebhookUpdateRequest, WebhookWithSecret,
};

/// The header that makes a repeated create one create.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header of a response that was replayed for an idempotency key.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// The header that names a request, in both directions.
pub const REQUEST_ID: &str = "x-request-id";
