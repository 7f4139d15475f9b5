-- Settings and secrets. A sandbox owns them for now: its id is the scope. They go when it goes, in the same transaction.
CREATE TABLE config_item (
    tenant_id     TEXT COLLATE "C" NOT NULL,
    scope_id      TEXT COLLATE "C" NOT NULL,
    key           TEXT COLLATE "C" NOT NULL,
    -- One of the two: a secret as it was sealed, or a value that may be read.
    sealed        BYTEA,
    plain         TEXT,
    is_sensitive  BIGINT NOT NULL,
    access        TEXT COLLATE "C" NOT NULL,
    -- Counts the values that were here; part of what a secret is sealed for.
    value_version BIGINT NOT NULL,
    generation    BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, scope_id, key),
    CHECK ((sealed IS NULL) <> (plain IS NULL)),
    CHECK ((sealed IS NOT NULL) = (is_sensitive = 1))
);
