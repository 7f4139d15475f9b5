-- Whom everything belongs to. What is older than tenants belongs to the one that every server has.
CREATE TABLE tenant (
    id           TEXT PRIMARY KEY NOT NULL,
    name         TEXT NOT NULL UNIQUE,
    -- As JSON text.
    quota        TEXT NOT NULL,
    -- Directories of the host that sandboxes may be made over, as JSON text; NULL for any.
    source_roots TEXT,
    created_at   INTEGER NOT NULL
) STRICT;

INSERT INTO tenant (id, name, quota, source_roots, created_at)
VALUES ('tn_00000000000000000000000000000000', 'default', '{}', NULL, 0);

CREATE TABLE user_account (
    id            TEXT PRIMARY KEY NOT NULL,
    tenant_id     TEXT NOT NULL REFERENCES tenant (id),
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,
    -- argon2id, in the PHC string format; NULL for a user without a password.
    password_hash TEXT,
    created_at    INTEGER NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

-- Of a key only its SHA-256 is here: whoever reads this table cannot ask for anything.
CREATE TABLE api_key (
    id           TEXT PRIMARY KEY NOT NULL,
    tenant_id    TEXT NOT NULL REFERENCES tenant (id),
    -- Whose key it is; it goes with the user, and is never worth more than the user is. NULL: the operator's.
    user_id      TEXT REFERENCES user_account (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE INDEX api_key_of_tenant ON api_key (tenant_id, id);
CREATE INDEX api_key_of_user ON api_key (user_id);

CREATE TABLE session (
    id           TEXT PRIMARY KEY NOT NULL,
    user_id      TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    hash         BLOB NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX session_of_user ON session (user_id);

-- No reference: SQLite adds none with a default. Tenants are not removed while they have anything.
ALTER TABLE sandbox ADD COLUMN tenant_id TEXT NOT NULL DEFAULT 'tn_00000000000000000000000000000000';
DROP INDEX sandbox_living_name;
CREATE UNIQUE INDEX sandbox_living_name ON sandbox (tenant_id, name) WHERE deleted_at IS NULL;

ALTER TABLE approve ADD COLUMN tenant_id TEXT NOT NULL DEFAULT 'tn_00000000000000000000000000000000';
CREATE INDEX approve_of_tenant ON approve (tenant_id, seq);

CREATE TABLE idempotency_key_next (
    tenant_id    TEXT NOT NULL,
    key          TEXT NOT NULL,
    route        TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    sandbox_id   TEXT,
    response     TEXT,
    expires_at   INTEGER NOT NULL,
    replays      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, route, key)
) STRICT, WITHOUT ROWID;

INSERT INTO idempotency_key_next
SELECT 'tn_00000000000000000000000000000000', key, route, request_hash, sandbox_id, response, expires_at, replays
FROM idempotency_key;

DROP TABLE idempotency_key;
ALTER TABLE idempotency_key_next RENAME TO idempotency_key;
CREATE INDEX idempotency_key_expires ON idempotency_key (expires_at);
