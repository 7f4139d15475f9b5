-- Times are microseconds since the Unix epoch. Paths are bytes. Every row that is rewritten carries a generation.
-- "Sbar": lets a tool, and us, tell this database from any other.
PRAGMA application_id = 0x53626172;

CREATE TABLE sandbox (
    id                TEXT PRIMARY KEY NOT NULL,
    name              TEXT NOT NULL,
    spec              TEXT NOT NULL,
    caller            TEXT NOT NULL,
    state             TEXT NOT NULL,
    generation        INTEGER NOT NULL,
    review_generation INTEGER NOT NULL,
    nonce             TEXT NOT NULL,
    boot_id           TEXT NOT NULL,
    uid_base          INTEGER,
    isolation         TEXT,
    created_at        INTEGER NOT NULL,
    -- Nanoseconds, by the clock that stamps files: what of the source is younger, changed under the sandbox.
    beginning_ns      INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    lease_until       INTEGER,
    last_active_at    INTEGER NOT NULL,
    upper_bytes       INTEGER NOT NULL,
    upper_files       INTEGER NOT NULL,
    deleted_at        INTEGER
) STRICT;

CREATE UNIQUE INDEX sandbox_living_name ON sandbox (name) WHERE deleted_at IS NULL;

CREATE TABLE reservation (
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    path       BLOB NOT NULL,
    PRIMARY KEY (sandbox_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_key (
    key          TEXT NOT NULL,
    route        TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    sandbox_id   TEXT,
    response     TEXT,
    expires_at   INTEGER NOT NULL,
    replays      INTEGER NOT NULL,
    PRIMARY KEY (route, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_key_expires ON idempotency_key (expires_at);

CREATE TABLE operation (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    steps      TEXT NOT NULL,
    nonce      TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    error      TEXT
) STRICT;

CREATE INDEX operation_open ON operation (sandbox_id) WHERE ended_at IS NULL;

CREATE TABLE exec (
    id         TEXT PRIMARY KEY NOT NULL,
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    spec       TEXT NOT NULL,
    state      TEXT NOT NULL,
    is_running INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;

CREATE INDEX exec_of_sandbox ON exec (sandbox_id, id);
CREATE INDEX exec_running ON exec (sandbox_id) WHERE is_running = 1;

CREATE TABLE approved_path (
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    path       BLOB NOT NULL,
    base       TEXT NOT NULL,
    PRIMARY KEY (sandbox_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE approve (
    id           TEXT PRIMARY KEY NOT NULL,
    sandbox_id   TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    diff_id      TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    source       BLOB NOT NULL,
    outcome      TEXT,
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER
) STRICT;

CREATE INDEX approve_of_sandbox ON approve (sandbox_id, id);
CREATE INDEX approve_open ON approve (sandbox_id) WHERE ended_at IS NULL;

CREATE TABLE event (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    at         INTEGER NOT NULL,
    payload    TEXT NOT NULL
) STRICT;

CREATE INDEX event_of_sandbox ON event (sandbox_id, id);
