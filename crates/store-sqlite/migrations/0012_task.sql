-- What agents were asked to do. What they said and did is in files; it goes with the record.
CREATE TABLE task (
    id              TEXT PRIMARY KEY NOT NULL,
    sandbox_id      TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    -- As JSON text.
    spec            TEXT NOT NULL,
    agent           TEXT NOT NULL,
    -- As JSON text.
    state           TEXT NOT NULL,
    is_final        INTEGER NOT NULL,
    -- Somebody wants it ended; known before it is.
    is_cancel_asked INTEGER NOT NULL,
    exec_id         TEXT,
    -- By what name its agent can be gone on with.
    session         TEXT,
    -- As JSON text.
    question        TEXT,
    result          TEXT,
    generation      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER
) STRICT;

CREATE INDEX task_of_sandbox ON task (sandbox_id, id);
CREATE INDEX task_open ON task (sandbox_id, id) WHERE is_final = 0;
