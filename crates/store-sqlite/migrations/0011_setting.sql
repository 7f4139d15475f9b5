-- What whoever runs the server changed while it ran. Unset: the row stays, without its value.
CREATE TABLE setting (
    key        TEXT PRIMARY KEY NOT NULL,
    -- As JSON text.
    value      TEXT,
    -- Of all settings together: each change takes the next one.
    generation INTEGER NOT NULL,
    -- Who, as JSON text.
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE tenant ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE user_account ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;

-- A key belongs to who sent it: nobody is shown what another one was answered.
CREATE TABLE idempotency_key_next (
    tenant_id    TEXT NOT NULL,
    principal    TEXT NOT NULL,
    key          TEXT NOT NULL,
    route        TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    sandbox_id   TEXT,
    response     TEXT,
    expires_at   INTEGER NOT NULL,
    replays      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, principal, route, key)
) STRICT, WITHOUT ROWID;

-- Until now a key was the tenant's. Whoever runs the server sent most of them.
INSERT INTO idempotency_key_next
SELECT tenant_id, 'instance', key, route, request_hash, sandbox_id, response, expires_at, replays
FROM idempotency_key;

DROP TABLE idempotency_key;
ALTER TABLE idempotency_key_next RENAME TO idempotency_key;
CREATE INDEX idempotency_key_expires ON idempotency_key (expires_at);
