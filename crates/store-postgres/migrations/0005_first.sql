-- What SQLite's migrations up to the same number make. Times are microseconds since the Unix epoch, paths are bytes, a
-- truth is 0 or 1. Text sorts by its bytes, whatever the locale of the database.
-- Lets us tell this database from any other.
CREATE TABLE sandbar (
    application TEXT NOT NULL
);
INSERT INTO sandbar (application) VALUES ('sandbar');

CREATE TABLE sandbox (
    id                TEXT COLLATE "C" PRIMARY KEY,
    name              TEXT COLLATE "C" NOT NULL,
    spec              TEXT NOT NULL,
    caller            TEXT NOT NULL,
    state             TEXT NOT NULL,
    generation        BIGINT NOT NULL,
    review_generation BIGINT NOT NULL,
    nonce             TEXT NOT NULL,
    boot_id           TEXT NOT NULL,
    uid_base          BIGINT,
    isolation         TEXT,
    created_at        BIGINT NOT NULL,
    -- Nanoseconds, by the clock that stamps files: what of the source is younger, changed under the sandbox.
    beginning_ns      BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    lease_until       BIGINT,
    last_active_at    BIGINT NOT NULL,
    upper_bytes       BIGINT NOT NULL,
    upper_files       BIGINT NOT NULL,
    deleted_at        BIGINT,
    -- The commit that the source's repository was at when the workspace began; NULL where there was none.
    base_commit       TEXT,
    -- The inode of the source's directory when the workspace began; NULL for an empty workspace.
    source_inode      BIGINT,
    -- Why a stopped sandbox was stopped, as JSON text: one that sleeps is woken by a request for its preview.
    stop_reason       TEXT,
    -- Until when nothing but a person or its lease stops it.
    keepalive_until   BIGINT
);

CREATE UNIQUE INDEX sandbox_living_name ON sandbox (name) WHERE deleted_at IS NULL;

CREATE TABLE reservation (
    sandbox_id TEXT COLLATE "C" NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    path       BYTEA NOT NULL,
    PRIMARY KEY (sandbox_id, path)
);

CREATE TABLE idempotency_key (
    key          TEXT COLLATE "C" NOT NULL,
    route        TEXT COLLATE "C" NOT NULL,
    request_hash BYTEA NOT NULL,
    sandbox_id   TEXT COLLATE "C",
    response     TEXT,
    expires_at   BIGINT NOT NULL,
    replays      BIGINT NOT NULL,
    PRIMARY KEY (route, key)
);

CREATE INDEX idempotency_key_expires ON idempotency_key (expires_at);

CREATE TABLE operation (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id TEXT COLLATE "C" NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    steps      TEXT NOT NULL,
    nonce      TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT,
    error      TEXT
);

CREATE INDEX operation_open ON operation (sandbox_id) WHERE ended_at IS NULL;

CREATE TABLE exec (
    id         TEXT COLLATE "C" PRIMARY KEY,
    sandbox_id TEXT COLLATE "C" NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    spec       TEXT NOT NULL,
    state      TEXT NOT NULL,
    is_running BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT
);

CREATE INDEX exec_of_sandbox ON exec (sandbox_id, id);
CREATE INDEX exec_running ON exec (sandbox_id) WHERE is_running = 1;

CREATE TABLE approved_path (
    sandbox_id TEXT COLLATE "C" NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    path       BYTEA NOT NULL,
    base       TEXT NOT NULL,
    PRIMARY KEY (sandbox_id, path)
);

CREATE TABLE event (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id TEXT COLLATE "C" NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    at         BIGINT NOT NULL,
    payload    TEXT NOT NULL
);

CREATE INDEX event_of_sandbox ON event (sandbox_id, id);

-- What was approved outlives the sandbox that it came from, so it does not refer to it; its name is copied.
CREATE TABLE approve (
    -- Which came first, whatever the clock of the host did.
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           TEXT COLLATE "C" UNIQUE NOT NULL,
    sandbox_id   TEXT COLLATE "C" NOT NULL,
    sandbox_name TEXT COLLATE "C" NOT NULL,
    actor        TEXT NOT NULL,
    diff_id      TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    source       BYTEA NOT NULL,
    outcome      TEXT,
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    -- How many paths it wrote.
    paths        BIGINT NOT NULL,
    -- The approve that this one takes back.
    undoes       TEXT COLLATE "C",
    -- The approve that took this one back.
    undone_by    TEXT COLLATE "C",
    commit_id    TEXT,
    -- Bytes that the journal keeps for an undo; NULL where it keeps nothing.
    kept_bytes   BIGINT
);

CREATE INDEX approve_of_sandbox ON approve (sandbox_id, seq);
CREATE INDEX approve_of_source ON approve (source, seq);
CREATE INDEX approve_open ON approve (source) WHERE ended_at IS NULL;
CREATE INDEX approve_kept ON approve (source, seq) WHERE kept_bytes IS NOT NULL;

-- Paths are relative to the source, whatever part of it the sandbox could write to.
CREATE TABLE approve_path (
    approve_id TEXT COLLATE "C" NOT NULL REFERENCES approve (id) ON DELETE CASCADE,
    path       BYTEA NOT NULL,
    before     TEXT,
    after      TEXT,
    PRIMARY KEY (approve_id, path)
);
