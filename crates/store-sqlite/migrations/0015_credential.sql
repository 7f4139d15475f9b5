-- Secrets that are put into requests on their way out. The values are among the configuration, sealed, with the id as
-- their scope.
CREATE TABLE credential (
    id          TEXT PRIMARY KEY NOT NULL,
    tenant_id   TEXT NOT NULL REFERENCES tenant (id),
    -- Whose: the id of the tenant, of an app, or of a sandbox.
    scope_id    TEXT NOT NULL,
    name        TEXT NOT NULL,
    -- Which agent it is for, where it is for one.
    agent       TEXT,
    -- The variable that has the placeholder inside.
    env         TEXT,
    placeholder TEXT NOT NULL,
    -- As JSON text: an array.
    rules       TEXT NOT NULL,
    -- As JSON text: how it is renewed, where an endpoint is known that does so.
    renewal     TEXT,
    generation  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (tenant_id, scope_id, name)
) STRICT;
