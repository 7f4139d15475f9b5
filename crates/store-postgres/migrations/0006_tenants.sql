-- Whom everything belongs to. What is older than tenants belongs to the one that every server has.
CREATE TABLE tenant (
    id           TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL UNIQUE,
    -- As JSON text.
    quota        TEXT NOT NULL,
    -- Directories of the host that sandboxes may be made over, as JSON text; NULL for any.
    source_roots TEXT,
    created_at   BIGINT NOT NULL
);

INSERT INTO tenant (id, name, quota, source_roots, created_at)
VALUES ('tn_00000000000000000000000000000000', 'default', '{}', NULL, 0);

CREATE TABLE user_account (
    id            TEXT COLLATE "C" PRIMARY KEY,
    tenant_id     TEXT COLLATE "C" NOT NULL REFERENCES tenant (id),
    name          TEXT COLLATE "C" NOT NULL,
    role          TEXT NOT NULL,
    -- argon2id, in the PHC string format; NULL for a user without a password.
    password_hash TEXT,
    created_at    BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

-- Of a key only its SHA-256 is here: whoever reads this table cannot ask for anything.
CREATE TABLE api_key (
    id           TEXT COLLATE "C" PRIMARY KEY,
    tenant_id    TEXT COLLATE "C" NOT NULL REFERENCES tenant (id),
    -- Whose key it is; it goes with the user, and is never worth more than the user is. NULL: the operator's.
    user_id      TEXT COLLATE "C" REFERENCES user_account (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    hash         BYTEA NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT
);

CREATE INDEX api_key_of_tenant ON api_key (tenant_id, id);
CREATE INDEX api_key_of_user ON api_key (user_id);

CREATE TABLE session (
    id           TEXT COLLATE "C" PRIMARY KEY,
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    hash         BYTEA NOT NULL UNIQUE,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX session_of_user ON session (user_id);

-- No reference, as in SQLite. Tenants are not removed while they have anything.
ALTER TABLE sandbox ADD COLUMN tenant_id TEXT COLLATE "C" NOT NULL DEFAULT 'tn_00000000000000000000000000000000';
DROP INDEX sandbox_living_name;
CREATE UNIQUE INDEX sandbox_living_name ON sandbox (tenant_id, name) WHERE deleted_at IS NULL;

ALTER TABLE approve ADD COLUMN tenant_id TEXT COLLATE "C" NOT NULL DEFAULT 'tn_00000000000000000000000000000000';
CREATE INDEX approve_of_tenant ON approve (tenant_id, seq);

ALTER TABLE idempotency_key ADD COLUMN tenant_id TEXT COLLATE "C" NOT NULL DEFAULT 'tn_00000000000000000000000000000000';
ALTER TABLE idempotency_key ALTER COLUMN tenant_id DROP DEFAULT;
ALTER TABLE idempotency_key DROP CONSTRAINT idempotency_key_pkey;
ALTER TABLE idempotency_key ADD PRIMARY KEY (tenant_id, route, key);
