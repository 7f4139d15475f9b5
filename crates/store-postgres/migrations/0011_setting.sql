-- What whoever runs the server changed while it ran. Unset: the row stays, without its value.
CREATE TABLE setting (
    key        TEXT COLLATE "C" PRIMARY KEY,
    -- As JSON text.
    value      TEXT,
    -- Of all settings together: each change takes the next one.
    generation BIGINT NOT NULL,
    -- Who, as JSON text.
    changed_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

ALTER TABLE tenant ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE user_account ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;

-- A key belongs to who sent it: nobody is shown what another one was answered. Until now it was the tenant's; whoever
-- runs the server sent most of them.
ALTER TABLE idempotency_key ADD COLUMN principal TEXT COLLATE "C" NOT NULL DEFAULT 'instance';
ALTER TABLE idempotency_key ALTER COLUMN principal DROP DEFAULT;
ALTER TABLE idempotency_key DROP CONSTRAINT idempotency_key_pkey;
ALTER TABLE idempotency_key ADD PRIMARY KEY (tenant_id, principal, route, key);
