-- The type of an event, so that a feed can be about some types.
ALTER TABLE event ADD COLUMN kind TEXT NOT NULL DEFAULT '';
UPDATE event SET kind = coalesce(json_extract(payload, '$.type'), '');

-- Who asked for what that changes something. No reference: it outlives whom and what it is about.
CREATE TABLE audit_log (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- NULL where nobody was known, and no tenant was named.
    tenant_id   TEXT,
    at          INTEGER NOT NULL,
    -- As JSON text.
    actor       TEXT NOT NULL,
    -- What tells one actor from another in a query: `account:us_…`, `api_key:ak_…`, `user:0`.
    actor_key   TEXT NOT NULL,
    address     TEXT,
    action      TEXT NOT NULL,
    target_kind TEXT,
    target_id   TEXT,
    -- `ok`, `refused` or `failed`.
    outcome     TEXT NOT NULL,
    error_code  TEXT,
    request_id  TEXT NOT NULL,
    -- Names of fields as JSON text, never values.
    detail      TEXT NOT NULL
) STRICT;

CREATE INDEX audit_of_tenant ON audit_log (tenant_id, id);
CREATE INDEX audit_of_target ON audit_log (target_id, id) WHERE target_id IS NOT NULL;
CREATE INDEX audit_by_time ON audit_log (at);
