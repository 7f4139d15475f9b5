-- Where events of a tenant are sent to. The secret is among the configuration, sealed, with the id as its scope.
CREATE TABLE webhook (
    id               TEXT COLLATE "C" PRIMARY KEY,
    tenant_id        TEXT COLLATE "C" NOT NULL REFERENCES tenant (id),
    url              TEXT NOT NULL,
    description      TEXT NOT NULL,
    -- As JSON text: an array; every type where it is empty.
    event_types      TEXT NOT NULL,
    app_id           TEXT COLLATE "C",
    is_active        BIGINT NOT NULL,
    -- Why it is not active, where it was not a person who said so.
    disabled_reason  TEXT,
    -- The last event that was delivered. Nothing of an event is copied, so nothing is lost over restarts.
    cursor           BIGINT NOT NULL,
    -- How often the next one was tried, since when, and when it is tried again.
    attempts         BIGINT NOT NULL,
    failing_since    BIGINT,
    next_at          BIGINT,
    -- Until when the secret before signs as well.
    old_secret_until BIGINT,
    generation       BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);

CREATE INDEX webhook_of_tenant ON webhook (tenant_id, id);

-- The last attempts of each.
CREATE TABLE webhook_delivery (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id  TEXT COLLATE "C" NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    -- NULL for a test.
    event_id    BIGINT,
    at          BIGINT NOT NULL,
    attempt     BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status      BIGINT,
    error       TEXT,
    -- The beginning of the answer, escaped.
    response    TEXT NOT NULL
);

CREATE INDEX webhook_delivery_of ON webhook_delivery (webhook_id, id);
