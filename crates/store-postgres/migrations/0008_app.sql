-- A named project that outlives its sandboxes.
CREATE TABLE app (
    id                  TEXT COLLATE "C" PRIMARY KEY,
    tenant_id           TEXT COLLATE "C" NOT NULL REFERENCES tenant (id),
    name                TEXT COLLATE "C" NOT NULL,
    description         TEXT NOT NULL,
    -- As JSON text: an array, sorted.
    tags                TEXT NOT NULL,
    -- What another program calls whom and what this app is for.
    external_user_id    TEXT COLLATE "C",
    external_project_id TEXT COLLATE "C",
    preset              TEXT,
    -- Who may see its previews, where its sandboxes say nothing else.
    visibility          TEXT NOT NULL,
    generation          BIGINT NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

CREATE INDEX app_of_external_user ON app (tenant_id, external_user_id) WHERE external_user_id IS NOT NULL;

-- A deleted sandbox keeps the id of its app, which may be gone by then, too.
ALTER TABLE sandbox ADD COLUMN app_id TEXT COLLATE "C";
-- Whether it is the one that its app is about. What is being replaced is not, and still there.
ALTER TABLE sandbox ADD COLUMN is_current BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX sandbox_current_of_app ON sandbox (app_id)
WHERE app_id IS NOT NULL AND is_current = 1 AND deleted_at IS NULL;

-- Events are the history of an app, a sandbox or a tenant, and outlive all three: there is no reference.
ALTER TABLE event DROP CONSTRAINT event_sandbox_id_fkey;
ALTER TABLE event ALTER COLUMN sandbox_id DROP NOT NULL;
ALTER TABLE event ADD COLUMN tenant_id TEXT COLLATE "C";
ALTER TABLE event ADD COLUMN app_id TEXT COLLATE "C";
UPDATE event SET tenant_id = (SELECT tenant_id FROM sandbox WHERE sandbox.id = event.sandbox_id);
ALTER TABLE event ALTER COLUMN tenant_id SET NOT NULL;
DROP INDEX event_of_sandbox;
CREATE INDEX event_of_sandbox ON event (sandbox_id, id) WHERE sandbox_id IS NOT NULL;
CREATE INDEX event_of_app ON event (app_id, id) WHERE app_id IS NOT NULL;
CREATE INDEX event_of_tenant ON event (tenant_id, id);
