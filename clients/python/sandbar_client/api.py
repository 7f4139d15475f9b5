"""Made by `generate.py` from openapi.json; not to be edited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from .transport import Transport


# What was approved by the rules.
class AcceptOutcome(TypedDict):
    approve: NotRequired[ApproveOutcome | None]
    # What stays pending, ordered.
    waiting: list[Waiting]


# Rules that a person gives a sandbox when it is made. Without them, nothing is approved without a person.
# Changes that need an explicit yes, that the host changed as well or that nobody can read are never among them.
class AcceptanceRules(TypedDict):
    # With more paths than this, all of them wait for a person.
    files_max: int
    # With more lines than this that come or go, all of them wait for a person.
    lines_max: int
    # Only paths that one of these patterns fits: `*` within a name, `**` over names, `?`, `[…]`, `{a,b}`. Every
    # path where there are none.
    paths: NotRequired[list[str]]


# The name of a tenant or a user.
AccountName: TypeAlias = 'str'


# A user of this host, by the unix socket.
class ActorUser(TypedDict):
    # The user's id, as the kernel says.
    uid: int
    # The user's name then, where the host knows one.
    name: NotRequired[str | None]
    kind: Literal['user']


# Whoever had the token, by TCP.
class ActorToken(TypedDict):
    kind: Literal['token']


# A user of this server.
class ActorAccount(TypedDict):
    # The user's id.
    id: UserId
    # The user's name then.
    name: AccountName
    kind: Literal['account']


# Whoever had an API key.
class ActorApiKey(TypedDict):
    # The key's id.
    id: ApiKeyId
    # The key's name then.
    name: KeyName
    kind: Literal['api_key']


# Nobody: the rules of the sandbox allow it.
class ActorRules(TypedDict):
    kind: Literal['rules']


# Nobody was asked.
class ActorUnknown(TypedDict):
    kind: Literal['unknown']


# Who asked.
Actor: TypeAlias = 'ActorUser | ActorToken | ActorAccount | ActorApiKey | ActorRules | ActorUnknown'


# It says something; messages in pieces are told piece by piece.
class AgentEventMessage(TypedDict):
    # The words.
    text: str
    type: Literal['message']


# It thinks aloud.
class AgentEventThought(TypedDict):
    # The words.
    text: str
    type: Literal['thought']


# It uses a tool, or a tool is further than it was.
class AgentEventToolCall(TypedDict):
    # The same for every event of one use.
    id: str
    # The tool, as the agent names it.
    tool: str
    # What is done, in one line.
    title: str
    # How far it is.
    state: ToolState
    # What came of it, cut where it is long.
    output: NotRequired[str | None]
    type: Literal['tool_call']


# It says that it changes a file. What really changed is told by the layer.
class AgentEventFileChange(TypedDict):
    # The path, as it names it.
    path: str
    type: Literal['file_change']


# It waits for its model, tries again, or says how it is.
class AgentEventStatus(TypedDict):
    # The words.
    text: str
    type: Literal['status']


# What an agent says or does.
AgentEvent: TypeAlias = 'AgentEventMessage | AgentEventThought | AgentEventToolCall | AgentEventFileChange | AgentEventStatus'


# The name of an agent.
AgentName: TypeAlias = 'str'


# The `id` of an option.
class Answer1(TypedDict):
    # The `id` of an option.
    option: str


# Words.
class Answer2(TypedDict):
    # Words.
    text: str


# The answer to a question: one of its options, or words.
Answer: TypeAlias = 'Answer1 | Answer2'


# Who answered.
AnsweredBy: TypeAlias = "Literal['person', 'deadline', 'withdrawn']"


# An API key, without the key.
class ApiKey(TypedDict):
    # Its id.
    id: ApiKeyId
    user: NotRequired[UserId | None]
    # What it is for.
    name: KeyName
    # What it begins with.
    prefix: str
    # What it may do at most; never more than its user may.
    role: Role
    # What of that it may ask for.
    scopes: list[Scope]
    # When it was made.
    created_at: str
    # When it ends; absent: never.
    expires_at: NotRequired[str | None]
    # When it was used last, to the minute.
    last_used_at: NotRequired[str | None]


# Makes an API key.
class ApiKeyCreateRequest(TypedDict):
    # What it is for.
    name: KeyName
    role: NotRequired[Role | None]
    # What of that it may ask for; all of it when absent.
    scopes: NotRequired[list[Scope] | None]
    # When it ends; never when absent.
    expires_at: NotRequired[str | None]


# An API key that was just made.
class ApiKeyCreated(TypedDict):
    # What is kept of it.
    api_key: ApiKey
    # The key itself, for `Authorization: Bearer`. It is shown this once.
    secret: Secret


# Names an API key.
ApiKeyId: TypeAlias = 'str'


# An app: a named project that outlives its sandboxes.
class App(TypedDict):
    # Names it for ever.
    id: AppId
    # Names it among the apps of its tenant.
    name: AppName
    # Grows with each change of the record; also the `ETag`.
    generation: Generation
    # What it is, in words.
    description: NotRequired[str]
    # What it is filed under, sorted.
    tags: NotRequired[list[AppTag]]
    external_user_id: NotRequired[ExternalId | None]
    external_project_id: NotRequired[ExternalId | None]
    preset: NotRequired[PresetName | None]
    visibility: NotRequired[Visibility | None]
    current_sandbox_id: NotRequired[SandboxId | None]
    current_sandbox_state: NotRequired[StateName | None]
    # When it was made.
    created_at: str
    # When it was changed last.
    updated_at: str


# Whether an app builds.
class AppCheck(TypedDict):
    # How the check came out.
    status: CheckStatus
    exit: NotRequired[ExitStatus | None]
    # Whether it ran longer than it may.
    timed_out: bool
    # Whether the kernel killed something of it for memory.
    out_of_memory: bool
    # Whether it wrote more than the sandbox may hold.
    out_of_disk: bool
    # How long the build took, in milliseconds.
    duration_ms: int
    # The last that it wrote.
    output: AppCheckOutput
    # What was restarted afterwards.
    restarted: list[RestartedProcess]


# The end of what a build wrote, to both outputs.
class AppCheckOutput(TypedDict):
    # Oldest first, 200 lines and 64 KiB at most; bytes that are not UTF-8 are replaced.
    lines: list[str]
    # Whether it wrote more before.
    is_truncated: bool


# How a build is to be checked.
class AppCheckRequest(TypedDict):
    # Restarts the processes with `restart_after_task` afterwards, whether or not the app builds, and waits for
    # the web ones to be ready, 90 seconds at most.
    restart: NotRequired[bool]


# Makes an app like another one.
class AppCloneRequest(TypedDict):
    # Its name, unique in the tenant.
    name: AppName


# Makes an app.
class AppCreateRequest(TypedDict):
    # Its name, unique in the tenant.
    name: AppName
    # What it is, in words: at most 4096 characters.
    description: NotRequired[str]
    # What it is filed under: at most 32 tags.
    tags: NotRequired[list[AppTag]]
    external_user_id: NotRequired[ExternalId | None]
    external_project_id: NotRequired[ExternalId | None]
    preset: NotRequired[PresetName | None]
    visibility: NotRequired[Visibility | None]


# What of an app was changed.
AppField: TypeAlias = "Literal['name', 'description', 'tags', 'external_user_id', 'external_project_id', 'preset', 'visibility']"


# Names an app.
AppId: TypeAlias = 'str'


# The name of an app.
AppName: TypeAlias = 'str'


# What went with an app.
class AppRemoved(TypedDict):
    # Its sandboxes, with their files.
    sandboxes: list[SandboxId]
    # How many settings and secrets of the app.
    config_items: int


# The sandbox that an app shall have: what a sandbox can be asked to be, and what becomes of the one before.
class AppSandboxRequest(TypedDict):
    # Make it although the app has one: once the new one runs, it is what the app is about, and the old one is
    # kept.
    replace: NotRequired[bool]
    # Remove the one that is replaced where nobody has to decide about changes of it.
    remove_replaced: NotRequired[bool]
    name: NotRequired[SandboxName | None]
    source: NotRequired[Source | None]
    workspace_path: NotRequired[HostPath | None]
    scope: NotRequired[WorkspacePath | None]
    # Subtrees that no other sandbox over the same source may reserve while this one lives.
    reserve: NotRequired[list[WorkspacePath]]
    # Reserves the whole source.
    reserve_all: NotRequired[bool]
    # What it may use.
    limits: NotRequired[Limits]
    # Variables that every exec sees.
    env: NotRequired[dict[str, str]]
    # Toolchains of the caller's home.
    toolchains: NotRequired[ToolchainPolicy]
    caches: NotRequired[ToolchainPolicy | None]
    # When it ends by itself.
    expiry: NotRequired[Expiry]
    # Whether its processes are started with it.
    app: NotRequired[AppStart]
    # What becomes of it when nobody uses it.
    idle_policy: NotRequired[IdlePolicy]
    visibility: NotRequired[Visibility | None]
    # Whom it may reach.
    network: NotRequired[NetworkSpec]
    git_identity: NotRequired[GitIdentity | None]
    acceptance: NotRequired[AcceptanceRules | None]


# What an app is made of: a manifest with every default filled in.
class AppSpec(TypedDict):
    # Its processes; names are unique, `after` has no cycle.
    processes: list[ProcessSpec]
    # How it is checked that it builds.
    build: BuildCheck


# Whether the app of a workspace, what its `sandbox.yaml` declares, is started with the sandbox.
AppStart: TypeAlias = "Literal['auto', 'manual']"


# The app of a sandbox.
class AppStatus(TypedDict):
    # What is known of its `sandbox.yaml`.
    manifest: Manifest
    # How it looks from outside.
    preview: Preview
    # Its processes, in the order of the manifest.
    processes: list[ProcessStatus]


# A word that an app is filed under.
AppTag: TypeAlias = 'str'


# Changes an app. What is absent stays as it is; `null` takes it away.
class AppUpdateRequest(TypedDict):
    name: NotRequired[AppName | None]
    # What it is, in words: at most 4096 characters.
    description: NotRequired[str | None]
    # What it is filed under: at most 32 tags.
    tags: NotRequired[list[AppTag] | None]
    external_user_id: NotRequired[ExternalId | None]
    external_project_id: NotRequired[ExternalId | None]
    preset: NotRequired[PresetName | None]
    visibility: NotRequired[Visibility | None]


# An approve that wrote something; an undo is one, too.
class Approve(TypedDict):
    # Its id.
    id: ApproveId
    # The directory that it wrote to.
    source: HostPath
    # The sandbox that the changes came from. It may be gone.
    sandbox_id: SandboxId
    # The name of the sandbox then.
    sandbox_name: SandboxName
    # Who asked.
    actor: Actor
    # When it was written.
    at: str
    # The commit that it became.
    commit: NotRequired[str | None]
    undoes: NotRequired[ApproveId | None]
    undone_by: NotRequired[ApproveId | None]
    # Whether it can be undone now, unless the directory has later changes that overlap.
    is_undoable: bool
    # How many paths it wrote or removed.
    paths_total: int
    # The paths, ordered; in a list the first hundred.
    paths: list[ApprovedPath]


# Names one approve.
ApproveId: TypeAlias = 'str'


# What an approve did.
class ApproveOutcome(TypedDict):
    # Names it, and its journal.
    id: ApproveId
    # Paths that were written or removed, ordered.
    applied: list[WorkspacePath]
    # Selected paths that are left pending: never applied, or ignored and not asked for. An ignored directory
    # stands for what is below it.
    skipped: list[Skipped]
    # The commit that was made of it, where one was asked for.
    commit: NotRequired[str | None]
    # The branch that the commit is on; absent on a detached `HEAD`.
    commit_branch: NotRequired[str | None]
    # Paths that were written but not committed, because the repository ignores them.
    commit_ignored: NotRequired[list[WorkspacePath]]


# Writes changes to the source. `If-Match` with the `ETag` of the changes is honored.
class ApproveRequest(TypedDict):
    # The set that was looked at; another one by now is 409 `diff_changed`.
    diff_id: DiffId
    # Which of its changes.
    selection: Selection
    # Flags to which the person said yes, wherever they are.
    confirm: NotRequired[list[ChangeFlag]]
    # Flags to which they said yes at single paths.
    confirm_paths: NotRequired[list[PathFlags]]
    # What counts at paths that the host changed as well, and that cannot be merged; without it they are 409
    # `review_conflict`, and nothing is written.
    resolutions: NotRequired[list[Resolution]]
    otherwise: NotRequired[Side | None]
    commit: NotRequired[CommitSpec | None]


# One path of the source that an approve wrote or removed.
class ApprovedPath(TypedDict):
    # The path, relative to the source, whatever part of it the sandbox could write to.
    path: WorkspacePath
    # How it changed.
    kind: ChangeKind
    before: NotRequired[Entry | None]
    after: NotRequired[Entry | None]


# What an archive made.
class ArchiveResult(TypedDict):
    # Files, directories and links.
    entries: int
    # Bytes of content.
    bytes: int


# What became of what somebody asked for.
AuditOutcome: TypeAlias = "Literal['ok', 'refused', 'failed']"


# One line of the audit log. Holds names of fields and ids, never values.
class AuditRecord(TypedDict):
    # Grows with each line.
    id: int
    tenant: NotRequired[TenantId | None]
    # When it was answered.
    at: str
    # Who asked.
    actor: Actor
    # From which address; absent where it came by the socket.
    address: NotRequired[str | None]
    # What was asked for, for example `sandbox.deleted`; `audit` of `x-sandbar` of the route.
    action: str
    target: NotRequired[AuditTarget | None]
    # What became of it.
    outcome: AuditOutcome
    # The code of the answer where it was no success; `abandoned` where nobody waited for the answer, and it may
    # be done.
    error_code: NotRequired[str | None]
    # `X-Request-Id` of the request; lines of the server's log have it, too.
    request_id: str
    # `fields`: which fields the body had; `made`: the id of what was made; `left_out`: how many lines of this
    # asker were left out before, because they were too many; other names of the path by their name.
    detail: dict[str, Any]


# What a request was about.
class AuditTarget(TypedDict):
    # What kind of thing, for example `sandbox`.
    kind: str
    # Which one: its id, or its name where it has no id.
    id: str


# Whether one can log in, and whether one is.
class AuthStatus(TypedDict):
    # There is no administrator yet: `POST /v1/auth/setup` makes one.
    needs_setup: bool
    # This request came with a session, a key or a token that is right, or by the unix socket.
    is_authenticated: bool


# Nothing was said: whatever the project's own package manager calls a build, if anything.
class BuildCheckDefault(TypedDict):
    build: Literal['default']


# Said to be none.
class BuildCheckSkipped(TypedDict):
    build: Literal['skipped']


# This command.
class BuildCheckCommand(TypedDict):
    # Run as `bash -lc` does.
    command: str
    # How long it may take, in milliseconds.
    timeout_ms: int
    build: Literal['command']


# How it is checked that an app builds.
BuildCheck: TypeAlias = 'BuildCheckDefault | BuildCheckSkipped | BuildCheckCommand'


# Why a package cache that is there is not shown.
CacheDenied: TypeAlias = "Literal['link', 'not_a_directory', 'foreign_owner', 'writable_by_others', 'unreadable', 'no_attributes']"


# A package cache of the caller's home, and whether it is shown.
class CacheOffer(TypedDict):
    # The name that a policy may use.
    name: str
    # The directory, the same inside as outside.
    path: str
    left_out: NotRequired[CacheDenied | None]


# The beginning of a stream, and how much more there was.
class CapturedOutput(TypedDict):
    # The bytes, where they are UTF-8.
    text: NotRequired[str | None]
    # The bytes in base64, where they are not.
    b64: NotRequired[str | None]
    # Bytes that are not shown because they were beyond `output_bytes_max`.
    truncated_bytes: int


# One path that differs.
class Change(TypedDict):
    # The path, below the root of the workspace.
    path: WorkspacePath
    # How it differs.
    kind: ChangeKind
    old: NotRequired[Entry | None]
    new: NotRequired[Entry | None]
    # Whether old or new content is not text.
    binary: bool
    lines: NotRequired[LineCount | None]
    renamed_from: NotRequired[WorkspacePath | None]
    # What to know before saying yes.
    flags: NotRequired[list[ChangeFlag]]


# What a person should know about a change before saying yes.
ChangeFlag: TypeAlias = "Literal['protected', 'exec_on_open', 'exec_bit', 'symlink_external', 'symlink_absolute', 'special', 'setuid', 'xattr_dropped', 'name_control_chars', 'name_bidi', 'name_non_utf8', 'case_collision', 'base_drifted', 'content_bidi', 'opaque', 'truncated_display', 'ignored']"


# How a path differs.
ChangeKind: TypeAlias = "Literal['added', 'modified', 'deleted', 'type_changed', 'mode_changed', 'xattr_changed']"


# Every path that differs at one instant, in the order of paths.
class ChangeSet(TypedDict):
    # Hash over the changes.
    diff_id: DiffId
    # The changes, ordered by path.
    changes: list[Change]


# A page of the changes of one instant, ordered by path.
class ChangesPage(TypedDict):
    # Names the whole set by its content. The `ETag` is the generation of the decisions, a dot, and this.
    diff_id: DiffId
    # How many changes the whole set has.
    total: int
    # The changes of this page.
    items: list[Change]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# How a check of a build came out.
CheckStatus: TypeAlias = "Literal['passed', 'failed', 'skipped']"


# A point of a sandbox's past.
class Checkpoint(TypedDict):
    # Its id; later ones sort after earlier ones.
    id: CheckpointId
    # Of which sandbox.
    sandbox_id: SandboxId
    task_id: NotRequired[TaskId | None]
    # Why it was made.
    kind: CheckpointKind
    # What it is called.
    label: NotRequired[str | None]
    # What it alone held on disk when it was made; what it shares with the one before does not count.
    bytes: int
    # Sockets and devices, which it does not hold.
    left_out: int
    # When it was made.
    created_at: str


# Everything that differs between two points.
CheckpointChanges = TypedDict('CheckpointChanges', {
    'diff_id': 'DiffId',
    'changes': 'list[Change]',
    'from': 'CheckpointId',
    'to': 'str',
})


# What to keep.
class CheckpointCreateRequest(TypedDict):
    # What it is called, 1 to 200 bytes; what is called something is not removed by itself.
    label: NotRequired[str | None]


# Names a checkpoint.
CheckpointId: TypeAlias = 'str'


# Why a checkpoint was made.
CheckpointKind: TypeAlias = "Literal['before', 'after', 'manual', 'kept']"


# What a restore did.
class CheckpointRestored(TypedDict):
    # The workspace has again what this one has.
    restored: CheckpointId
    # What was there before.
    kept: CheckpointId
    # Paths that were written or removed.
    paths: list[WorkspacePath]


# Whose name a commit of approved changes has.
CommitAuthor: TypeAlias = "Literal['agent', 'reviewer', 'co_authored']"


# How approved changes are committed.
class CommitSpec(TypedDict):
    # What the commit says. Without a template, this is all of it.
    message: NotRequired[str | None]
    # Whose name it has.
    author: NotRequired[CommitAuthor]
    # The message, with `{{message}}`, `{{sandbox}}`, `{{files}}` (a line for each path) and `{{count}}` filled
    # in.
    template: NotRequired[str | None]
    reviewer: NotRequired[GitIdentity | None]


# Into whose environment a value is put.
ConfigAccess: TypeAlias = "Literal['control_plane_only', 'agent_access', 'runtime_access', 'both']"


# A setting or a secret that was made or changed.
class ConfigChanged(TypedDict):
    # What it is now.
    item: ConfigItem
    # Processes of the app that run on with what was before.
    stale_processes: list[ProcessName]


# Adds a setting or a secret.
class ConfigCreateRequest(TypedDict):
    # Its name: that of an environment variable.
    key: EnvName
    # Its value, at most 64 KiB.
    value: Secret
    # Whether it is a secret, which nobody can read again. Default: it is.
    is_sensitive: NotRequired[bool]
    # Who gets it. Default: `control_plane_only`.
    access: NotRequired[ConfigAccess]


# A setting or a secret of a sandbox.
class ConfigItem(TypedDict):
    # Its name, and that of the environment variable.
    key: EnvName
    # Its value; absent for a secret, which nobody can read again.
    value: NotRequired[str | None]
    # Whether it is a secret.
    is_sensitive: bool
    # Who gets it.
    access: ConfigAccess
    # Grows with every change; also the `ETag`.
    generation: Generation
    # When it was made.
    created_at: str
    # When it was changed last.
    updated_at: str


# A setting or a secret that was removed.
class ConfigRemoved(TypedDict):
    # Processes of the app that run on with it.
    stale_processes: list[ProcessName]


# Changes a setting or a secret. What is absent stays as it is, the value too.
class ConfigUpdateRequest(TypedDict):
    value: NotRequired[Secret | None]
    # Whether it is a secret. What was one ceases to be only with a new value.
    is_sensitive: NotRequired[bool | None]
    access: NotRequired[ConfigAccess | None]


# A credential, without its value, which nobody can read again.
class Credential(TypedDict):
    # Its id.
    id: CredentialId
    # What it is called.
    name: CredentialName
    app: NotRequired[AppId | None]
    sandbox: NotRequired[SandboxId | None]
    agent: NotRequired[AgentName | None]
    env: NotRequired[EnvName | None]
    # What is inside in place of the value. It is worth nothing.
    placeholder: str
    # Where the value may go.
    rules: list[InjectionRule]
    renewal: NotRequired[CredentialRenewal | None]
    # Grows with every change; also the `ETag`.
    generation: Generation
    # When it was made.
    created_at: str
    # When it was changed last.
    updated_at: str


# Keeps a credential.
class CredentialCreateRequest(TypedDict):
    # What it is called.
    name: CredentialName
    # The secret: 8 bytes to 16 KiB of visible ASCII.
    value: Secret
    app: NotRequired[AppId | None]
    sandbox: NotRequired[SandboxId | None]
    agent: NotRequired[AgentName | None]
    # How that agent got it.
    login: NotRequired[CredentialLogin]
    # Another host than the one that is known of the agent: `HOST` or `HOST:PORT`.
    host: NotRequired[str | None]
    env: NotRequired[EnvName | None]
    # What the placeholder begins with, for programs that look.
    placeholder_prefix: NotRequired[str | None]
    # Where the value may go: 1 to 32 rules, or none for an agent that is known.
    rules: NotRequired[list[InjectionRule]]
    renewal: NotRequired[CredentialRenewalRequest | None]


# Names a credential.
CredentialId: TypeAlias = 'str'


# How an agent got its credential.
CredentialLogin: TypeAlias = "Literal['key', 'oauth']"


# What a credential is called.
CredentialName: TypeAlias = 'str'


# How the server renews a credential.
class CredentialRenewal(TypedDict):
    # The token endpoint that it asks.
    token_url: str
    # When the value ends, where that is known.
    expires_at: NotRequired[str | None]


# How the server is to renew a credential. Of an agent that is known, endpoint and client are known.
class CredentialRenewalRequest(TypedDict):
    # What a new value is asked for with. It goes to the token endpoint alone.
    refresh_token: Secret
    # When the value ends; without, it is renewed when it is refused.
    expires_at: NotRequired[str | None]
    # The token endpoint: `https://HOST[:PORT]/PATH`.
    token_url: NotRequired[str | None]
    # Who asks, as the endpoint knows it.
    client_id: NotRequired[str | None]
    client_secret: NotRequired[Secret | None]


# Changes a credential. What is absent stays as it is, the value too.
class CredentialUpdateRequest(TypedDict):
    value: NotRequired[Secret | None]
    # Where the value may go.
    rules: NotRequired[list[InjectionRule] | None]
    env: NotRequired[EnvName | None]


# What a credential has to do with a request.
class CredentialWhy(TypedDict):
    # Which one.
    name: CredentialName
    env: NotRequired[EnvName | None]
    # Whether the request gets it.
    applies: bool
    miss: NotRequired[RuleMiss | None]
    # Whether the programs inside believe who puts it in. Where not, the sandbox was started by an earlier
    # version: stop and start it.
    is_trusted: bool


# What the credentials of a sandbox have to do with a request.
class CredentialWhyAnswer(TypedDict):
    # Every credential that reaches the sandbox; those that the request gets first, then those that came
    # closest.
    credentials: list[CredentialWhy]
    network: NotRequired[NetworkWhy | None]


# One reject. Inside, `.sandbar-review/declined.md` at the top of the workspace says the same.
class Declined(TypedDict):
    # When.
    at: str
    # What the person said about it.
    reason: NotRequired[str | None]
    # The paths.
    paths: list[WorkspacePath]
    # What was dropped, as a unified diff of at most 16 KiB, for reading: bytes that are not UTF-8 are replaced.
    patch: str
    # Whether the patch is only the beginning.
    is_truncated: bool


# What was rejected in a sandbox, the newest first; at most a hundred rejects are kept.
class DeclinedList(TypedDict):
    # The rejects.
    items: list[Declined]


# Identifies a set of changes by its content: two sets with one id are the same to the byte.
DiffId: TypeAlias = 'Sha256'


# What the data directory holds.
class DiskUsage(TypedDict):
    # Bytes of all sandboxes.
    total_bytes: int
    # Bytes of the store; 0 for who does not run the server.
    store_bytes: int
    # By sandbox, the largest first.
    sandboxes: list[SandboxDiskUsage]


# What the host offers and lacks, found by trying.
class Doctor(TypedDict):
    # The server's version.
    version: str
    # The worst of the findings.
    verdict: Verdict
    # The findings.
    findings: list[Finding]


# Who holds a limit.
Enforcement: TypeAlias = "Literal['cgroup_v2', 'cgroup_v1', 'rlimit', 'quota', 'watched', 'none']"


# A regular file.
class EntryFile(TypedDict):
    # Its size in bytes.
    size: int
    # Permission bits, `0o7777`.
    mode: int
    # Hash of its bytes.
    sha256: Sha256
    type: Literal['file']


# A directory.
class EntryDirectory(TypedDict):
    # Permission bits.
    mode: int
    type: Literal['directory']


# A symbolic link: shown as a link, never followed.
class EntrySymlink(TypedDict):
    # Where it points, as bytes in base64 when they are not text.
    target: LinkTarget
    type: Literal['symlink']


# A fifo, a socket or a device: listed, never applied.
class EntrySpecial(TypedDict):
    # `fifo`, `socket`, `char_device` or `block_device`.
    what: str
    type: Literal['special']


# What a path is, apart from its name and its times.
Entry: TypeAlias = 'EntryFile | EntryDirectory | EntrySymlink | EntrySpecial'


# The name of an environment variable.
EnvName: TypeAlias = 'str'


# What went wrong, for programs. Append-only: a code never changes its meaning and never goes away.
ErrorCode: TypeAlias = "Literal['invalid_request', 'invalid_json', 'invalid_field', 'invalid_query', 'invalid_header', 'invalid_path', 'invalid_cursor', 'unauthorized', 'forbidden_origin', 'forbidden_peer', 'route_not_found', 'sandbox_not_found', 'exec_not_found', 'process_not_found', 'manifest_not_found', 'manifest_invalid', 'file_not_found', 'change_not_found', 'hunk_not_found', 'method_not_allowed', 'not_acceptable', 'request_timeout', 'state_conflict', 'ambiguous_id', 'name_taken', 'reservation_conflict', 'idempotency_key_reused', 'idempotency_in_progress', 'review_conflict', 'confirmation_required', 'file_exists', 'file_type_conflict', 'directory_not_empty', 'diff_changed', 'stale_generation', 'body_too_large', 'unsupported_media_type', 'range_not_satisfiable', 'misdirected_request', 'source_not_found', 'source_not_directory', 'source_forbidden', 'source_unsupported', 'no_hunks', 'no_source', 'upgrade_required', 'limit_reached', 'internal', 'launch_failed', 'host_unsupported', 'unavailable', 'timeout', 'storage_full', 'exec_ended', 'exec_lost', 'no_acceptance_rules', 'acceptance_limit', 'source_gone', 'source_replaced', 'git_unavailable', 'repository_unsupported', 'repository_busy', 'commit_refused', 'commit_failed', 'branch_conflict', 'commits_refused', 'nothing_to_pull', 'git_failed', 'approve_not_found', 'not_undoable', 'undo_not_last', 'undo_expired', 'undo_conflict', 'invalid_value', 'invalid_name', 'check_running', 'forbidden', 'csrf_required', 'invalid_credentials', 'rate_limited', 'quota_exceeded', 'setup_done', 'user_not_found', 'api_key_not_found', 'tenant_not_found', 'account_name_taken', 'last_admin', 'backup_unsupported', 'config_not_found', 'config_exists', 'secrets_key_unusable', 'changes_pending', 'app_not_found', 'app_name_taken', 'app_has_sandbox', 'idempotency_replay_hidden', 'setting_fixed', 'webhook_not_found', 'webhook_url_refused', 'credential_not_found', 'credential_exists', 'invalid_rule', 'task_not_found', 'task_finished', 'question_not_found', 'question_answered', 'question_expired', 'agent_unknown', 'checkpoint_not_found', 'revert_conflict']"


# One event.
class Event(TypedDict):
    type: Literal['created', 'running', 'adopted', 'paused', 'resumed', 'stopped', 'failed', 'deleted', 'exec_started', 'exec_ended', 'approved', 'undone', 'approve_recovered', 'approve_kept', 'rejected', 'refreshed', 'checkpoint_made', 'checkpoint_restored', 'checkpoint_reverted', 'manifest_invalid', 'process_ready', 'process_unhealthy', 'process_ended', 'process_given_up', 'build_checked', 'egress_denied', 'credential_echoed', 'credential_expired', 'config_changed', 'app_created', 'app_cloned', 'app_updated', 'app_deleted', 'sandbox_replaced', 'disk_warning', 'disk_exceeded', 'data_disk_low', 'total_disk_warning', 'quota_warning', 'lease_ending', 'webhook_disabled', 'task_queued', 'task_started', 'task_waiting', 'task_finished']
    # It was stopped.
    data: NotRequired[dict[str, Any]]
    # Grows with each event of the server; the id of the server-sent event, too.
    id: int
    # When it happened.
    at: str
    app_id: NotRequired[AppId | None]
    sandbox_id: NotRequired[SandboxId | None]


# One thing that is wrong.
class EventFinding(TypedDict):
    # How bad it is; each code has one severity.
    severity: str
    # What it is, for programs.
    code: str
    # Where, counted from 1.
    line: int
    # Where, in characters, counted from 1.
    column: int
    # What it is, for people. Parts of the manifest in it are cut short and have no control characters.
    message: str
    # What to do about it.
    hint: NotRequired[str | None]


# It was asked for.
class EventPayloadCreated(TypedDict):
    type: Literal['created']


# It runs.
class EventPayloadRunning(TypedDict):
    type: Literal['running']


# A server that was restarted found it running.
class EventPayloadAdopted(TypedDict):
    type: Literal['adopted']


# It was frozen.
class EventPayloadPaused(TypedDict):
    type: Literal['paused']


# It was let run again.
class EventPayloadResumed(TypedDict):
    type: Literal['resumed']


# It was stopped.
class EventPayloadStopped(TypedDict):
    # It was stopped.
    data: dict[str, Any]
    type: Literal['stopped']


# It failed; its files were kept.
class EventPayloadFailed(TypedDict):
    # It failed; its files were kept.
    data: dict[str, Any]
    type: Literal['failed']


# It was removed.
class EventPayloadDeleted(TypedDict):
    type: Literal['deleted']


# A command was started.
class EventPayloadExecStarted(TypedDict):
    # A command was started.
    data: dict[str, Any]
    type: Literal['exec_started']


# A command ended.
class EventPayloadExecEnded(TypedDict):
    # A command ended.
    data: dict[str, Any]
    type: Literal['exec_ended']


# Changes were written to the source.
class EventPayloadApproved(TypedDict):
    # Changes were written to the source.
    data: dict[str, Any]
    type: Literal['approved']


# An approve was taken back: the source has again what it had before.
class EventPayloadUndone(TypedDict):
    # An approve was taken back: the source has again what it had before.
    data: dict[str, Any]
    type: Literal['undone']


# An approve that a crash interrupted was carried to its end, or taken back.
class EventPayloadApproveRecovered(TypedDict):
    # An approve that a crash interrupted was carried to its end, or taken back.
    data: dict[str, Any]
    type: Literal['approve_recovered']


# Files of the host were written to while an approve replaced them, through descriptors that were open then.
# What was written is in the approve's `.sandbar-stage-…` directory at the top of the source, and is removed by
# nobody.
class EventPayloadApproveKept(TypedDict):
    # Files of the host were written to while an approve replaced them, through descriptors that were open then.
    # What was written is in the approve's `.sandbar-stage-…` directory at the top of the source, and is removed
    # by nobody.
    data: dict[str, Any]
    type: Literal['approve_kept']


# Changes were dropped.
class EventPayloadRejected(TypedDict):
    # Changes were dropped.
    data: dict[str, Any]
    type: Literal['rejected']


# What the host changed was brought into the workspace.
class EventPayloadRefreshed(TypedDict):
    # What the host changed was brought into the workspace.
    data: dict[str, Any]
    type: Literal['refreshed']


# A point of the workspace's past was kept.
class EventPayloadCheckpointMade(TypedDict):
    # A point of the workspace's past was kept.
    data: dict[str, Any]
    type: Literal['checkpoint_made']


# The workspace has again what a checkpoint has.
class EventPayloadCheckpointRestored(TypedDict):
    # The workspace has again what a checkpoint has.
    data: dict[str, Any]
    type: Literal['checkpoint_restored']


# What differs between two checkpoints was taken back, and nothing that came later.
class EventPayloadCheckpointReverted(TypedDict):
    # What differs between two checkpoints was taken back, and nothing that came later.
    data: dict[str, Any]
    type: Literal['checkpoint_reverted']


# The app was not started: its manifest cannot be used.
class EventPayloadManifestInvalid(TypedDict):
    # The app was not started: its manifest cannot be used.
    data: dict[str, Any]
    type: Literal['manifest_invalid']


# A process of the app serves.
class EventPayloadProcessReady(TypedDict):
    # A process of the app serves.
    data: dict[str, Any]
    type: Literal['process_ready']


# A process of the app runs, and does not answer its health check.
class EventPayloadProcessUnhealthy(TypedDict):
    # A process of the app runs, and does not answer its health check.
    data: dict[str, Any]
    type: Literal['process_unhealthy']


# A process of the app ended, and is started again.
class EventPayloadProcessEnded(TypedDict):
    # A process of the app ended, and is started again.
    data: dict[str, Any]
    type: Literal['process_ended']


# A process of the app ended too often, and is not started again by itself.
class EventPayloadProcessGivenUp(TypedDict):
    # A process of the app ended too often, and is not started again by itself.
    data: dict[str, Any]
    type: Literal['process_given_up']


# It was tried whether the app builds.
class EventPayloadBuildChecked(TypedDict):
    # It was tried whether the app builds.
    data: dict[str, Any]
    type: Literal['build_checked']


# A program inside asked for a host that it may not reach.
class EventPayloadEgressDenied(TypedDict):
    # A program inside asked for a host that it may not reach.
    data: dict[str, Any]
    type: Literal['egress_denied']


# An upstream said a credential back that was put into a request. It was taken out of the answer.
class EventPayloadCredentialEchoed(TypedDict):
    # An upstream said a credential back that was put into a request. It was taken out of the answer.
    data: dict[str, Any]
    type: Literal['credential_echoed']


# A login that the server renews could not be renewed. What needs it is refused once its token has ended.
class EventPayloadCredentialExpired(TypedDict):
    # A login that the server renews could not be renewed. What needs it is refused once its token has ended.
    data: dict[str, Any]
    type: Literal['credential_expired']


# A setting or a secret was made, changed or removed.
class EventPayloadConfigChanged(TypedDict):
    # A setting or a secret was made, changed or removed.
    data: dict[str, Any]
    type: Literal['config_changed']


# An app was made.
class EventPayloadAppCreated(TypedDict):
    type: Literal['app_created']


# An app was made like another one.
class EventPayloadAppCloned(TypedDict):
    # An app was made like another one.
    data: dict[str, Any]
    type: Literal['app_cloned']


# An app was changed.
class EventPayloadAppUpdated(TypedDict):
    # An app was changed.
    data: dict[str, Any]
    type: Literal['app_updated']


# An app was removed, with everything that it owned but its history.
class EventPayloadAppDeleted(TypedDict):
    # An app was removed, with everything that it owned but its history.
    data: dict[str, Any]
    type: Literal['app_deleted']


# An app is about another sandbox now.
class EventPayloadSandboxReplaced(TypedDict):
    # An app is about another sandbox now.
    data: dict[str, Any]
    type: Literal['sandbox_replaced']


# It holds nearly as much on disk as it may; said at 80 and at 90 percent, once each time it gets there.
class EventPayloadDiskWarning(TypedDict):
    # It holds nearly as much on disk as it may; said at 80 and at 90 percent, once each time it gets there.
    data: dict[str, Any]
    type: Literal['disk_warning']


# It holds as much on disk as it may.
class EventPayloadDiskExceeded(TypedDict):
    # It holds as much on disk as it may.
    data: dict[str, Any]
    type: Literal['disk_exceeded']


# Little is free on the disk that all sandboxes share.
class EventPayloadDataDiskLow(TypedDict):
    # Little is free on the disk that all sandboxes share.
    data: dict[str, Any]
    type: Literal['data_disk_low']


# All sandboxes together hold nearly as much as they may.
class EventPayloadTotalDiskWarning(TypedDict):
    # All sandboxes together hold nearly as much as they may.
    data: dict[str, Any]
    type: Literal['total_disk_warning']


# The sandboxes of the tenant may take nearly as much as its quota.
class EventPayloadQuotaWarning(TypedDict):
    # The sandboxes of the tenant may take nearly as much as its quota.
    data: dict[str, Any]
    type: Literal['quota_warning']


# Its lease ends soon, and it is stopped then.
class EventPayloadLeaseEnding(TypedDict):
    # Its lease ends soon, and it is stopped then.
    data: dict[str, Any]
    type: Literal['lease_ending']


# A webhook failed for so long that nothing is sent to it any more.
class EventPayloadWebhookDisabled(TypedDict):
    # A webhook failed for so long that nothing is sent to it any more.
    data: dict[str, Any]
    type: Literal['webhook_disabled']


# A task was asked for.
class EventPayloadTaskQueued(TypedDict):
    # A task was asked for.
    data: dict[str, Any]
    type: Literal['task_queued']


# A task was begun.
class EventPayloadTaskStarted(TypedDict):
    # A task was begun.
    data: dict[str, Any]
    type: Literal['task_started']


# The agent of a task asked, and waits for an answer.
class EventPayloadTaskWaiting(TypedDict):
    # The agent of a task asked, and waits for an answer.
    data: dict[str, Any]
    type: Literal['task_waiting']


# A task is over.
class EventPayloadTaskFinished(TypedDict):
    # A task is over.
    data: dict[str, Any]
    type: Literal['task_finished']


# What happened. Never output, values of variables, or command lines.
EventPayload: TypeAlias = 'EventPayloadCreated | EventPayloadRunning | EventPayloadAdopted | EventPayloadPaused | EventPayloadResumed | EventPayloadStopped | EventPayloadFailed | EventPayloadDeleted | EventPayloadExecStarted | EventPayloadExecEnded | EventPayloadApproved | EventPayloadUndone | EventPayloadApproveRecovered | EventPayloadApproveKept | EventPayloadRejected | EventPayloadRefreshed | EventPayloadCheckpointMade | EventPayloadCheckpointRestored | EventPayloadCheckpointReverted | EventPayloadManifestInvalid | EventPayloadProcessReady | EventPayloadProcessUnhealthy | EventPayloadProcessEnded | EventPayloadProcessGivenUp | EventPayloadBuildChecked | EventPayloadEgressDenied | EventPayloadCredentialEchoed | EventPayloadCredentialExpired | EventPayloadConfigChanged | EventPayloadAppCreated | EventPayloadAppCloned | EventPayloadAppUpdated | EventPayloadAppDeleted | EventPayloadSandboxReplaced | EventPayloadDiskWarning | EventPayloadDiskExceeded | EventPayloadDataDiskLow | EventPayloadTotalDiskWarning | EventPayloadQuotaWarning | EventPayloadLeaseEnding | EventPayloadWebhookDisabled | EventPayloadTaskQueued | EventPayloadTaskStarted | EventPayloadTaskWaiting | EventPayloadTaskFinished'


# What kind of event it is. New ones are added; none changes its meaning.
EventType: TypeAlias = "Literal['created', 'running', 'adopted', 'paused', 'resumed', 'stopped', 'failed', 'deleted', 'exec_started', 'exec_ended', 'approved', 'undone', 'approve_recovered', 'approve_kept', 'rejected', 'refreshed', 'checkpoint_made', 'checkpoint_restored', 'checkpoint_reverted', 'manifest_invalid', 'process_ready', 'process_unhealthy', 'process_ended', 'process_given_up', 'build_checked', 'egress_denied', 'credential_echoed', 'credential_expired', 'config_changed', 'app_created', 'app_cloned', 'app_updated', 'app_deleted', 'sandbox_replaced', 'disk_warning', 'disk_exceeded', 'data_disk_low', 'total_disk_warning', 'quota_warning', 'lease_ending', 'webhook_disabled', 'task_queued', 'task_started', 'task_waiting', 'task_finished']"


# An exec as the server knows it.
class Exec(TypedDict):
    state: Literal['running', 'ended', 'lost']
    # How it ended.
    end: NotRequired[ExecEnd]
    # Names it.
    id: ExecId
    # Its sandbox.
    sandbox_id: SandboxId
    # The command and its arguments.
    argv: list[str]
    # Whether it has a pseudo terminal.
    terminal: bool
    # When it was started.
    started_at: str
    # When it ended.
    ended_at: NotRequired[str | None]


# What to start, and whether to wait for it. All but the last two are those of [`ExecSpec`].
class ExecCreateRequest(TypedDict):
    # The command and its arguments; the first is looked up in `PATH`. Never empty.
    argv: list[str]
    # Added to the sandbox's own environment; a value here wins.
    env: NotRequired[dict[str, str]]
    # Where to start; an absolute path inside, or relative to the workspace.
    cwd: NotRequired[str | None]
    terminal: NotRequired[TerminalSize | None]
    # Whether a client will send standard input; else it is empty.
    stdin: NotRequired[bool]
    # Kills the command after this many milliseconds.
    timeout_ms: NotRequired[int | None]
    # Answers when the command has ended, with its output. Not with `stdin`.
    wait: NotRequired[bool]
    # Bytes of stdout, and of stderr, to return when waiting; what is beyond is counted. 1 MiB when absent, 16
    # MiB at the most.
    output_bytes_max: NotRequired[int | None]


# The last word on an exec.
class ExecEnd(TypedDict):
    # How the command ended.
    status: ExitStatus
    # Whether the kernel killed a process of the sandbox for memory while the command ran.
    oom_killed: NotRequired[bool]
    # Output bytes that were dropped because the log was full.
    dropped_bytes: NotRequired[int]


# Names one exec of a sandbox.
ExecId: TypeAlias = 'str'


# What became of a waited-for exec.
class ExecResult(TypedDict):
    # Names the exec.
    id: ExecId
    # How it ended.
    end: ExecEnd
    # What a shell would show for it: 124 timeout, 126 and 127 not started, 128+n signal.
    exit_code: int
    # Standard output; all output when there is a terminal.
    stdout: CapturedOutput
    # Standard error.
    stderr: CapturedOutput


# It runs.
class ExecStateRunning(TypedDict):
    state: Literal['running']


# It ended, and this is how.
class ExecStateEnded(TypedDict):
    # How it ended.
    end: ExecEnd
    state: Literal['ended']


# The sandbox ended before the exec did, so nobody saw its status.
class ExecStateLost(TypedDict):
    state: Literal['lost']


# Where an exec is in its life.
ExecState: TypeAlias = 'ExecStateRunning | ExecStateEnded | ExecStateLost'


# It exited by itself.
class ExitStatusExited(TypedDict):
    # The exit code.
    code: int
    how: Literal['exited']


# A signal ended it.
class ExitStatusSignaled(TypedDict):
    # The signal's number.
    signal: int
    how: Literal['signaled']


# It ran longer than its timeout, and we killed it.
class ExitStatusTimedOut(TypedDict):
    how: Literal['timed_out']


# It could not be started: the command is not there (127) or cannot be executed (126).
class ExitStatusNotStarted(TypedDict):
    # The `errno` that the kernel gave.
    errno: int
    how: Literal['not_started']


# How a process ended, as the kernel said it.
ExitStatus: TypeAlias = 'ExitStatusExited | ExitStatusSignaled | ExitStatusTimedOut | ExitStatusNotStarted'


# When a sandbox ends by itself. Files with unreviewed changes are never deleted by it: the sandbox is stopped.
class Expiry(TypedDict):
    # The lease: milliseconds after creation.
    ttl_ms: NotRequired[int | None]
    # Milliseconds without a request for a preview, an exec, a terminal or a file request. Default: none, and
    # where an app runs, the server's.
    idle_timeout_ms: NotRequired[int | None]


# What another program calls a user or a project of its own.
ExternalId: TypeAlias = 'str'


# A step of the creation failed; nothing ran.
class FailureReasonLaunchFailed(TypedDict):
    # What could not be done, and why.
    message: str
    code: Literal['launch_failed']


# The supervisor ended though nobody asked for it. The files are kept.
class FailureReasonSupervisorExited(TypedDict):
    status: NotRequired[ExitStatus | None]
    code: Literal['supervisor_exited']


# The keeper is gone, and with it the sandbox. The files are kept.
class FailureReasonKeeperLost(TypedDict):
    code: Literal['keeper_lost']


# The host was restarted. The files are kept.
class FailureReasonHostRestarted(TypedDict):
    code: Literal['host_restarted']


# Processes outlived even SIGKILL; nothing of it may be released yet.
class FailureReasonStuck(TypedDict):
    code: Literal['stuck']


# Why a sandbox failed, and so what was kept.
FailureReason: TypeAlias = 'FailureReasonLaunchFailed | FailureReasonSupervisorExited | FailureReasonKeeperLost | FailureReasonHostRestarted | FailureReasonStuck'


# One path and what it is. Links are shown, never followed.
class FileEntry(TypedDict):
    path: NotRequired[WorkspacePath | None]
    # What it is.
    kind: FileKind
    # Bytes.
    size_bytes: int
    # Permission bits.
    mode: int
    # When its content last changed.
    modified_at: str
    target: NotRequired[LinkTarget | None]


# The hunks of one changed text file.
class FileHunks(TypedDict):
    # Names the set of changes that the hunks belong to.
    diff_id: DiffId
    # The file.
    path: WorkspacePath
    # The hunks, from the top down; empty for what is not text. They are what an approve would write: where the
    # host changed the file as well, those of the merge, with the sandbox's lines at conflicts.
    hunks: list[Hunk]
    # Whether the host changed the file as well.
    merge: MergeState
    # The lines that host and sandbox made different things of, for `conflict`.
    conflicts: list[MergeConflict]


# What a path is.
FileKind: TypeAlias = "Literal['file', 'directory', 'symlink', 'special']"


# What a directory holds, ordered by name.
class FileList(TypedDict):
    # The entries.
    items: list[FileEntry]
    # Whether there were more than the server lists at once.
    is_truncated: bool


# One thing that was tried.
class Finding(TypedDict):
    # A stable code, for example `user_namespaces`.
    code: str
    # How it matters.
    verdict: Verdict
    # What was seen, in a sentence.
    message: str
    # What to do about it.
    hint: NotRequired[str | None]


# One thing that goes.
class GcAction(TypedDict):
    # The reconciler that found it.
    reconciler: NotRequired[str]
    sandbox_id: NotRequired[SandboxId | None]
    # What, for example `directory`, `processes`, `log`.
    what: str
    # Why it goes.
    reason: str
    # Bytes that come back, where counted.
    bytes: NotRequired[int | None]
    # Why it could not go; it is tried again.
    error: NotRequired[str | None]


# What a cleaning removed, or would remove.
class GcOutcome(TypedDict):
    # Whether nothing was removed.
    dry_run: bool
    # What went, or would go.
    actions: list[GcAction]


# How to clean up.
class GcRequest(TypedDict):
    # Says what would go, and removes nothing.
    dry_run: NotRequired[bool]
    # Removes this stopped sandbox, by id, prefix or name, and nothing else.
    sandbox: NotRequired[str | None]
    # Removes the sandbox that is named also where it has changes that nobody decided about.
    with_changes: NotRequired[bool]


# Counts the writes of one record; a writer that saw an older one loses.
Generation: TypeAlias = 'int'


# Who makes a commit, as git writes it down.
class GitIdentity(TypedDict):
    name: str
    email: str


# The server lives.
class Health(TypedDict):
    # Always `ok`.
    status: str
    # The server's version.
    version: str


# Whether a ready process still serves.
class HealthCheck(TypedDict):
    # What is asked; never [`Probe::Notify`].
    probe: Probe
    # Between two questions, in milliseconds.
    interval_ms: int
    # How long one answer may take, in milliseconds.
    timeout_ms: int
    # So many noes in a row make it unhealthy; one yes makes it healthy again.
    failures: int
    # Whether an unhealthy process is restarted.
    restart: bool


# Bytes that are not UTF-8, in base64.
class HostPath2(TypedDict):
    b64: str


# An absolute path of the host, without `..`; text where it is UTF-8.
HostPath: TypeAlias = 'str | HostPath2'


# Lines that differ, with the lines around them.
class Hunk(TypedDict):
    # Its name, for approve and reject; it stays when a neighbor is approved.
    id: HunkId
    # First line in the source, from 1; 0 where it has none.
    old_start: int
    # Lines in the source.
    old_lines: int
    # First line in the workspace, from 1; 0 where it has none.
    new_start: int
    # Lines in the workspace.
    new_lines: int
    # The lines.
    lines: list[HunkLine]


# Names a hunk of a change.
HunkId: TypeAlias = 'str'


# One line of a hunk.
class HunkLine(TypedDict):
    # Where it is.
    kind: LineKind
    # Its text, without the end of line where it is UTF-8; other bytes are replaced.
    text: str
    # Whether an end of line follows.
    has_newline: bool


# A hunk, or some of its lines.
class HunkPick(TypedDict):
    # Which.
    id: HunkId
    # Only these of its lines, counted from 0 as the hunk lists them, context included; absent for the whole of
    # it.  As with `git add -p`: an added line that is not picked is not there, a removed one that is not picked
    # stays.
    lines: NotRequired[list[int] | None]


# What becomes of a sandbox that nobody uses.
IdlePolicy: TypeAlias = "Literal['sleep', 'always_on']"


# Into a header. What the program inside sent in it is taken out.
class InjectionPlaceHeader(TypedDict):
    # The name of the header.
    name: str
    # Its value, with `{}` where the secret goes: `Bearer {}`.
    template: str
    kind: Literal['header']


# As the password of `authorization: Basic`, as Git and package registries take it.
class InjectionPlaceBasic(TypedDict):
    # The name that goes with it.
    user: str
    kind: Literal['basic']


# Into a body of JSON or of a form, where a value is the placeholder.
class InjectionPlaceBody(TypedDict):
    kind: Literal['body']


# Where a credential is put.
InjectionPlace: TypeAlias = 'InjectionPlaceHeader | InjectionPlaceBasic | InjectionPlaceBody'


# Which requests get a credential, and where in them. Always over TLS: a rule for plain HTTP cannot be written.
class InjectionRule(TypedDict):
    # The host, exactly: a name, or an address. No pattern is taken. Names in other scripts are written as
    # `xn--…`.
    host: str
    # The port; 443 when absent.
    port: NotRequired[int]
    # The methods, in capitals; every one where there is none.
    methods: NotRequired[list[str]]
    # What the path begins with, in whole segments; `/` when absent.
    path: NotRequired[str]
    # Where in the request.
    place: InjectionPlace


# How strong the isolation of a sandbox is.
IsolationLevel: TypeAlias = "Literal['full', 'degraded']"


# What the keeper read from outside, before the first user byte ran.
class IsolationReport(TypedDict):
    # The sum of it.
    level: IsolationLevel
    # What is weaker; empty when `level` is `full`.
    weaknesses: list[Weakness]
    # `Seccomp` of `/proc/<pid>/status`; 2 is a filter.
    seccomp_mode: int
    # `NoNewPrivs` of `/proc/<pid>/status`.
    no_new_privs: bool
    # `CapEff` of the supervisor, as the kernel prints it; valid in its own user namespace only.
    supervisor_capabilities: str
    # Landlock's ABI version; 0 where there is none.
    landlock_abi: int
    # `/proc/<pid>/uid_map`, line by line.
    uid_map: list[str]
    # Namespaces that are the sandbox's own, for example `mnt`, `net`.
    namespaces: list[str]
    # Mount points inside, as the supervisor's `mountinfo` lists them.
    mounts: list[str]
    # Mount points of the host below the source directory: what is mounted there is not shown inside, and where
    # it is mounted the directory below is.
    mounts_left_out: NotRequired[list[str]]
    # Package caches of the caller's home that the policy asks for and that are there.
    caches: NotRequired[list[CacheOffer]]
    # Who holds which limit.
    limits: LimitEnforcement


# Until when a sandbox is not to sleep.
class KeepaliveRequest(TypedDict):
    # In the future; at most as far ahead as the server allows, which the answer shows.
    until: str


# What an API key is for, in words of whoever made it.
KeyName: TypeAlias = 'str'


# An agent that a task may be given to, and what of it is there.
class KnownAgent(TypedDict):
    # What it is called.
    name: AgentName
    # What people call it.
    label: str
    # Its program; absent where the task says which.
    program: NotRequired[str | None]
    # The environment variables that take a key of it, the usual one first; none where nothing is known.
    env: list[EnvName]
    # Where its program is on the host, as the user of the server finds it, or in the toolbox; absent where it
    # is not.
    host_path: NotRequired[str | None]
    # Whether there is a credential for it.
    is_connected: bool


# Who holds which limit of a sandbox.
class LimitEnforcement(TypedDict):
    # `memory_bytes_max`.
    memory: Enforcement
    # `cpu_millis_max`.
    cpu: Enforcement
    # `pids_max`.
    pids: Enforcement
    # `open_files_max`.
    open_files: Enforcement
    # `disk_bytes_max`.
    disk: Enforcement


# Limits of one sandbox. Every field has a default, so a request names only what it changes.
class Limits(TypedDict):
    # Memory in bytes, page cache and tmpfs included; beyond it the kernel kills.
    memory_bytes_max: NotRequired[int]
    # Processor time in thousandths of one processor; 2000 is two processors.
    cpu_millis_max: NotRequired[int]
    # Processes and threads.
    pids_max: NotRequired[int]
    # Open files of one process.
    open_files_max: NotRequired[int]
    # Bytes that the upper layer and the home directory inside may hold together.
    disk_bytes_max: NotRequired[int]
    # Bytes kept of the output of one exec; older output is dropped, and how much is said.
    log_bytes_max: NotRequired[int]
    # Execs that run at once.
    execs_max: NotRequired[int]


# How many lines of text came and went.
class LineCount(TypedDict):
    # Lines only the workspace has.
    added: int
    # Lines only the source has.
    removed: int


# Where a line of a hunk is.
LineKind: TypeAlias = "Literal['context', 'added', 'removed']"


# Bytes that are not UTF-8, in base64.
class LineText2(TypedDict):
    b64: str


# A line with its end; text where it is UTF-8.
LineText: TypeAlias = 'str | LineText2'


# Bytes that are not UTF-8, in base64.
class LinkTarget2(TypedDict):
    b64: str


# Where a link points; text where it is UTF-8.
LinkTarget: TypeAlias = 'str | LinkTarget2'


# Begins a session.
class LoginRequest(TypedDict):
    tenant: NotRequired[AccountName | None]
    # The user's name.
    name: AccountName
    # The user's password.
    password: Secret


# What is known of a manifest.
class Manifest(TypedDict):
    # What became of it.
    status: ManifestStatus
    # What is wrong with it, or odd about it.
    findings: list[ManifestFinding]


# What there is to say about a manifest.
class ManifestCheck(TypedDict):
    # Whether it can be used.
    is_valid: bool
    # Everything that is wrong with it, or odd about it.
    findings: list[ManifestFinding]
    app: NotRequired[AppSpec | None]


# A manifest to be looked at.
class ManifestCheckRequest(TypedDict):
    # The text of a `sandbox.yaml`.
    manifest: str


# Something about a manifest, and where.
class ManifestFinding(TypedDict):
    # `error` or `warning`.
    severity: str
    # Stable, for programs.
    code: str
    # From 1.
    line: int
    # In characters, from 1.
    column: int
    # For people.
    message: str
    # What to do about it.
    hint: NotRequired[str | None]


# What became of a manifest.
ManifestStatus: TypeAlias = "Literal['unread', 'absent', 'invalid', 'applied']"


# Who asks, and what they may ask for.
class Me(TypedDict):
    # On whose behalf.
    tenant: TenantId
    # The tenant's name.
    tenant_name: AccountName
    # Who.
    actor: Actor
    # What they are in the tenant.
    role: Role
    # What they may ask for.
    scopes: list[Scope]
    # Whether the whole server listens to them.
    is_instance_admin: bool
    # What the tenant may have.
    quota: Quota


# Lines that the host and the sandbox made different things of.
class MergeConflict(TypedDict):
    # Number of the first of the host's lines, from 1.
    ours_start: int
    # What both began with.
    base: list[LineText]
    # What the host has.
    ours: list[LineText]
    # What the sandbox has.
    theirs: list[LineText]


# What became of a file that the host may have changed under the sandbox.
MergeState: TypeAlias = "Literal['none', 'clean', 'conflict', 'no_base']"


# Which directory to make, with its parents. One that is there already is success.
class MkdirRequest(TypedDict):
    # The directory.
    path: WorkspacePath


# What to move where.
MoveRequest = TypedDict('MoveRequest', {
    'from': 'WorkspacePath',
    'to': 'WorkspacePath',
    'overwrite': 'NotRequired[bool]',
})


# It has this flag.
class NeedsPersonFlagged(TypedDict):
    # It has this flag.
    flag: ChangeFlag
    reason: Literal['flagged']


# It is no text that can be counted in lines.
class NeedsPersonNotText(TypedDict):
    reason: Literal['not_text']


# No pattern fits its path.
class NeedsPersonPathNotListed(TypedDict):
    reason: Literal['path_not_listed']


# Why a change waits for a person.
NeedsPerson: TypeAlias = 'NeedsPersonFlagged | NeedsPersonNotText | NeedsPersonPathNotListed'


# How the network of a sandbox is to be changed: what is replaced first, then what is taken out and added.
class NetworkChange(TypedDict):
    mode: NotRequired[NetworkMode | None]
    # In place of all rules that allow.
    allow: NotRequired[list[str] | None]
    # In place of all rules that deny.
    deny: NotRequired[list[str] | None]
    # Rules that are to be there no more, of either kind.
    remove: NotRequired[list[str]]
    # Rules that are to be denied, and allowed no more.
    add_deny: NotRequired[list[str]]
    # Rules that are to be allowed, and denied no more.
    add_allow: NotRequired[list[str]]


# A line of the log of a sandbox's network.
class NetworkEntry(TypedDict):
    # Counts the lines of this sandbox.
    id: int
    # When it was refused, or over.
    at: str
    # What became of it.
    what: NetworkEntryKind
    # The name or address that was asked for.
    host: str
    # The port.
    port: int
    # Why it was refused, as a code.
    reason: NotRequired[str | None]
    # The rule that allowed it; `open` where the mode did.
    rule: NotRequired[str | None]
    # Bytes that the sandbox sent.
    sent_bytes: NotRequired[int | None]
    # Bytes that the sandbox received.
    received_bytes: NotRequired[int | None]
    # How long the connection lasted.
    duration_ms: NotRequired[int | None]
    # How it ended, as a code: `done`, `failed`, `idle`, `revoked`, `refused`, `cancelled`.
    end: NotRequired[str | None]


# What became of one request of a sandbox for a host.
NetworkEntryKind: TypeAlias = "Literal['denied', 'closed']"


# What happens to a host that no rule names.
NetworkMode: TypeAlias = "Literal['none', 'allow_list', 'open']"


# Whom a sandbox may reach.
class NetworkSpec(TypedDict):
    # What happens to a host that no rule names.
    mode: NotRequired[NetworkMode]
    # Hosts that may be reached beside those of the server's list: `example.org`, `*.example.org`,
    # `example.org:8443`.
    allow: NotRequired[list[str]]
    # Hosts that are refused whatever else is said, at every port where none is named.
    deny: NotRequired[list[str]]


# Why a sandbox may or may not reach a host now.
class NetworkWhy(TypedDict):
    # The host as it is decided about, and the port.
    target: str
    # Whether it is reached.
    allowed: bool
    # The rule that allows it; `open` where the mode does.
    rule: NotRequired[str | None]
    # Why it is refused, as a code.
    reason: NotRequired[str | None]
    # Why, for people.
    message: str
    # How to allow it.
    hint: NotRequired[str | None]
    # What it resolves to on the server. A host that is refused by its name is not looked up.
    addresses: list[NetworkWhyAddress]


# An address that a host has, and what is decided about it.
class NetworkWhyAddress(TypedDict):
    # The address.
    address: str
    # What kind of one it is, for people.
    kind: str
    # Whether it may be connected to.
    allowed: bool


# One page of a list.
class PageApiKey(TypedDict):
    # The items, in the list's own order.
    items: list[ApiKey]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageApp(TypedDict):
    # The items, in the list's own order.
    items: list[App]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageApprove(TypedDict):
    # The items, in the list's own order.
    items: list[Approve]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageAuditRecord(TypedDict):
    # The items, in the list's own order.
    items: list[AuditRecord]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageCheckpoint(TypedDict):
    # The items, in the list's own order.
    items: list[Checkpoint]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageConfigItem(TypedDict):
    # The items, in the list's own order.
    items: list[ConfigItem]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageCredential(TypedDict):
    # The items, in the list's own order.
    items: list[Credential]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageEvent(TypedDict):
    # The items, in the list's own order.
    items: list[Event]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageExec(TypedDict):
    # The items, in the list's own order.
    items: list[Exec]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageKnownAgent(TypedDict):
    # The items, in the list's own order.
    items: list[KnownAgent]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageNetworkEntry(TypedDict):
    # The items, in the list's own order.
    items: list[NetworkEntry]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageSandbox(TypedDict):
    # The items, in the list's own order.
    items: list[Sandbox]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageTask(TypedDict):
    # The items, in the list's own order.
    items: list[Task]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageTaskEvent(TypedDict):
    # The items, in the list's own order.
    items: list[TaskEvent]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageTenant(TypedDict):
    # The items, in the list's own order.
    items: list[Tenant]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageUser(TypedDict):
    # The items, in the list's own order.
    items: list[User]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageWebhook(TypedDict):
    # The items, in the list's own order.
    items: list[Webhook]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# One page of a list.
class PageWebhookDelivery(TypedDict):
    # The items, in the list's own order.
    items: list[WebhookDelivery]
    # Ask again with this as `cursor` for the next page; absent on the last one.
    next_cursor: NotRequired[str | None]


# A path, or some of its hunks.
class Part(TypedDict):
    # The path; without hunks, a directory stands for everything below it.
    path: WorkspacePath
    # Only these hunks of it; absent or empty for the whole of it.
    hunks: NotRequired[list[HunkPick]]


# Changes one's own password, and ends one's other sessions.
class PasswordRequest(TypedDict):
    # The password until now.
    current: Secret
    # The password from now on, 12 to 1024 bytes.
    new: Secret


# Flags that a person said yes to at one path.
class PathFlags(TypedDict):
    # The path.
    path: WorkspacePath
    # The flags.
    flags: list[ChangeFlag]


# What an agent may do inside without asking. Questions in words are always asked.
Permissions: TypeAlias = "Literal['allow_inside', 'ask']"


# A preset: a starter that fills an empty workspace.
PresetName: TypeAlias = "Literal['react-vite', 'nextjs', 'node-express', 'fastapi', 'worker']"


# How an app looks from outside.
class Preview(TypedDict):
    # Whether it can be seen.
    status: PreviewStatus
    # The port of its URL; absent for an app without a public face.
    port: NotRequired[int | None]
    # Where it is; absent for an app without a public face, and where the server has no listener for previews.
    url: NotRequired[str | None]


# A link to a preview.
class PreviewLink(TypedDict):
    # Where to go. Who has it is let in.
    url: str


# A link to a preview that is wanted.
class PreviewLinkRequest(TypedDict):
    # The port inside; the app's own when absent.
    port: NotRequired[int | None]
    # Good for everybody until then; absent for one visit within 30 seconds.
    share_until: NotRequired[str | None]


# Where previews are.
class PreviewSettings(TypedDict):
    # Previews are at `<port>-<sandbox>.preview.<domain>`.
    domain: str
    # How browsers reach them: `http` or `https`.
    scheme: str


# Whether a preview can be seen.
PreviewStatus: TypeAlias = "Literal['none', 'starting', 'ready', 'down', 'error', 'asleep', 'stopped']"


# `GET path` on a port of the loopback; a status from 200 to 399 is a yes.
class ProbeHttp(TypedDict):
    # The port.
    port: int
    # Begins with `/`.
    path: str
    probe: Literal['http']


# A connection to a port of the loopback.
class ProbeTcp(TypedDict):
    # The port.
    port: int
    probe: Literal['tcp']


# A command, run as `bash -lc` does; exit code 0 is a yes.
class ProbeCommand(TypedDict):
    # The command.
    command: str
    probe: Literal['command']


# The process says so itself: it writes a line to this descriptor, or closes it after writing one.
class ProbeNotify(TypedDict):
    # The descriptor's number in the process, from 3 to 9.
    fd: int
    probe: Literal['notify']


# What is asked to see how a process is.
Probe: TypeAlias = 'ProbeHttp | ProbeTcp | ProbeCommand | ProbeNotify'


# An error, as `application/problem+json`.
class Problem(TypedDict):
    # A reference that names the code: `urn:sandbar:error:<code>`.
    type: str
    # What the code means, the same for every occurrence.
    title: str
    # The HTTP status.
    status: int
    # The stable code.
    code: ErrorCode
    # What was wrong this time.
    message: str
    # What to do about it.
    hint: NotRequired[str | None]
    # More, by code: the overlap of a reservation, the conflicts of an approve, the field that was wrong.
    details: NotRequired[dict[str, Any] | None]
    # Names the request, here and in the log.
    request_id: str


# What a process is for.
ProcessKind: TypeAlias = "Literal['web', 'worker']"


# The end of a process's log.
class ProcessLog(TypedDict):
    # Whose.
    process: ProcessName
    # Oldest first.
    lines: list[ProcessLogLine]
    # Where to go on reading: `offset` of the process's output.
    next_offset: int
    # Whether there is more before.
    is_truncated: bool


# One line of a process's log.
class ProcessLogLine(TypedDict):
    # When it began.
    at: str
    # Without its end; bytes that are not UTF-8 are replaced.
    text: str


# The name of a process of an app: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`.
ProcessName: TypeAlias = 'str'


# One process that the supervisor keeps.
class ProcessSpec(TypedDict):
    # Unique in its app.
    name: ProcessName
    # What it is for.
    kind: ProcessKind
    # Run as `bash -lc` does.
    command: str
    # Where it starts; an absolute path inside, or relative to the workspace. Default: the workspace.
    cwd: NotRequired[str | None]
    # Added to the sandbox's environment; a value here wins.
    env: dict[str, str]
    # Ports that it serves and that are previewed; the first is the one of its URL.
    ports: list[int]
    # Starts when all of these are ready; one without a readiness check is ready when it runs.
    after: list[ProcessName]
    ready: NotRequired[ReadyCheck | None]
    health: NotRequired[HealthCheck | None]
    # How it is ended.
    stop: StopPolicy
    # What its end means.
    restart: RestartPolicy
    # Restarted when an agent's task has ended.
    restart_after_task: bool
    # Bytes kept of its output; the oldest are dropped.
    log_bytes_max: int


# Not started yet: these are not ready.
class ProcessStateWaiting(TypedDict):
    # Who.
    after: list[ProcessName]
    state: Literal['waiting']


# It runs, and was not seen ready.
class ProcessStateStarting(TypedDict):
    state: Literal['starting']


# It runs, and has no readiness check.
class ProcessStateRunning(TypedDict):
    state: Literal['running']


# It runs, and was seen ready.
class ProcessStateReady(TypedDict):
    state: Literal['ready']


# It runs, was ready, and does not answer its health check.
class ProcessStateUnhealthy(TypedDict):
    # What the last check found.
    reason: str
    state: Literal['unhealthy']


# It ended, and is started again later.
class ProcessStateBackingOff(TypedDict):
    # When, in microseconds since 1970.
    until_us: int
    # Why it ended.
    reason: str
    state: Literal['backing_off']


# It ended too often too fast, and is not started until somebody says so.
class ProcessStateGivenUp(TypedDict):
    # Why.
    reason: str
    # The last lines that it wrote, oldest first.
    last_lines: list[str]
    state: Literal['given_up']


# It was asked to end.
class ProcessStateStopping(TypedDict):
    state: Literal['stopping']


# It ended because somebody asked.
class ProcessStateStopped(TypedDict):
    state: Literal['stopped']


# It ended, and its restart policy leaves it at that.
class ProcessStateExited(TypedDict):
    state: Literal['exited']


# Where a process is in its life.  ```text          all of `after` ready         ready           N noes waiting
# ───────► starting ─────────────────► ready ◄─────────► unhealthy    ▲                │  └ no check ► running
# │                   │    │ time           ▼ ends, or late            ▼ ends              ▼ ends, or restarted
# └──────────── backing_off ◄─────────────────┴───────────────────┘                     │ too often too fast
# stop, from each: stopping ─► stopped                     ▼                                 policy says no
# more:  exited                  given_up ── start ──► waiting ```
ProcessState: TypeAlias = 'ProcessStateWaiting | ProcessStateStarting | ProcessStateRunning | ProcessStateReady | ProcessStateUnhealthy | ProcessStateBackingOff | ProcessStateGivenUp | ProcessStateStopping | ProcessStateStopped | ProcessStateExited'


# How a process is.
class ProcessStatus(TypedDict):
    # Who.
    after: NotRequired[list[ProcessName]]
    state: Literal['waiting', 'starting', 'running', 'ready', 'unhealthy', 'backing_off', 'given_up', 'stopping', 'stopped', 'exited']
    # What the last check found.
    reason: NotRequired[str]
    # When, in microseconds since 1970.
    until_us: NotRequired[int]
    # The last lines that it wrote, oldest first.
    last_lines: NotRequired[list[str]]
    # Which one.
    name: ProcessName
    # What it is for.
    kind: ProcessKind
    # Its number inside, while it runs.
    pid: NotRequired[int | None]
    # How often it was started again since it was last asked to start.
    restarts: int
    # When it was started last, in microseconds since 1970.
    started_us: NotRequired[int | None]
    last_exit: NotRequired[ExitStatus | None]
    # What else is to be said, for example that it serves another port than the one it should.
    hint: NotRequired[str | None]


# A branch that arrived in the source's repository.
class PullOutcome(TypedDict):
    # The branch.
    branch: str
    # Where it is now.
    head: str
    # Where it was; absent when it is new.
    before: NotRequired[str | None]
    # How many commits the repository did not have.
    total: int
    # The newest of them, newest first, at most 200.
    commits: list[PulledCommit]


# Brings the sandbox's commits to the source's repository as a branch.
class PullRequest(TypedDict):
    # The branch; `sandbar/<name of the sandbox>` when absent.
    branch: NotRequired[str | None]
    # Whether a branch that is there may lose commits.
    force: NotRequired[bool]


# A commit that arrived.
class PulledCommit(TypedDict):
    # Its id.
    id: str
    # The first line of its message, as the sandbox wrote it.
    subject: str
    # Who wrote it, as the sandbox says.
    author: str


# A question of an agent to a person.
class Question(TypedDict):
    # Its name.
    id: QuestionId
    # What it is about.
    kind: QuestionKind
    # The question, for people.
    text: str
    # What may be chosen; empty where only words answer.
    options: NotRequired[list[QuestionOption]]
    # Whether words may answer in place of an option.
    free_text: NotRequired[bool]


# Names a question of a task.
QuestionId: TypeAlias = 'str'


# What an agent asks for.
QuestionKind: TypeAlias = "Literal['permission', 'question', 'network']"


# One answer that may be chosen.
class QuestionOption(TypedDict):
    # What is sent to choose it.
    id: str
    # What people read.
    label: str
    # Whether it lets the agent do what it asked for; `None` where it is no permission.
    allows: NotRequired[bool | None]


# At most so much, over all living sandboxes of a tenant; what is absent is without end.
class Quota(TypedDict):
    # Sandboxes that live at once, the stopped ones included.
    sandboxes: NotRequired[int | None]
    # Sum of what they may take of memory.
    memory_bytes: NotRequired[int | None]
    # Sum of what their upper layers may hold.
    disk_bytes: NotRequired[int | None]
    # Sum of how many processes they may have.
    processes: NotRequired[int | None]
    # Requests in a minute of each user and each key.
    requests_per_minute: NotRequired[int | None]


# Which part of a quota would be exceeded.
QuotaKind: TypeAlias = "Literal['sandboxes', 'memory_bytes', 'disk_bytes', 'processes']"


# Whether the server can take work.
class Ready(TypedDict):
    # Whether every check passed; else the status is 503.
    is_ready: bool
    # The checks.
    checks: list[ReadyCheck]


# One thing that the server needs.
class ReadyCheck(TypedDict):
    # What, for example `store`.
    name: str
    # Whether it answers.
    is_ok: bool
    # What was found.
    message: NotRequired[str | None]


# How one part of upkeep is.
class ReconcilerStatus(TypedDict):
    # Its name.
    name: str
    # What it sees to.
    meaning: str
    # Whether it does anything without being asked; the others run with `POST /v1/gc`.
    is_automatic: bool
    # How often it runs; more seldom where looking takes long.
    interval_ms: int
    # When it last ran; absent before the first time.
    last_run_at: NotRequired[str | None]
    # How long that took.
    duration_ms: int
    # What it then found to do.
    found: int
    # How much of it was done.
    done: int
    # Why its last run failed, in part or whole; absent where it did not.
    last_error: NotRequired[str | None]
    # When a run last failed, though a later one may have done better.
    failed_at: NotRequired[str | None]
    # When it runs next; absent where it does not by itself.
    next_run_at: NotRequired[str | None]
    # How often it ran since the server started.
    runs: int
    # How many of these failed.
    failures: int
    # Everything that it did since then.
    done_total: int


# What a refresh did, each list ordered.
class RefreshOutcome(TypedDict):
    # Paths where both were merged, or that got the text that was sent.
    merged: list[WorkspacePath]
    # Paths that have what the host has.
    ours: list[WorkspacePath]
    # Paths that stay as they were, as a change against what the host has now.
    theirs: list[WorkspacePath]


# Brings the host's newer state into the workspace, at paths that both changed. `If-Match` with the `ETag` of
# the changes is honored.
class RefreshRequest(TypedDict):
    # Which changes; every one when absent.
    selection: NotRequired[Selection]
    # What counts at paths that cannot be merged; without it they are 409 `review_conflict`, and nothing is
    # written.
    resolutions: NotRequired[list[Resolution]]
    otherwise: NotRequired[Side | None]


# What a reject did.
class RejectOutcome(TypedDict):
    # Paths that are again what the source has, ordered.
    rejected: list[WorkspacePath]
    # Paths of which only hunks were dropped, ordered.
    parts: NotRequired[list[WorkspacePath]]


# Drops changes from the workspace.
class RejectRequest(TypedDict):
    diff_id: NotRequired[DiffId | None]
    # Which of its changes.
    selection: Selection
    # What the person says about it, at most 4 KiB, for whoever works in the sandbox next.
    reason: NotRequired[str | None]


# What a person says about a path that the host changed as well.
class Resolution(TypedDict):
    # The path.
    path: WorkspacePath
    # What counts there.
    take: Take


# What the end of a process means.
RestartPolicy: TypeAlias = "Literal['always', 'on_failure', 'never']"


# A process that was restarted.
class RestartedProcess(TypedDict):
    # Who.
    after: NotRequired[list[ProcessName]]
    state: Literal['waiting', 'starting', 'running', 'ready', 'unhealthy', 'backing_off', 'given_up', 'stopping', 'stopped', 'exited']
    # What the last check found.
    reason: NotRequired[str]
    # When, in microseconds since 1970.
    until_us: NotRequired[int]
    # The last lines that it wrote, oldest first.
    last_lines: NotRequired[list[str]]
    # Which one.
    name: ProcessName
    # What it is for.
    kind: ProcessKind
    # Its number inside, while it runs.
    pid: NotRequired[int | None]
    # How often it was started again since it was last asked to start.
    restarts: int
    # When it was started last, in microseconds since 1970.
    started_us: NotRequired[int | None]
    last_exit: NotRequired[ExitStatus | None]
    # What else is to be said, for example that it serves another port than the one it should.
    hint: NotRequired[str | None]
    # Whether it serves; of one without a readiness check, whether it runs.
    is_ready: bool


# What to take back.
class RevertRequest(TypedDict):
    # The checkpoint before the work.
    before: CheckpointId
    # The checkpoint after it.
    after: CheckpointId


# What a revert did.
class Reverted(TypedDict):
    kept: NotRequired[CheckpointId | None]
    # Paths that were written or removed.
    paths: list[WorkspacePath]
    # Of these, the texts into which later edits were merged.
    merged: list[WorkspacePath]


# What somebody is in a tenant. Ordered: each may do what the ones before it may.
Role: TypeAlias = "Literal['viewer', 'member', 'admin']"


# Why a rule does not apply to a request.
RuleMiss: TypeAlias = "Literal['host', 'port', 'method', 'path', 'ambiguous_path']"


# A sandbox as the server knows it.
class Sandbox(TypedDict):
    state: Literal['creating', 'running', 'paused', 'stopping', 'stopped', 'failed', 'deleting']
    # Why.
    reason: NotRequired[FailureReason]
    # Names it for ever.
    id: SandboxId
    # Names it among the sandboxes that live.
    name: SandboxName
    app_id: NotRequired[AppId | None]
    # Grows with each write of the record; also the `ETag`.
    generation: Generation
    # What its workspace is a view of.
    source: Source
    # Where the workspace is inside.
    workspace_path: HostPath
    scope: NotRequired[WorkspacePath | None]
    # Subtrees that no other sandbox may reserve.
    reserve: NotRequired[list[WorkspacePath]]
    # Whether the whole source is reserved.
    reserve_all: NotRequired[bool]
    # What it may use.
    limits: Limits
    # Names of the variables that every exec sees. Values are never shown.
    env_names: NotRequired[list[EnvName]]
    # Which toolchains of the caller's home are shown inside.
    toolchains: ToolchainPolicy
    caches: NotRequired[ToolchainPolicy | None]
    # When it ends by itself.
    expiry: Expiry
    # Whether its app is started with it.
    app: AppStart
    # What becomes of it when nobody uses it.
    idle_policy: IdlePolicy
    visibility: NotRequired[Visibility | None]
    # Whom it may reach.
    network: NetworkSpec
    stop_reason: NotRequired[StopReason | None]
    # Until when it does not sleep.
    keepalive_until: NotRequired[str | None]
    # When it was asked for.
    created_at: str
    # When the record last changed.
    updated_at: str
    # When somebody last used it.
    last_active_at: str
    # Bytes of its upper layer, when last measured.
    upper_bytes: NotRequired[int]
    # Files of its upper layer, when last measured.
    upper_files: NotRequired[int]
    # When its lease ends.
    expires_at: NotRequired[str | None]
    isolation: NotRequired[IsolationReport | None]


# What one sandbox holds on disk.
class SandboxDiskUsage(TypedDict):
    # Which.
    id: SandboxId
    # Its name.
    name: SandboxName
    # Bytes of its upper layer.
    upper_bytes: int
    # Files of its upper layer.
    upper_files: int
    # Bytes of its home directory; they count for the same limit as those of the upper layer.
    home_bytes: NotRequired[int]
    # Bytes of its logs.
    logs_bytes: int
    # When the record last changed.
    updated_at: str


# Names a sandbox.
SandboxId: TypeAlias = 'str'


# The name that a person gives a sandbox.
SandboxName: TypeAlias = 'str'


# What a user wants a sandbox to be.
class SandboxSpec(TypedDict):
    name: NotRequired[SandboxName | None]
    # What the workspace is a view of.
    source: Source
    workspace_path: NotRequired[HostPath | None]
    scope: NotRequired[WorkspacePath | None]
    # Subtrees that no other sandbox over the same source may reserve while this one lives; `[""]` is not a
    # path, so the whole source is `reserve_all`.
    reserve: NotRequired[list[WorkspacePath]]
    # Reserves the whole source.
    reserve_all: NotRequired[bool]
    # What it may use.
    limits: NotRequired[Limits]
    # Variables that every exec sees.
    env: NotRequired[dict[str, str]]
    # Toolchains of the caller's home.
    toolchains: NotRequired[ToolchainPolicy]
    caches: NotRequired[ToolchainPolicy | None]
    # When it ends by itself.
    expiry: NotRequired[Expiry]
    # Whether its app is started with it.
    app: NotRequired[AppStart]
    # What becomes of it when nobody uses it.
    idle_policy: NotRequired[IdlePolicy]
    visibility: NotRequired[Visibility | None]
    # Whom it may reach.
    network: NotRequired[NetworkSpec]
    git_identity: NotRequired[GitIdentity | None]
    acceptance: NotRequired[AcceptanceRules | None]


# Its steps are being carried out; nothing of it may be used yet.
class SandboxStateCreating(TypedDict):
    state: Literal['creating']


# Its supervisor answers.
class SandboxStateRunning(TypedDict):
    state: Literal['running']


# Frozen, with its memory kept.
class SandboxStatePaused(TypedDict):
    state: Literal['paused']


# Its processes are being ended.
class SandboxStateStopping(TypedDict):
    state: Literal['stopping']


# Nothing of it runs; its files are kept.
class SandboxStateStopped(TypedDict):
    state: Literal['stopped']


# Something ended it; its files are kept.
class SandboxStateFailed(TypedDict):
    # Why.
    reason: FailureReason
    state: Literal['failed']


# It is being removed.
class SandboxStateDeleting(TypedDict):
    state: Literal['deleting']


# Where a sandbox is in its life.  ```text      create                        pause ∅ ─► creating ─► running
# ◄────────────► paused          │        │   ▲ start          │   stop ▼   │                     any ─►
# deleting ─► (gone)          │     stopping ─► stopped          └────────┴─► failed ─► start, delete ```
SandboxState: TypeAlias = 'SandboxStateCreating | SandboxStateRunning | SandboxStatePaused | SandboxStateStopping | SandboxStateStopped | SandboxStateFailed | SandboxStateDeleting'


# What one sandbox uses now.
class SandboxUsage(TypedDict):
    # Bytes of memory; absent when it does not run or nobody counts.
    memory_bytes: NotRequired[int | None]
    # Processes and threads.
    pids: NotRequired[int | None]
    # Processor time since the start, in microseconds.
    cpu_us: NotRequired[int | None]
    # How often the kernel killed for memory.
    oom_kills: NotRequired[int | None]
    # Bytes of its upper layer.
    upper_bytes: int
    # Files of its upper layer.
    upper_files: int
    # Bytes of its home directory; they count for the same limit as those of the upper layer.
    home_bytes: NotRequired[int]
    # Bytes of its logs.
    logs_bytes: int


# What a route needs.
Scope: TypeAlias = "Literal['read', 'write', 'review', 'admin']"


# One match of a search.
class SearchMatch(TypedDict):
    # The file.
    path: WorkspacePath
    # The line, from 1; absent when only the name was looked at.
    line: NotRequired[int | None]
    # The line's text, cut to 500 characters.
    text: NotRequired[str | None]


# What a search found.
class SearchResult(TypedDict):
    # The matches, in the order of paths.
    items: list[SearchMatch]
    # Whether there was more than the limit.
    is_truncated: bool


# A text that nobody may read in a log.
Secret: TypeAlias = 'str'


# Secrets under a new key.
class SecretRotation(TypedDict):
    # Names the key that seals now.
    key: str
    # Secrets that were sealed again.
    resealed: int
    # Secrets that do not open and were left; with any, the old keys are kept.
    left: int


# These paths; a directory stands for everything below it.
class Selection2(TypedDict):
    # These paths; a directory stands for everything below it.
    paths: list[WorkspacePath]


# These paths, or only some hunks of them.
class Selection3(TypedDict):
    # These paths, or only some hunks of them.
    parts: list[Part]


# Which changes a decision is about.
Selection: TypeAlias = "Literal['all'] | Selection2 | Selection3"


# One event of a stream, as the rules of server-sent events read it.
class ServerSentEvent(TypedDict):
    # What `Last-Event-ID` takes to go on after it; that of the event before where it has none.
    id: NotRequired[str | None]
    # Its type.
    event: str
    # A JSON value, by type.
    data: str


# A session that began. Its token is in the cookie, and nowhere else.
class Session(TypedDict):
    # When it ends, however much it is used.
    expires_at: str


# A setting.
class Setting(TypedDict):
    # Which one.
    key: SettingKey
    # What it is.
    value: SettingValue
    # What it would be if nobody said anything.
    default: SettingValue
    # Who says so.
    source: SettingSource
    # Whether it can be changed now: what was said when the server was started cannot.
    is_editable: bool
    changed_by: NotRequired[Actor | None]
    # When it was changed last while the server ran.
    changed_at: NotRequired[str | None]


# A setting that can be changed while the server runs.
SettingKey: TypeAlias = "Literal['server.log_filter', 'server.requests_per_minute', 'sandbox.max', 'sandbox.stop_grace', 'sandbox.app_idle_timeout', 'sandbox.keepalive_max', 'retention.history', 'retention.events', 'retention.idempotency_keys', 'upkeep.reconcile_interval', 'upkeep.size_interval', 'task.question_deadline']"


# Who says what a setting is. What comes later here beats what comes before.
SettingSource: TypeAlias = "Literal['default', 'stored', 'file', 'environment', 'command_line']"


# The value of a setting: a number, or a text as it is in `config.toml`, such as `30s`.
SettingValue: TypeAlias = 'int | str'


# What the server does by itself.
class Settings(TypedDict):
    # The version of the server.
    version: str
    # Grows with every change; the `ETag`.
    generation: Generation
    preview: NotRequired[PreviewSettings | None]
    # The limits of a new sandbox that does not say them.
    limits: Limits
    # Every setting that can be changed while the server runs.
    settings: list[Setting]


# Changes settings, all or none of them.
class SettingsUpdateRequest(TypedDict):
    # What is set, and to what.
    set: NotRequired[dict[str, SettingValue]]
    # What is as it was before anybody set it while the server ran.
    unset: NotRequired[list[SettingKey]]


# Makes the first administrator.
class SetupRequest(TypedDict):
    # What the server wrote to its log, and to `setup-code` of its data directory.
    code: Secret
    # The administrator's name.
    name: AccountName
    # The administrator's password, 12 to 1024 bytes.
    password: Secret


# A SHA-256, in hexadecimal.
Sha256: TypeAlias = 'str'


# Whose version of a text: `ours` is the host's, `theirs` the sandbox's, as `git merge` calls what is merged
# into what.
Side: TypeAlias = "Literal['ours', 'theirs']"


# Which signal to send to the exec's process group.
class SignalRequest(TypedDict):
    # The signal's number, 1 to 64.
    signal: int


# A selected path that was not applied.
class Skipped(TypedDict):
    # The path.
    path: WorkspacePath
    # The flag that forbids it.
    flag: ChangeFlag


# A directory of the host, seen copy-on-write and never written but by an approve.
class SourceDirectory(TypedDict):
    # The directory.
    path: HostPath
    kind: Literal['directory']


# Nothing: the workspace starts empty, and there is nowhere to approve to.
class SourceEmpty(TypedDict):
    kind: Literal['empty']


# A starter: the workspace starts with its files, and there is nowhere to approve to.
class SourcePreset(TypedDict):
    # Which one.
    preset: PresetName
    kind: Literal['preset']


# What the workspace is a view of.
Source: TypeAlias = 'SourceDirectory | SourceEmpty | SourcePreset'


# The name of a state, without what belongs to it.
StateName: TypeAlias = "Literal['creating', 'running', 'paused', 'stopping', 'stopped', 'failed', 'deleting']"


# How a process is ended.
class StopPolicy(TypedDict):
    # The signal that asks, by number; it goes to the whole process group.
    signal: int
    # How long it may take before SIGKILL, in milliseconds.
    grace_ms: int


# Why a sandbox was stopped.
StopReason: TypeAlias = "Literal['requested', 'lease_ended', 'idle', 'memory_pressure', 'disk_full']"


# How to stop.
class StopRequest(TypedDict):
    # Milliseconds between asking and killing, at most 600000; 10000 when absent.
    grace_ms: NotRequired[int | None]


# This text, as the person edited it.
class Take3(TypedDict):
    # This text, as the person edited it.
    content: LineText


# What counts where the host and the sandbox collide. Edits that do not collide are merged all the same.
Take: TypeAlias = "Literal['ours'] | Literal['theirs'] | Take3"


# A task, as it is at one instant.
class Task(TypedDict):
    # Its id.
    id: TaskId
    # Where it is done.
    sandbox_id: SandboxId
    # What is asked.
    spec: TaskSpec
    # Which agent.
    agent: AgentName
    # Where it is in its life.
    state: TaskState
    question: NotRequired[Question | None]
    result: NotRequired[TaskResult | None]
    # When it was asked for.
    created_at: str
    # When its agent was started.
    started_at: NotRequired[str | None]
    # When it was over.
    finished_at: NotRequired[str | None]


# An answer to a question of an agent.
class TaskAnswerRequest(TypedDict):
    question: NotRequired[QuestionId | None]
    # One of its options, or words.
    answer: Answer


# One line of a task's history.
class TaskEvent(TypedDict):
    # Which.
    state: NotRequired[TaskState]
    event: Literal['state', 'agent', 'stderr', 'checkpoint', 'question', 'answered', 'ended', 'build', 'health', 'done']
    # What.
    agent: NotRequired[AgentEvent]
    # A line.
    text: NotRequired[str]
    # Which.
    checkpoint: NotRequired[CheckpointId]
    # Whether it is the one before the agent began.
    is_before: NotRequired[bool]
    # What.
    question: NotRequired[Question | QuestionId]
    # When the policy answers in place of a person.
    deadline: NotRequired[str | None]
    # How.
    answer: NotRequired[Answer]
    # By whom.
    by: NotRequired[AnsweredBy]
    # How.
    exit: NotRequired[ExitStatus]
    # How that came out.
    status: NotRequired[CheckStatus]
    # The last lines, where it failed.
    message: NotRequired[str | None]
    # Whether it is.
    app_healthy: NotRequired[bool]
    # Whether the preview answers; absent where there is none.
    preview_ok: NotRequired[bool | None]
    # What came of it.
    result: NotRequired[TaskResult]
    # Counted from 1 in each task, without gaps: what `Last-Event-ID` takes.
    seq: int
    # When, by the server's clock.
    at: str


# It is in another state.
class TaskEventPayloadState(TypedDict):
    # Which.
    state: TaskState
    event: Literal['state']


# The agent said or did something.
class TaskEventPayloadAgent(TypedDict):
    # What.
    agent: AgentEvent
    event: Literal['agent']


# The agent wrote to its standard error.
class TaskEventPayloadStderr(TypedDict):
    # A line.
    text: str
    event: Literal['stderr']


# A checkpoint was made.
class TaskEventPayloadCheckpoint(TypedDict):
    # Which.
    checkpoint: CheckpointId
    # Whether it is the one before the agent began.
    is_before: bool
    event: Literal['checkpoint']


# The agent asks.
class TaskEventPayloadQuestion(TypedDict):
    # What.
    question: Question
    # When the policy answers in place of a person.
    deadline: NotRequired[str | None]
    event: Literal['question']


# A question was answered.
class TaskEventPayloadAnswered(TypedDict):
    # Which.
    question: QuestionId
    # How.
    answer: Answer
    # By whom.
    by: AnsweredBy
    event: Literal['answered']


# The agent's process ended.
class TaskEventPayloadEnded(TypedDict):
    # How.
    exit: ExitStatus
    event: Literal['ended']


# It was tried whether the app builds.
class TaskEventPayloadBuild(TypedDict):
    # How that came out.
    status: CheckStatus
    # The last lines, where it failed.
    message: NotRequired[str | None]
    event: Literal['build']


# It was looked whether the app is well.
class TaskEventPayloadHealth(TypedDict):
    # Whether it is.
    app_healthy: bool
    # Whether the preview answers; absent where there is none.
    preview_ok: NotRequired[bool | None]
    event: Literal['health']


# It is over; nothing follows.
class TaskEventPayloadDone(TypedDict):
    # What came of it.
    result: TaskResult
    event: Literal['done']


# What happened in a task.
TaskEventPayload: TypeAlias = 'TaskEventPayloadState | TaskEventPayloadAgent | TaskEventPayloadStderr | TaskEventPayloadCheckpoint | TaskEventPayloadQuestion | TaskEventPayloadAnswered | TaskEventPayloadEnded | TaskEventPayloadBuild | TaskEventPayloadHealth | TaskEventPayloadDone'


# Why a task failed.
TaskFailure: TypeAlias = "Literal['agent_timeout', 'agent_error', 'agent_not_found', 'sandbox_unavailable', 'interrupted', 'internal']"


# Names a task.
TaskId: TypeAlias = 'str'


# What came of a task. A field that nobody looked at is absent.
class TaskResult(TypedDict):
    failure_reason: NotRequired[TaskFailure | None]
    # What went wrong, for people.
    error_message: NotRequired[str | None]
    # The paths that differ between both checkpoints, at most [`TaskResult::FILES_MAX`] of them.
    files_changed: NotRequired[list[str] | None]
    # How many there are.
    files_changed_count: NotRequired[int | None]
    # The last thing that the agent said.
    final_message: NotRequired[str | None]
    build_status: NotRequired[CheckStatus | None]
    # The end of what a failed build wrote, at most 2000 bytes.
    build_error_message: NotRequired[str | None]
    # Whether the preview answers; absent where there is none.
    preview_ok: NotRequired[bool | None]
    # The build did not fail, and the preview answers, or without one a worker runs. Absent where nothing is
    # declared.
    app_healthy: NotRequired[bool | None]
    checkpoint_before: NotRequired[CheckpointId | None]
    checkpoint_after: NotRequired[CheckpointId | None]
    # How long it worked and waited, in milliseconds.
    duration_ms: NotRequired[int]
    usage: NotRequired[TaskUsage | None]


# What a user wants done.
TaskSpec = TypedDict('TaskSpec', {
    'prompt': 'str',
    'agent': 'NotRequired[AgentName | None]',
    'model': 'NotRequired[str | None]',
    'timeout_ms': 'NotRequired[int | None]',
    'continue': 'NotRequired[bool]',
    'command': 'NotRequired[list[str]]',
    'permissions': 'NotRequired[Permissions]',
})


# Where a task is in its life.
TaskState: TypeAlias = "Literal['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled']"


# What was used. Absent where the agent does not say.
class TaskUsage(TypedDict):
    # Tokens that were sent, without those of the cache.
    input_tokens: NotRequired[int | None]
    # Tokens that came back.
    output_tokens: NotRequired[int | None]
    # Of those, for thinking.
    reasoning_tokens: NotRequired[int | None]
    # Tokens read from the cache.
    cache_read_tokens: NotRequired[int | None]
    # Tokens written to the cache.
    cache_write_tokens: NotRequired[int | None]
    # What it cost, in US dollars, as the agent says.
    cost_usd: NotRequired[float | None]


# A tenant: what one of them has, no other one sees.
class Tenant(TypedDict):
    # Its id.
    id: TenantId
    # Its name, unique in the server.
    name: AccountName
    # What it may have.
    quota: Quota
    # Below which directories of the host its sources are; absent: anywhere.
    source_roots: NotRequired[list[HostPath] | None]
    # Grows with every change; the `ETag`.
    generation: Generation
    # When it was made.
    created_at: str


# Makes a tenant.
class TenantCreateRequest(TypedDict):
    # Its name, unique in the server.
    name: AccountName
    # What it may have; without end when absent.
    quota: NotRequired[Quota]
    # Below which directories of the host its sources are. None: workspaces begin empty, or from presets.
    source_roots: NotRequired[list[HostPath]]


# Names a tenant.
TenantId: TypeAlias = 'str'


# Changes a tenant. What it has already stays.
class TenantUpdateRequest(TypedDict):
    quota: NotRequired[Quota | None]
    # Below which directories of the host its sources are.
    source_roots: NotRequired[list[HostPath] | None]


# Rows and columns of a terminal.
class TerminalSize(TypedDict):
    # Rows, in characters.
    rows: int
    # Columns, in characters.
    cols: int


# How far a tool of an agent is.
ToolState: TypeAlias = "Literal['running', 'completed', 'failed']"


# Only these known ones, by name, for example `cargo`, `rustup`, `npm`.
class ToolchainPolicy3(TypedDict):
    # Only these known ones, by name, for example `cargo`, `rustup`, `npm`.
    only: list[str]


# Which toolchains, or which package caches, below the caller's home are shown inside.
ToolchainPolicy: TypeAlias = "Literal['known'] | Literal['none'] | ToolchainPolicy3"


# What an undo did.
class UndoOutcome(TypedDict):
    # Names the undo, which is an approve of its own.
    id: ApproveId
    # The approve that was taken back.
    undone: ApproveId
    # Where it was written to.
    source: HostPath
    # Paths that have again what they had before, ordered; the merged ones included.
    restored: list[WorkspacePath]
    # Of these, the ones that the host had changed since, which kept those changes.
    merged: list[WorkspacePath]


# How the server keeps itself in order.
class Upkeep(TypedDict):
    # Each part of it.
    reconcilers: list[ReconcilerStatus]


# A user.
class User(TypedDict):
    # The id.
    id: UserId
    # The name, unique in the tenant.
    name: AccountName
    # What the user may do.
    role: Role
    # Whether the user can log in.
    has_password: bool
    # Grows with every change; the `ETag`.
    generation: Generation
    # When the user was added.
    created_at: str


# Adds a user.
class UserCreateRequest(TypedDict):
    # The name, unique in the tenant.
    name: AccountName
    # What the user may do.
    role: Role
    password: NotRequired[Secret | None]


# Names a user.
UserId: TypeAlias = 'str'


# Changes a user. A new password ends the user's sessions.
class UserUpdateRequest(TypedDict):
    role: NotRequired[Role | None]
    password: NotRequired[Secret | None]


# How one finding matters. Ordered: the last is the worst.
Verdict: TypeAlias = "Literal['ok', 'degraded', 'missing']"


# Who may see the previews of a sandbox.
Visibility: TypeAlias = "Literal['public', 'private']"


# A change that waits for a person.
class Waiting(TypedDict):
    # It has this flag.
    flag: NotRequired[ChangeFlag]
    reason: Literal['flagged', 'not_text', 'path_not_listed']
    # The path.
    path: WorkspacePath


# One thing that is weaker than the native runtime specifies, and why.
class Weakness(TypedDict):
    # A stable code, for example `single_uid` or `memory_not_limited`.
    code: str
    # What that means, in a sentence.
    message: str


# A webhook, without its secret.
class Webhook(TypedDict):
    # Its id.
    id: WebhookId
    # Where to.
    url: str
    # What it is for.
    description: str
    # Which types are sent; every one where there is none.
    event_types: list[EventType]
    app: NotRequired[AppId | None]
    # Whether anything is sent.
    is_active: bool
    # Why nothing is, where it was the server that said so.
    disabled_reason: NotRequired[str | None]
    # Since when nothing was taken.
    failing_since: NotRequired[str | None]
    # When it is tried again.
    next_attempt_at: NotRequired[str | None]
    # Until when the secret before signs as well.
    old_secret_until: NotRequired[str | None]
    # The `ETag`.
    generation: Generation
    # When it was made.
    created_at: str
    # When a person changed it.
    updated_at: str


# Asks for a webhook, for what happens from then on.
class WebhookCreateRequest(TypedDict):
    # Where to: `https://`, a host that is reached at a public address, and a path.
    url: str
    # What it is for.
    description: NotRequired[str]
    # Which types are sent; every one where there is none.
    event_types: NotRequired[list[EventType]]
    app: NotRequired[AppId | None]
    # Whether anything is sent; true when absent.
    is_active: NotRequired[bool]


# One attempt to send something.
class WebhookDelivery(TypedDict):
    # Grows with every attempt.
    id: int
    # Which event; absent for a test.
    event: NotRequired[int | None]
    # When.
    at: str
    # Which attempt of this event, from 1.
    attempt: int
    # Whether the endpoint took it: it answered with 2xx.
    is_delivered: bool
    # How long it took.
    duration_ms: int
    # The status that was answered.
    status: NotRequired[int | None]
    # Why nothing was answered.
    error: NotRequired[str | None]
    # The beginning of the answer, its odd characters escaped.
    response: str


# Names a webhook.
WebhookId: TypeAlias = 'str'


# What shall be different; what is absent stays as it is.
class WebhookUpdateRequest(TypedDict):
    # Where to.
    url: NotRequired[str | None]
    # What it is for.
    description: NotRequired[str | None]
    # Which types are sent.
    event_types: NotRequired[list[EventType] | None]
    app: NotRequired[AppId | None]
    # Whether anything is sent. One that is made active again goes on where it stopped.
    is_active: NotRequired[bool | None]


# A webhook with its new secret.
class WebhookWithSecret(TypedDict):
    # What is kept of it.
    webhook: Webhook
    # What messages are signed with. It is shown this once.
    secret: Secret


# Bytes that are not UTF-8, in base64.
class WorkspacePath2(TypedDict):
    b64: str


# A path below the root of the workspace: relative, without `..`; text where it is UTF-8.
WorkspacePath: TypeAlias = 'str | WorkspacePath2'


class Sandbar(Transport):
    """Every operation of a server, a method each."""

    def healthz_at_root(self) -> Health:
        """Says that the server lives, where probes look for it."""
        return self.ask('GET', '/healthz', 'json')

    def metrics_at_root(self) -> str:
        """What the server counts, where Prometheus looks for it."""
        return self.ask('GET', '/metrics', 'text')

    def readyz_at_root(self) -> Ready:
        """Says whether the server takes work, where probes look for it."""
        return self.ask('GET', '/readyz', 'json')

    def agent_list(self) -> PageKnownAgent:
        """Lists every agent that a task may be given to, whether it is on the host, and whether there is a
        credential for it. All of them on one page."""
        return self.ask('GET', '/v1/agents', 'json')

    def api_key_list(self, *, limit: int | None = None, cursor: str | None = None, tenant: str | None = None) -> PageApiKey:
        """Lists the API keys of a tenant, oldest first. The keys themselves are nowhere."""
        return self.ask('GET', '/v1/api-keys', 'json', query={'limit': limit, 'cursor': cursor, 'tenant': tenant})

    def api_key_create(self, body: ApiKeyCreateRequest, *, tenant: str | None = None, idempotency_key: str | None = None) -> ApiKeyCreated:
        """Makes an API key that may do at most what one may oneself. The key is in this answer, and never again."""
        return self.ask('POST', '/v1/api-keys', 'json', query={'tenant': tenant}, headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def api_key_fetch(self, key: str, *, tenant: str | None = None) -> ApiKey:
        """Looks at an API key. The key itself is nowhere."""
        return self.ask('GET', f'/v1/api-keys/{self.segment(key)}', 'json', query={'tenant': tenant})

    def api_key_delete(self, key: str, *, tenant: str | None = None, if_match: str | None = None) -> None:
        """Ends an API key at once; what streams over it is cut."""
        return self.ask('DELETE', f'/v1/api-keys/{self.segment(key)}', 'nothing', query={'tenant': tenant}, headers={'If-Match': if_match})

    def approve_list(self, *, source: str | None = None, source_b64: str | None = None, sandbox: str | None = None, path: str | None = None, path_b64: str | None = None, limit: int | None = None, cursor: str | None = None) -> PageApprove:
        """Lists what was approved and what was undone, newest first; also of sandboxes that are gone."""
        return self.ask('GET', '/v1/approves', 'json', query={'source': source, 'source_b64': source_b64, 'sandbox': sandbox, 'path': path, 'path_b64': path_b64, 'limit': limit, 'cursor': cursor})

    def approve_fetch(self, approve: str) -> Approve:
        """Looks at one approve, with every path."""
        return self.ask('GET', f'/v1/approves/{self.segment(approve)}', 'json')

    def approve_undo(self, approve: str, *, idempotency_key: str | None = None) -> UndoOutcome:
        """Takes the last approve of a directory back, all or nothing. The same undo again has the same result. What
        was changed there since is merged where it is text and does not overlap; else the answer is 409 with the
        conflicts, and nothing is written."""
        return self.ask('POST', f'/v1/approves/{self.segment(approve)}/undo', 'json', headers={'Idempotency-Key': idempotency_key})

    def app_list(self, *, limit: int | None = None, cursor: str | None = None, tag: list[AppTag] | None = None, external_user_id: ExternalId | None = None, external_project_id: ExternalId | None = None, q: str | None = None) -> PageApp:
        """Lists apps, newest first."""
        return self.ask('GET', '/v1/apps', 'json', query={'limit': limit, 'cursor': cursor, 'tag': tag, 'external_user_id': external_user_id, 'external_project_id': external_project_id, 'q': q})

    def app_create(self, body: AppCreateRequest, *, idempotency_key: str | None = None) -> App:
        """Makes an app. It has no sandbox until it is started or given one."""
        return self.ask('POST', '/v1/apps', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def app_fetch(self, app: str) -> App:
        """Looks at an app."""
        return self.ask('GET', f'/v1/apps/{self.segment(app)}', 'json')

    def app_remove(self, app: str, *, force: bool | None = None, keep_snapshots: bool | None = None, if_match: str | None = None) -> AppRemoved:
        """Removes an app with its sandboxes, settings and secrets, and says what went. Its events stay. `If-Match`
        with the `ETag` is honored. It is refused (`changes_pending`) while nobody decided about changes of its
        sandboxes, unless `force` is `true`."""
        return self.ask('DELETE', f'/v1/apps/{self.segment(app)}', 'json', query={'force': force, 'keep_snapshots': keep_snapshots}, headers={'If-Match': if_match})

    def app_update(self, app: str, body: AppUpdateRequest, *, if_match: str | None = None) -> App:
        """Changes an app. What is absent stays as it is, `null` takes it away. `If-Match` with the `ETag` is
        honored."""
        return self.ask('PATCH', f'/v1/apps/{self.segment(app)}', 'json', headers={'If-Match': if_match}, body=body, media='application/json')

    def app_clone(self, app: str, body: AppCloneRequest, *, idempotency_key: str | None = None) -> App:
        """Makes an app with the description, tags, preset, visibility, settings and secrets of this one, or nothing."""
        return self.ask('POST', f'/v1/apps/{self.segment(app)}/clone', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def app_config_list(self, app: str, *, limit: int | None = None, cursor: str | None = None) -> PageConfigItem:
        """Lists the settings and secrets of an app by name. The value of a secret is never shown."""
        return self.ask('GET', f'/v1/apps/{self.segment(app)}/config', 'json', query={'limit': limit, 'cursor': cursor})

    def app_config_create(self, app: str, body: ConfigCreateRequest, *, restart: bool | None = None, idempotency_key: str | None = None) -> ConfigChanged:
        """Gives an app a setting or a secret, a secret by default. Its sandboxes get it, too, where they have none
        of that name."""
        return self.ask('POST', f'/v1/apps/{self.segment(app)}/config', 'json', query={'restart': restart}, headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def app_config_remove(self, app: str, key: str, *, restart: bool | None = None, if_match: str | None = None) -> ConfigRemoved:
        """Removes a setting or a secret of an app. `If-Match` with the `ETag` is honored."""
        return self.ask('DELETE', f'/v1/apps/{self.segment(app)}/config/{self.segment(key)}', 'json', query={'restart': restart}, headers={'If-Match': if_match})

    def app_config_update(self, app: str, key: str, body: ConfigUpdateRequest, *, restart: bool | None = None, if_match: str | None = None) -> ConfigChanged:
        """Changes the value of a setting or a secret of an app, or who gets it. Without `value`, the value stays as
        it is. `If-Match` with the `ETag` is honored."""
        return self.ask('PATCH', f'/v1/apps/{self.segment(app)}/config/{self.segment(key)}', 'json', query={'restart': restart}, headers={'If-Match': if_match}, body=body, media='application/json')

    def app_event_list(self, app: str, *, limit: int | None = None, cursor: str | None = None, order: Literal['asc', 'desc'] | None = None, type: list[Literal['created', 'running', 'adopted', 'paused', 'resumed', 'stopped', 'failed', 'deleted', 'exec_started', 'exec_ended', 'approved', 'undone', 'approve_recovered', 'approve_kept', 'rejected', 'refreshed', 'checkpoint_made', 'checkpoint_restored', 'checkpoint_reverted', 'manifest_invalid', 'process_ready', 'process_unhealthy', 'process_ended', 'process_given_up', 'build_checked', 'egress_denied', 'credential_echoed', 'credential_expired', 'config_changed', 'app_created', 'app_cloned', 'app_updated', 'app_deleted', 'sandbox_replaced', 'disk_warning', 'disk_exceeded', 'data_disk_low', 'total_disk_warning', 'quota_warning', 'lease_ending', 'webhook_disabled', 'task_queued', 'task_started', 'task_waiting', 'task_finished']] | None = None, last_event_id: str | None = None) -> PageEvent:
        """Lists events of an app and of its sandboxes, oldest first; or streams them, with `Accept: text/event-
        stream`. As `GET /v1/events`, whose `app` lists those of an app that is gone, too."""
        return self.ask('GET', f'/v1/apps/{self.segment(app)}/events', 'json', query={'limit': limit, 'cursor': cursor, 'order': order, 'type': type}, headers={'Last-Event-ID': last_event_id})

    def app_event_list_stream(self, app: str, *, limit: int | None = None, cursor: str | None = None, order: Literal['asc', 'desc'] | None = None, type: list[Literal['created', 'running', 'adopted', 'paused', 'resumed', 'stopped', 'failed', 'deleted', 'exec_started', 'exec_ended', 'approved', 'undone', 'approve_recovered', 'approve_kept', 'rejected', 'refreshed', 'checkpoint_made', 'checkpoint_restored', 'checkpoint_reverted', 'manifest_invalid', 'process_ready', 'process_unhealthy', 'process_ended', 'process_given_up', 'build_checked', 'egress_denied', 'credential_echoed', 'credential_expired', 'config_changed', 'app_created', 'app_cloned', 'app_updated', 'app_deleted', 'sandbox_replaced', 'disk_warning', 'disk_exceeded', 'data_disk_low', 'total_disk_warning', 'quota_warning', 'lease_ending', 'webhook_disabled', 'task_queued', 'task_started', 'task_waiting', 'task_finished']] | None = None, last_event_id: str | None = None) -> Iterator[ServerSentEvent]:
        """Lists events of an app and of its sandboxes, oldest first; or streams them, with `Accept: text/event-
        stream`. As `GET /v1/events`, whose `app` lists those of an app that is gone, too."""
        return self.follow('GET', f'/v1/apps/{self.segment(app)}/events', query={'limit': limit, 'cursor': cursor, 'order': order, 'type': type}, headers={'Last-Event-ID': last_event_id})

    def app_restart(self, app: str, body: StopRequest | None = None, *, idempotency_key: str | None = None) -> Sandbox:
        """Stops the sandbox that an app is about, and starts it over the files that were kept."""
        return self.ask('POST', f'/v1/apps/{self.segment(app)}/restart', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def app_sandbox_fetch(self, app: str) -> Sandbox:
        """Looks at the sandbox that an app is about."""
        return self.ask('GET', f'/v1/apps/{self.segment(app)}/sandbox', 'json')

    def app_sandbox_create(self, app: str, body: AppSandboxRequest, *, idempotency_key: str | None = None) -> Sandbox:
        """Makes the sandbox that an app is about, and answers when it runs. Where there is one that has not failed
        it is refused (`app_has_sandbox`), or replaced with `"replace": true`: the new one is made and runs first.
        The old one is kept with its files, unless `"remove_replaced": true` and nobody has to decide about
        changes of it. One that has failed is replaced without asking, and is kept where it has such changes."""
        return self.ask('POST', f'/v1/apps/{self.segment(app)}/sandbox', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def app_start(self, app: str, *, idempotency_key: str | None = None) -> Sandbox:
        """Starts the sandbox that an app is about, or makes one from the app's preset."""
        return self.ask('POST', f'/v1/apps/{self.segment(app)}/start', 'json', headers={'Idempotency-Key': idempotency_key})

    def app_stop(self, app: str, body: StopRequest | None = None, *, idempotency_key: str | None = None) -> Sandbox:
        """Stops the sandbox that an app is about: asks, waits, kills. Its files are kept."""
        return self.ask('POST', f'/v1/apps/{self.segment(app)}/stop', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def app_task_list(self, app: str, *, limit: int | None = None, cursor: str | None = None, state: TaskState | None = None) -> PageTask:
        """Lists tasks of the current sandbox of an app, newest first."""
        return self.ask('GET', f'/v1/apps/{self.segment(app)}/tasks', 'json', query={'limit': limit, 'cursor': cursor, 'state': state})

    def app_task_create(self, app: str, body: TaskSpec, *, idempotency_key: str | None = None) -> Task:
        """Asks an agent to do something in the current sandbox of an app."""
        return self.ask('POST', f'/v1/apps/{self.segment(app)}/tasks', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def audit_list(self, *, limit: int | None = None, cursor: str | None = None, order: Literal['asc', 'desc'] | None = None, tenant: str | None = None, actor: str | None = None, action: str | None = None, target: str | None = None, since: str | None = None, until: str | None = None) -> PageAuditRecord:
        """Lists who asked for what that changes something, newest first. Who runs the server sees every tenant's
        log, and what belongs to none."""
        return self.ask('GET', '/v1/audit', 'json', query={'limit': limit, 'cursor': cursor, 'order': order, 'tenant': tenant, 'actor': actor, 'action': action, 'target': target, 'since': since, 'until': until})

    def audit_export(self, *, format: Literal['jsonl', 'csv'] | None = None, tenant: str | None = None, actor: str | None = None, action: str | None = None, target: str | None = None, since: str | None = None, until: str | None = None) -> bytes:
        """Sends the audit log, oldest first."""
        return self.ask('GET', '/v1/audit/export', 'bytes', query={'format': format, 'tenant': tenant, 'actor': actor, 'action': action, 'target': target, 'since': since, 'until': until})

    def login(self, body: LoginRequest) -> Session:
        """Begins a session: its token is in the cookie of the answer. Users log in on TCP, where browsers are. With
        the cookie, what changes something needs `Origin` and the header `X-Sandbar-Csrf` as well."""
        return self.ask('POST', '/v1/auth/login', 'json', body=body, media='application/json')

    def logout(self) -> None:
        """Ends the session that asks."""
        return self.ask('POST', '/v1/auth/logout', 'nothing')

    def password(self, body: PasswordRequest, *, idempotency_key: str | None = None) -> None:
        """Changes the password of the user whose session asks, and ends the user's other sessions."""
        return self.ask('POST', '/v1/auth/password', 'nothing', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def setup(self, body: SetupRequest) -> User:
        """Makes the first administrator, with the code that the server wrote to its log and to `setup-code` of its
        data directory. Coming first is not enough."""
        return self.ask('POST', '/v1/auth/setup', 'json', body=body, media='application/json')

    def auth_status(self) -> AuthStatus:
        """Says whether one can log in, and whether one is."""
        return self.ask('GET', '/v1/auth/status', 'json')

    def backup(self) -> bytes:
        """Sends a backup of the server's own state, keys and token included, without the files of sandboxes. It is
        as secret as the data directory."""
        return self.ask('POST', '/v1/backup', 'bytes')

    def credential_list(self, *, limit: int | None = None, cursor: str | None = None) -> PageCredential:
        """Lists credentials, oldest first. Values are never shown."""
        return self.ask('GET', '/v1/credentials', 'json', query={'limit': limit, 'cursor': cursor})

    def credential_create(self, body: CredentialCreateRequest, *, idempotency_key: str | None = None) -> Credential:
        """Keeps a credential: it is put into requests that a rule of it is for, and inside there is a placeholder."""
        return self.ask('POST', '/v1/credentials', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def credential_fetch(self, credential: str) -> Credential:
        """Looks at a credential."""
        return self.ask('GET', f'/v1/credentials/{self.segment(credential)}', 'json')

    def credential_delete(self, credential: str, *, if_match: str | None = None) -> None:
        """Removes a credential."""
        return self.ask('DELETE', f'/v1/credentials/{self.segment(credential)}', 'nothing', headers={'If-Match': if_match})

    def credential_update(self, credential: str, body: CredentialUpdateRequest, *, if_match: str | None = None) -> Credential:
        """Changes a credential: its value, where it may go, the variable inside. Requests get what it is when they
        begin."""
        return self.ask('PATCH', f'/v1/credentials/{self.segment(credential)}', 'json', headers={'If-Match': if_match}, body=body, media='application/json')

    def doctor(self) -> Doctor:
        """Probes the host by doing, and names what is missing and what to do about it."""
        return self.ask('GET', '/v1/doctor', 'json')

    def event_list(self, *, limit: int | None = None, cursor: str | None = None, order: Literal['asc', 'desc'] | None = None, type: list[Literal['created', 'running', 'adopted', 'paused', 'resumed', 'stopped', 'failed', 'deleted', 'exec_started', 'exec_ended', 'approved', 'undone', 'approve_recovered', 'approve_kept', 'rejected', 'refreshed', 'checkpoint_made', 'checkpoint_restored', 'checkpoint_reverted', 'manifest_invalid', 'process_ready', 'process_unhealthy', 'process_ended', 'process_given_up', 'build_checked', 'egress_denied', 'credential_echoed', 'credential_expired', 'config_changed', 'app_created', 'app_cloned', 'app_updated', 'app_deleted', 'sandbox_replaced', 'disk_warning', 'disk_exceeded', 'data_disk_low', 'total_disk_warning', 'quota_warning', 'lease_ending', 'webhook_disabled', 'task_queued', 'task_started', 'task_waiting', 'task_finished']] | None = None, app: AppId | None = None, sandbox: str | None = None, last_event_id: str | None = None) -> PageEvent:
        """Lists what happened in the tenant, oldest first; or streams it, with `Accept: text/event-stream`. In the
        stream each event has its id, its type as name and itself as data; `Last-Event-ID` resumes after that id,
        also when the server was restarted in between."""
        return self.ask('GET', '/v1/events', 'json', query={'limit': limit, 'cursor': cursor, 'order': order, 'type': type, 'app': app, 'sandbox': sandbox}, headers={'Last-Event-ID': last_event_id})

    def event_list_stream(self, *, limit: int | None = None, cursor: str | None = None, order: Literal['asc', 'desc'] | None = None, type: list[Literal['created', 'running', 'adopted', 'paused', 'resumed', 'stopped', 'failed', 'deleted', 'exec_started', 'exec_ended', 'approved', 'undone', 'approve_recovered', 'approve_kept', 'rejected', 'refreshed', 'checkpoint_made', 'checkpoint_restored', 'checkpoint_reverted', 'manifest_invalid', 'process_ready', 'process_unhealthy', 'process_ended', 'process_given_up', 'build_checked', 'egress_denied', 'credential_echoed', 'credential_expired', 'config_changed', 'app_created', 'app_cloned', 'app_updated', 'app_deleted', 'sandbox_replaced', 'disk_warning', 'disk_exceeded', 'data_disk_low', 'total_disk_warning', 'quota_warning', 'lease_ending', 'webhook_disabled', 'task_queued', 'task_started', 'task_waiting', 'task_finished']] | None = None, app: AppId | None = None, sandbox: str | None = None, last_event_id: str | None = None) -> Iterator[ServerSentEvent]:
        """Lists what happened in the tenant, oldest first; or streams it, with `Accept: text/event-stream`. In the
        stream each event has its id, its type as name and itself as data; `Last-Event-ID` resumes after that id,
        also when the server was restarted in between."""
        return self.follow('GET', '/v1/events', query={'limit': limit, 'cursor': cursor, 'order': order, 'type': type, 'app': app, 'sandbox': sandbox}, headers={'Last-Event-ID': last_event_id})

    def gc(self, body: GcRequest | None = None, *, idempotency_key: str | None = None) -> GcOutcome:
        """Gives back what nobody needs, or says what that would be. What is pending review goes only by the name of
        its sandbox, and only where the request says so."""
        return self.ask('POST', '/v1/gc', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def healthz(self) -> Health:
        """Says that the server lives. Needs no token."""
        return self.ask('GET', '/v1/healthz', 'json')

    def manifest_check(self, body: ManifestCheckRequest, *, idempotency_key: str | None = None) -> ManifestCheck:
        """Says what a `sandbox.yaml` means, or everything that is wrong with it. Nothing is started."""
        return self.ask('POST', '/v1/manifest/check', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def me(self) -> Me:
        """Says who asks, and what they may ask for."""
        return self.ask('GET', '/v1/me', 'json')

    def metrics(self) -> str:
        """What the server counts, in Prometheus' text format."""
        return self.ask('GET', '/v1/metrics', 'text')

    def openapi(self) -> dict[str, Any]:
        """This document."""
        return self.ask('GET', '/v1/openapi.json', 'json')

    def readyz(self) -> Ready:
        """Says whether the server takes work."""
        return self.ask('GET', '/v1/readyz', 'json')

    def sandbox_list(self, *, limit: int | None = None, cursor: str | None = None, name: str | None = None, state: Literal['creating', 'running', 'paused', 'stopping', 'stopped', 'failed', 'deleting'] | None = None, source: str | None = None) -> PageSandbox:
        """Lists sandboxes, newest first."""
        return self.ask('GET', '/v1/sandboxes', 'json', query={'limit': limit, 'cursor': cursor, 'name': name, 'state': state, 'source': source})

    def sandbox_create(self, body: SandboxSpec, *, idempotency_key: str | None = None) -> Sandbox:
        """Creates a sandbox, and answers when it runs. With `Idempotency-Key` a repeated request answers with the
        sandbox that the first one made."""
        return self.ask('POST', '/v1/sandboxes', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def sandbox_fetch(self, sandbox: str, *, if_none_match: str | None = None) -> Sandbox:
        """Looks at a sandbox."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}', 'json', headers={'If-None-Match': if_none_match})

    def sandbox_delete(self, sandbox: str, *, if_match: str | None = None) -> None:
        """Stops a sandbox if need be, and removes it with its files."""
        return self.ask('DELETE', f'/v1/sandboxes/{self.segment(sandbox)}', 'nothing', headers={'If-Match': if_match})

    def accept(self, sandbox: str, *, idempotency_key: str | None = None) -> AcceptOutcome:
        """Approves what the rules of the sandbox let go without a person; the rest stays pending."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/accept', 'json', headers={'Idempotency-Key': idempotency_key})

    def app_status(self, sandbox: str) -> AppStatus:
        """How the app of a sandbox is; of one that does not run, as it was last."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/app', 'json')

    def app_apply(self, sandbox: str, *, idempotency_key: str | None = None) -> AppStatus:
        """Reads `sandbox.yaml` again and makes the app what it says: only what changed is restarted."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/app/apply', 'json', headers={'Idempotency-Key': idempotency_key})

    def app_check(self, sandbox: str, body: AppCheckRequest | None = None, *, idempotency_key: str | None = None) -> AppCheck:
        """Builds the app in a throw-away copy of the sandbox, as `build` of its `sandbox.yaml` says; what runs is
        not touched. The answer comes when the build has ended. Whoever hangs up before gives the check up."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/app/check', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def preview_link(self, sandbox: str, body: PreviewLinkRequest, *, idempotency_key: str | None = None) -> PreviewLink:
        """Makes a link to a port of a sandbox: for one visit within 30 seconds, or for everybody who has it until a
        time. Nobody needs one for a public preview."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/app/link', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def process_log(self, sandbox: str, process: str, *, tail: int | None = None) -> ProcessLog:
        """The last lines of a process's log, whether or not it runs."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/app/processes/{self.segment(process)}/logs', 'json', query={'tail': tail})

    def process_output_stream(self, sandbox: str, process: str, *, offset: int | None = None, follow: bool | None = None, last_event_id: str | None = None) -> Iterator[ServerSentEvent]:
        """Streams a process's log: events `stdout` and `stderr` (`OutputChunk`), `note` where the supervisor says
        something, and `gap`. `Last-Event-ID` resumes exactly after that event. Restarts of the process do not end
        the stream."""
        return self.follow('GET', f'/v1/sandboxes/{self.segment(sandbox)}/app/processes/{self.segment(process)}/output', query={'offset': offset, 'follow': follow}, headers={'Last-Event-ID': last_event_id})

    def process_restart(self, sandbox: str, process: str, *, idempotency_key: str | None = None) -> ProcessStatus:
        """Ends a process, where it runs, and starts it."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/app/processes/{self.segment(process)}/restart', 'json', headers={'Idempotency-Key': idempotency_key})

    def process_start(self, sandbox: str, process: str, *, idempotency_key: str | None = None) -> ProcessStatus:
        """Starts a process that was stopped, has exited or has given up."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/app/processes/{self.segment(process)}/start', 'json', headers={'Idempotency-Key': idempotency_key})

    def process_stop(self, sandbox: str, process: str, *, idempotency_key: str | None = None) -> ProcessStatus:
        """Ends a process and keeps it ended until it is started, or the app is applied again."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/app/processes/{self.segment(process)}/stop', 'json', headers={'Idempotency-Key': idempotency_key})

    def approve(self, sandbox: str, body: ApproveRequest, *, if_match: str | None = None, idempotency_key: str | None = None) -> ApproveOutcome:
        """Writes changes to the source, all or nothing. The same request again has the same result."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/approve', 'json', headers={'If-Match': if_match, 'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def change_list(self, sandbox: str, *, limit: int | None = None, cursor: str | None = None) -> ChangesPage:
        """Lists the changes of one instant, ordered by path. The pages of one list are of the same instant. The
        `ETag` is for `If-Match` of approve and reject."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/changes', 'json', query={'limit': limit, 'cursor': cursor})

    def change_hunks(self, sandbox: str, *, path: str | None = None, path_b64: str | None = None) -> FileHunks:
        """Shows one changed text file as hunks."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/changes/hunks', 'json', query={'path': path, 'path_b64': path_b64})

    def checkpoint_list(self, sandbox: str, *, limit: int | None = None, cursor: str | None = None) -> PageCheckpoint:
        """Lists the checkpoints of a sandbox, newest first."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/checkpoints', 'json', query={'limit': limit, 'cursor': cursor})

    def checkpoint_create(self, sandbox: str, body: CheckpointCreateRequest | None = None, *, idempotency_key: str | None = None) -> Checkpoint:
        """Keeps the workspace as it is now. What runs is frozen only while it is copied."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/checkpoints', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def checkpoint_fetch(self, sandbox: str, checkpoint: str) -> Checkpoint:
        """Looks at one checkpoint."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/checkpoints/{self.segment(checkpoint)}', 'json')

    def checkpoint_delete(self, sandbox: str, checkpoint: str, *, if_match: str | None = None) -> None:
        """Removes a checkpoint. Others that share files with it keep them."""
        return self.ask('DELETE', f'/v1/sandboxes/{self.segment(sandbox)}/checkpoints/{self.segment(checkpoint)}', 'nothing', headers={'If-Match': if_match})

    def checkpoint_changes(self, sandbox: str, checkpoint: str, *, to: str | None = None) -> CheckpointChanges:
        """Lists everything that differs between a checkpoint and another point, ordered by path."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/checkpoints/{self.segment(checkpoint)}/changes', 'json', query={'to': to})

    def checkpoint_diff(self, sandbox: str, checkpoint: str, *, to: str | None = None) -> str:
        """Shows the same as a patch that `git apply` accepts."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/checkpoints/{self.segment(checkpoint)}/diff', 'text', query={'to': to})

    def checkpoint_restore(self, sandbox: str, checkpoint: str, *, idempotency_key: str | None = None) -> CheckpointRestored:
        """Makes the workspace what a checkpoint has. What is there now is kept as a checkpoint first."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/checkpoints/{self.segment(checkpoint)}/restore', 'json', headers={'Idempotency-Key': idempotency_key})

    def config_list(self, sandbox: str, *, limit: int | None = None, cursor: str | None = None) -> PageConfigItem:
        """Lists the settings and secrets of a sandbox by name. The value of a secret is never shown."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/config', 'json', query={'limit': limit, 'cursor': cursor})

    def config_create(self, sandbox: str, body: ConfigCreateRequest, *, restart: bool | None = None, idempotency_key: str | None = None) -> ConfigChanged:
        """Gives a sandbox a setting or a secret, a secret by default."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/config', 'json', query={'restart': restart}, headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def config_remove(self, sandbox: str, key: str, *, restart: bool | None = None, if_match: str | None = None) -> ConfigRemoved:
        """Removes a setting or a secret."""
        return self.ask('DELETE', f'/v1/sandboxes/{self.segment(sandbox)}/config/{self.segment(key)}', 'json', query={'restart': restart}, headers={'If-Match': if_match})

    def config_update(self, sandbox: str, key: str, body: ConfigUpdateRequest, *, restart: bool | None = None, if_match: str | None = None) -> ConfigChanged:
        """Changes the value of a setting or a secret, or who gets it. Without `value`, the value stays as it is."""
        return self.ask('PATCH', f'/v1/sandboxes/{self.segment(sandbox)}/config/{self.segment(key)}', 'json', query={'restart': restart}, headers={'If-Match': if_match}, body=body, media='application/json')

    def credential_why(self, sandbox: str, *, host: str, port: int | None = None, method: str | None = None, path: str | None = None) -> CredentialWhyAnswer:
        """Says which credentials a request from a sandbox would get, and why not the others. Nothing is sent."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/credentials/why', 'json', query={'host': host, 'port': port, 'method': method, 'path': path})

    def declined_list(self, sandbox: str) -> DeclinedList:
        """Lists what was rejected, with what the person said about it."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/declined', 'json')

    def diff(self, sandbox: str, *, path: str | None = None, path_b64: str | None = None) -> str:
        """Shows the changes as a patch that `git apply` accepts."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/diff', 'text', query={'path': path, 'path_b64': path_b64})

    def sandbox_event_list(self, sandbox: str, *, limit: int | None = None, cursor: str | None = None, order: Literal['asc', 'desc'] | None = None, type: list[Literal['created', 'running', 'adopted', 'paused', 'resumed', 'stopped', 'failed', 'deleted', 'exec_started', 'exec_ended', 'approved', 'undone', 'approve_recovered', 'approve_kept', 'rejected', 'refreshed', 'checkpoint_made', 'checkpoint_restored', 'checkpoint_reverted', 'manifest_invalid', 'process_ready', 'process_unhealthy', 'process_ended', 'process_given_up', 'build_checked', 'egress_denied', 'credential_echoed', 'credential_expired', 'config_changed', 'app_created', 'app_cloned', 'app_updated', 'app_deleted', 'sandbox_replaced', 'disk_warning', 'disk_exceeded', 'data_disk_low', 'total_disk_warning', 'quota_warning', 'lease_ending', 'webhook_disabled', 'task_queued', 'task_started', 'task_waiting', 'task_finished']] | None = None, last_event_id: str | None = None) -> PageEvent:
        """Lists events of a sandbox, oldest first; or streams them, with `Accept: text/event-stream`. As `GET
        /v1/events`; a stream ends with its sandbox."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/events', 'json', query={'limit': limit, 'cursor': cursor, 'order': order, 'type': type}, headers={'Last-Event-ID': last_event_id})

    def sandbox_event_list_stream(self, sandbox: str, *, limit: int | None = None, cursor: str | None = None, order: Literal['asc', 'desc'] | None = None, type: list[Literal['created', 'running', 'adopted', 'paused', 'resumed', 'stopped', 'failed', 'deleted', 'exec_started', 'exec_ended', 'approved', 'undone', 'approve_recovered', 'approve_kept', 'rejected', 'refreshed', 'checkpoint_made', 'checkpoint_restored', 'checkpoint_reverted', 'manifest_invalid', 'process_ready', 'process_unhealthy', 'process_ended', 'process_given_up', 'build_checked', 'egress_denied', 'credential_echoed', 'credential_expired', 'config_changed', 'app_created', 'app_cloned', 'app_updated', 'app_deleted', 'sandbox_replaced', 'disk_warning', 'disk_exceeded', 'data_disk_low', 'total_disk_warning', 'quota_warning', 'lease_ending', 'webhook_disabled', 'task_queued', 'task_started', 'task_waiting', 'task_finished']] | None = None, last_event_id: str | None = None) -> Iterator[ServerSentEvent]:
        """Lists events of a sandbox, oldest first; or streams them, with `Accept: text/event-stream`. As `GET
        /v1/events`; a stream ends with its sandbox."""
        return self.follow('GET', f'/v1/sandboxes/{self.segment(sandbox)}/events', query={'limit': limit, 'cursor': cursor, 'order': order, 'type': type}, headers={'Last-Event-ID': last_event_id})

    def exec_list(self, sandbox: str) -> PageExec:
        """Lists the execs of a sandbox, newest first; the last 200."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/execs', 'json')

    def exec_create(self, sandbox: str, body: ExecCreateRequest, *, idempotency_key: str | None = None) -> ExecResult:
        """Starts a command; with `wait`, answers with its output and status when it has ended."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/execs', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def exec_fetch(self, sandbox: str, exec: str) -> Exec:
        """Looks at an exec."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/execs/{self.segment(exec)}', 'json')

    def exec_output_stream(self, sandbox: str, exec: str, *, offset: int | None = None, follow: bool | None = None, last_event_id: str | None = None) -> Iterator[ServerSentEvent]:
        """Streams output: events `stdout` and `stderr` (`OutputChunk`), `gap` where output was dropped, and last
        `end` (`ExecEnd`) or `lost`. `Last-Event-ID` resumes exactly after that event. `problem` is the last event
        when we failed; come back with the last id."""
        return self.follow('GET', f'/v1/sandboxes/{self.segment(sandbox)}/execs/{self.segment(exec)}/output', query={'offset': offset, 'follow': follow}, headers={'Last-Event-ID': last_event_id})

    def exec_signal(self, sandbox: str, exec: str, body: SignalRequest, *, idempotency_key: str | None = None) -> None:
        """Signals the process group of an exec. One that has ended is left alone, and that is no error."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/execs/{self.segment(exec)}/signal', 'nothing', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def file_list(self, sandbox: str, *, path: str | None = None, path_b64: str | None = None) -> FileList:
        """Lists what a directory holds."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/files', 'json', query={'path': path, 'path_b64': path_b64})

    def file_remove(self, sandbox: str, *, path: str | None = None, path_b64: str | None = None, recursive: bool | None = None) -> None:
        """Removes a file, or a directory."""
        return self.ask('DELETE', f'/v1/sandboxes/{self.segment(sandbox)}/files', 'nothing', query={'path': path, 'path_b64': path_b64, 'recursive': recursive})

    def archive_read(self, sandbox: str, *, path: str | None = None, path_b64: str | None = None) -> bytes:
        """Reads a directory, or one file, as a tar archive: links as links, without owners. A connection that ends
        before the archive does says that it could not be finished."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/files/archive', 'bytes', query={'path': path, 'path_b64': path_b64})

    def archive_write(self, sandbox: str, body: bytes, *, path: str | None = None, path_b64: str | None = None) -> ArchiveResult:
        """Unpacks a tar archive into a directory, which is made if it is missing. What would leave it is refused,
        and what came before stays."""
        return self.ask('PUT', f'/v1/sandboxes/{self.segment(sandbox)}/files/archive', 'json', query={'path': path, 'path_b64': path_b64}, body=body, media='application/x-tar')

    def file_read(self, sandbox: str, *, path: str | None = None, path_b64: str | None = None, range: str | None = None) -> bytes:
        """Reads a regular file; one `Range` of bytes is honored."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/files/content', 'bytes', query={'path': path, 'path_b64': path_b64}, headers={'Range': range})

    def file_write(self, sandbox: str, body: bytes, *, path: str | None = None, path_b64: str | None = None, mode: str | None = None) -> FileEntry:
        """Replaces a file at once, or makes it and the directories above it."""
        return self.ask('PUT', f'/v1/sandboxes/{self.segment(sandbox)}/files/content', 'json', query={'path': path, 'path_b64': path_b64, 'mode': mode}, body=body, media='application/octet-stream')

    def directory_create(self, sandbox: str, body: MkdirRequest, *, idempotency_key: str | None = None) -> FileEntry:
        """Makes a directory and those above it; one that is there is fine."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/files/mkdir', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def file_move(self, sandbox: str, body: MoveRequest, *, idempotency_key: str | None = None) -> FileEntry:
        """Moves a file or a directory."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/files/move', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def file_search(self, sandbox: str, *, path: str | None = None, path_b64: str | None = None, text: str | None = None, name: str | None = None, limit: int | None = None) -> SearchResult:
        """Searches names and lines."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/files/search', 'json', query={'path': path, 'path_b64': path_b64, 'text': text, 'name': name, 'limit': limit})

    def file_stat(self, sandbox: str, *, path: str | None = None, path_b64: str | None = None) -> FileEntry:
        """Says what a path is."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/files/stat', 'json', query={'path': path, 'path_b64': path_b64})

    def keepalive(self, sandbox: str, body: KeepaliveRequest, *, idempotency_key: str | None = None) -> Sandbox:
        """Keeps a sandbox from sleeping until a time. A later request replaces an earlier one."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/keepalive', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def network_fetch(self, sandbox: str) -> NetworkSpec:
        """Looks at what a sandbox may reach, beside what the server lets every sandbox reach."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/network', 'json')

    def network_update(self, sandbox: str, body: NetworkChange, *, if_match: str | None = None) -> NetworkSpec:
        """Changes what a sandbox may reach, while it runs. It holds at once, and connections that are no longer
        allowed end."""
        return self.ask('PATCH', f'/v1/sandboxes/{self.segment(sandbox)}/network', 'json', headers={'If-Match': if_match}, body=body, media='application/json')

    def network_log(self, sandbox: str, *, limit: int | None = None, cursor: str | None = None) -> PageNetworkEntry:
        """Lists what a sandbox reached and what it was refused, newest first."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/network/log', 'json', query={'limit': limit, 'cursor': cursor})

    def network_why(self, sandbox: str, *, host: str, port: int | None = None) -> NetworkWhy:
        """Says whether a sandbox may reach a host now, by which rule, and what is decided about each of its
        addresses. A host that is refused by its name is not looked up."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/network/why', 'json', query={'host': host, 'port': port})

    def sandbox_pause(self, sandbox: str, *, idempotency_key: str | None = None) -> Sandbox:
        """Freezes a sandbox with its memory."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/pause', 'json', headers={'Idempotency-Key': idempotency_key})

    def pull(self, sandbox: str, body: PullRequest, *, idempotency_key: str | None = None) -> PullOutcome:
        """Brings the commits that were made in the sandbox to the source's repository, as a branch. Objects only,
        each one checked; nothing is checked out. The sandbox must run."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/pull', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def refresh(self, sandbox: str, body: RefreshRequest, *, if_match: str | None = None, idempotency_key: str | None = None) -> RefreshOutcome:
        """Brings the host's newer state into the workspace, by the merge that an approve would make. All or nothing."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/refresh', 'json', headers={'If-Match': if_match, 'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def reject(self, sandbox: str, body: RejectRequest, *, if_match: str | None = None, idempotency_key: str | None = None) -> RejectOutcome:
        """Drops changes: the workspace has again what the source has."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/reject', 'json', headers={'If-Match': if_match, 'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def sandbox_resume(self, sandbox: str, *, idempotency_key: str | None = None) -> Sandbox:
        """Lets a paused sandbox run on."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/resume', 'json', headers={'Idempotency-Key': idempotency_key})

    def revert(self, sandbox: str, body: RevertRequest, *, idempotency_key: str | None = None) -> Reverted:
        """Takes back exactly what differs between two checkpoints, all or nothing, and nothing that came later.
        Later edits of the same texts are merged where they lie apart; else the answer is 409 with the paths."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/revert', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def sandbox_start(self, sandbox: str, *, idempotency_key: str | None = None) -> Sandbox:
        """Starts a stopped or failed sandbox over the files that were kept."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/start', 'json', headers={'Idempotency-Key': idempotency_key})

    def sandbox_stop(self, sandbox: str, body: StopRequest | None = None, *, idempotency_key: str | None = None) -> Sandbox:
        """Stops a sandbox: asks, waits, kills. Its files are kept."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/stop', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def task_list(self, sandbox: str, *, limit: int | None = None, cursor: str | None = None, state: TaskState | None = None) -> PageTask:
        """Lists tasks of a sandbox, newest first. Of a prompt that is long the beginning."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/tasks', 'json', query={'limit': limit, 'cursor': cursor, 'state': state})

    def task_create(self, sandbox: str, body: TaskSpec, *, idempotency_key: str | None = None) -> Task:
        """Asks an agent to do something in a sandbox. Tasks of one sandbox are done one after the other; one that
        sleeps is woken."""
        return self.ask('POST', f'/v1/sandboxes/{self.segment(sandbox)}/tasks', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def sandbox_usage(self, sandbox: str) -> SandboxUsage:
        """What a sandbox uses now."""
        return self.ask('GET', f'/v1/sandboxes/{self.segment(sandbox)}/usage', 'json')

    def secrets_rotate(self, *, idempotency_key: str | None = None) -> SecretRotation:
        """Seals every secret of the server with a new key, while everything runs, and drops the old one."""
        return self.ask('POST', '/v1/secrets/rotate', 'json', headers={'Idempotency-Key': idempotency_key})

    def settings_fetch(self) -> Settings:
        """Looks at the settings that can be changed while the server runs, and at what a client may want to know
        beside them."""
        return self.ask('GET', '/v1/settings', 'json')

    def settings_update(self, body: SettingsUpdateRequest, *, if_match: str | None = None) -> Settings:
        """Changes settings, all or none of them. They hold at once, and when the server is started again. What was
        said when the server was started, in its file, its environment or on its command line, stays."""
        return self.ask('PATCH', '/v1/settings', 'json', headers={'If-Match': if_match}, body=body, media='application/json')

    def task_fetch(self, task: str) -> Task:
        """Looks at a task."""
        return self.ask('GET', f'/v1/tasks/{self.segment(task)}', 'json')

    def task_answer(self, task: str, body: TaskAnswerRequest, *, idempotency_key: str | None = None) -> Task:
        """Answers a question of an agent. The first answer holds."""
        return self.ask('POST', f'/v1/tasks/{self.segment(task)}/answer', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def task_cancel(self, task: str, *, idempotency_key: str | None = None) -> Task:
        """Ends a task: its agent is asked to stop, after 5 seconds told to, after 5 more killed. What it changed
        stays."""
        return self.ask('POST', f'/v1/tasks/{self.segment(task)}/cancel', 'json', headers={'Idempotency-Key': idempotency_key})

    def task_event_list(self, task: str, *, limit: int | None = None, cursor: str | None = None, last_event_id: str | None = None) -> PageTaskEvent:
        """Lists what happened in a task, oldest first; or streams it until the task is over, with `Accept:
        text/event-stream`. From disk, also when the sandbox sleeps or is gone. Each event has its `seq` as id;
        `cursor` and `Last-Event-ID` go on behind one."""
        return self.ask('GET', f'/v1/tasks/{self.segment(task)}/events', 'json', query={'limit': limit, 'cursor': cursor}, headers={'Last-Event-ID': last_event_id})

    def task_event_list_stream(self, task: str, *, limit: int | None = None, cursor: str | None = None, last_event_id: str | None = None) -> Iterator[ServerSentEvent]:
        """Lists what happened in a task, oldest first; or streams it until the task is over, with `Accept:
        text/event-stream`. From disk, also when the sandbox sleeps or is gone. Each event has its `seq` as id;
        `cursor` and `Last-Event-ID` go on behind one."""
        return self.follow('GET', f'/v1/tasks/{self.segment(task)}/events', query={'limit': limit, 'cursor': cursor}, headers={'Last-Event-ID': last_event_id})

    def task_revert(self, task: str, *, idempotency_key: str | None = None) -> Reverted:
        """Takes back exactly what a task changed, all or nothing, and nothing that came later. Later edits of the
        same texts are merged where they lie apart; else the answer is 409 with the paths."""
        return self.ask('POST', f'/v1/tasks/{self.segment(task)}/revert', 'json', headers={'Idempotency-Key': idempotency_key})

    def tenant_list(self, *, limit: int | None = None, cursor: str | None = None) -> PageTenant:
        """Lists tenants, oldest first."""
        return self.ask('GET', '/v1/tenants', 'json', query={'limit': limit, 'cursor': cursor})

    def tenant_create(self, body: TenantCreateRequest, *, idempotency_key: str | None = None) -> Tenant:
        """Makes a tenant. Its first user is added with `POST /v1/users?tenant=`."""
        return self.ask('POST', '/v1/tenants', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def tenant_fetch(self, tenant: str) -> Tenant:
        """Looks at a tenant."""
        return self.ask('GET', f'/v1/tenants/{self.segment(tenant)}', 'json')

    def tenant_update(self, tenant: str, body: TenantUpdateRequest, *, if_match: str | None = None) -> Tenant:
        """Changes what a tenant may have. What it has already stays."""
        return self.ask('PATCH', f'/v1/tenants/{self.segment(tenant)}', 'json', headers={'If-Match': if_match}, body=body, media='application/json')

    def upkeep(self) -> Upkeep:
        """How the server keeps itself in order: what each part of that last did, and when it runs next."""
        return self.ask('GET', '/v1/upkeep', 'json')

    def disk_usage(self) -> DiskUsage:
        """What the sandboxes of the tenant hold on disk, the largest first; measured now."""
        return self.ask('GET', '/v1/usage', 'json')

    def user_list(self, *, limit: int | None = None, cursor: str | None = None, tenant: str | None = None) -> PageUser:
        """Lists the users of a tenant, oldest first."""
        return self.ask('GET', '/v1/users', 'json', query={'limit': limit, 'cursor': cursor, 'tenant': tenant})

    def user_create(self, body: UserCreateRequest, *, tenant: str | None = None, idempotency_key: str | None = None) -> User:
        """Adds a user to a tenant, who may do at most what one may oneself."""
        return self.ask('POST', '/v1/users', 'json', query={'tenant': tenant}, headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def user_fetch(self, user: str, *, tenant: str | None = None) -> User:
        """Looks at a user."""
        return self.ask('GET', f'/v1/users/{self.segment(user)}', 'json', query={'tenant': tenant})

    def user_delete(self, user: str, *, tenant: str | None = None, if_match: str | None = None) -> None:
        """Removes a user; the user's sessions and keys end."""
        return self.ask('DELETE', f'/v1/users/{self.segment(user)}', 'nothing', query={'tenant': tenant}, headers={'If-Match': if_match})

    def user_update(self, user: str, body: UserUpdateRequest, *, tenant: str | None = None, if_match: str | None = None) -> User:
        """Changes the role or the password of a user. A new password ends the user's sessions."""
        return self.ask('PATCH', f'/v1/users/{self.segment(user)}', 'json', query={'tenant': tenant}, headers={'If-Match': if_match}, body=body, media='application/json')

    def webhook_list(self, *, limit: int | None = None, cursor: str | None = None) -> PageWebhook:
        """Lists webhooks, oldest first."""
        return self.ask('GET', '/v1/webhooks', 'json', query={'limit': limit, 'cursor': cursor})

    def webhook_create(self, body: WebhookCreateRequest, *, idempotency_key: str | None = None) -> WebhookWithSecret:
        """Makes a webhook, for what happens from now on. The secret is in this answer, and never again."""
        return self.ask('POST', '/v1/webhooks', 'json', headers={'Idempotency-Key': idempotency_key}, body=body, media='application/json')

    def webhook_fetch(self, webhook: str) -> Webhook:
        """Looks at a webhook."""
        return self.ask('GET', f'/v1/webhooks/{self.segment(webhook)}', 'json')

    def webhook_delete(self, webhook: str, *, if_match: str | None = None) -> None:
        """Removes a webhook."""
        return self.ask('DELETE', f'/v1/webhooks/{self.segment(webhook)}', 'nothing', headers={'If-Match': if_match})

    def webhook_update(self, webhook: str, body: WebhookUpdateRequest, *, if_match: str | None = None) -> Webhook:
        """Changes a webhook."""
        return self.ask('PATCH', f'/v1/webhooks/{self.segment(webhook)}', 'json', headers={'If-Match': if_match}, body=body, media='application/json')

    def webhook_deliveries(self, webhook: str, *, limit: int | None = None, cursor: str | None = None) -> PageWebhookDelivery:
        """Lists the last attempts of a webhook, newest first."""
        return self.ask('GET', f'/v1/webhooks/{self.segment(webhook)}/deliveries', 'json', query={'limit': limit, 'cursor': cursor})

    def webhook_rotate(self, webhook: str, *, idempotency_key: str | None = None) -> WebhookWithSecret:
        """Gives a webhook a new secret, which is in this answer, and never again. The one before signs as well for a
        day."""
        return self.ask('POST', f'/v1/webhooks/{self.segment(webhook)}/rotate', 'json', headers={'Idempotency-Key': idempotency_key})

    def webhook_test(self, webhook: str, *, idempotency_key: str | None = None) -> WebhookDelivery:
        """Sends a message of the type `webhook_test`, once, and says what became of it."""
        return self.ask('POST', f'/v1/webhooks/{self.segment(webhook)}/test', 'json', headers={'Idempotency-Key': idempotency_key})
