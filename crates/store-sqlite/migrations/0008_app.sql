-- A named project that outlives its sandboxes.
CREATE TABLE app (
    id                  TEXT PRIMARY KEY NOT NULL,
    tenant_id           TEXT NOT NULL REFERENCES tenant (id),
    name                TEXT NOT NULL,
    description         TEXT NOT NULL,
    -- As JSON text: an array, sorted.
    tags                TEXT NOT NULL,
    -- What another program calls whom and what this app is for.
    external_user_id    TEXT,
    external_project_id TEXT,
    preset              TEXT,
    -- Who may see its previews, where its sandboxes say nothing else.
    visibility          TEXT NOT NULL,
    generation          INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

CREATE INDEX app_of_external_user ON app (tenant_id, external_user_id) WHERE external_user_id IS NOT NULL;

-- A deleted sandbox keeps the id of its app, which may be gone by then, too.
ALTER TABLE sandbox ADD COLUMN app_id TEXT;
-- Whether it is the one that its app is about. What is being replaced is not, and still there.
ALTER TABLE sandbox ADD COLUMN is_current INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX sandbox_current_of_app ON sandbox (app_id)
WHERE app_id IS NOT NULL AND is_current = 1 AND deleted_at IS NULL;

-- Events are the history of an app, a sandbox or a tenant, and outlive all three: there is no reference.
CREATE TABLE event_next (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    tenant_id  TEXT NOT NULL,
    app_id     TEXT,
    sandbox_id TEXT,
    at         INTEGER NOT NULL,
    payload    TEXT NOT NULL
) STRICT;

INSERT INTO event_next (id, tenant_id, sandbox_id, at, payload)
SELECT event.id, sandbox.tenant_id, sandbox_id, at, payload FROM event JOIN sandbox ON sandbox.id = sandbox_id;

DROP TABLE event;
ALTER TABLE event_next RENAME TO event;
CREATE INDEX event_of_sandbox ON event (sandbox_id, id) WHERE sandbox_id IS NOT NULL;
CREATE INDEX event_of_app ON event (app_id, id) WHERE app_id IS NOT NULL;
CREATE INDEX event_of_tenant ON event (tenant_id, id);
