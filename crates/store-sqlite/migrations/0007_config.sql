-- Settings and secrets. A sandbox owns them for now: its id is the scope. They go when it goes, in the same transaction.
CREATE TABLE config_item (
    tenant_id     TEXT NOT NULL,
    scope_id      TEXT NOT NULL,
    key           TEXT NOT NULL,
    -- One of the two: a secret as it was sealed, or a value that may be read.
    sealed        BLOB,
    plain         TEXT,
    is_sensitive  INTEGER NOT NULL,
    access        TEXT NOT NULL,
    -- Counts the values that were here; part of what a secret is sealed for.
    value_version INTEGER NOT NULL,
    generation    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, scope_id, key),
    CHECK ((sealed IS NULL) <> (plain IS NULL)),
    CHECK ((sealed IS NOT NULL) = (is_sensitive = 1))
) STRICT, WITHOUT ROWID;
