-- The type of an event, so that a feed can be about some types.
ALTER TABLE event ADD COLUMN kind TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE event SET kind = coalesce(payload::json ->> 'type', '');

-- Who asked for what that changes something. No reference: it outlives whom and what it is about.
CREATE TABLE audit_log (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL where nobody was known, and no tenant was named.
    tenant_id   TEXT COLLATE "C",
    at          BIGINT NOT NULL,
    -- As JSON text.
    actor       TEXT NOT NULL,
    -- What tells one actor from another in a query: `account:us_…`, `api_key:ak_…`, `user:0`.
    actor_key   TEXT COLLATE "C" NOT NULL,
    address     TEXT,
    action      TEXT COLLATE "C" NOT NULL,
    target_kind TEXT,
    target_id   TEXT COLLATE "C",
    -- `ok`, `refused` or `failed`.
    outcome     TEXT NOT NULL,
    error_code  TEXT,
    request_id  TEXT NOT NULL,
    -- Names of fields as JSON text, never values.
    detail      TEXT NOT NULL
);

CREATE INDEX audit_of_tenant ON audit_log (tenant_id, id);
CREATE INDEX audit_of_target ON audit_log (target_id, id) WHERE target_id IS NOT NULL;
CREATE INDEX audit_by_time ON audit_log (at);
