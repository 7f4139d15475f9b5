-- Where events of a tenant are sent to. The secret is among the configuration, sealed, with the id as its scope.
CREATE TABLE webhook (
    id               TEXT PRIMARY KEY NOT NULL,
    tenant_id        TEXT NOT NULL REFERENCES tenant (id),
    url              TEXT NOT NULL,
    description      TEXT NOT NULL,
    -- As JSON text: an array; every type where it is empty.
    event_types      TEXT NOT NULL,
    app_id           TEXT,
    is_active        INTEGER NOT NULL,
    -- Why it is not active, where it was not a person who said so.
    disabled_reason  TEXT,
    -- The last event that was delivered. Nothing of an event is copied, so nothing is lost over restarts.
    cursor           INTEGER NOT NULL,
    -- How often the next one was tried, since when, and when it is tried again.
    attempts         INTEGER NOT NULL,
    failing_since    INTEGER,
    next_at          INTEGER,
    -- Until when the secret before signs as well.
    old_secret_until INTEGER,
    generation       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX webhook_of_tenant ON webhook (tenant_id, id);

-- The last attempts of each.
CREATE TABLE webhook_delivery (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    webhook_id  TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    -- NULL for a test.
    event_id    INTEGER,
    at          INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    -- The beginning of the answer, escaped.
    response    TEXT NOT NULL
) STRICT;

CREATE INDEX webhook_delivery_of ON webhook_delivery (webhook_id, id);
