-- What agents were asked to do. What they said and did is in files; it goes with the record.
CREATE TABLE task (
    id              TEXT COLLATE "C" PRIMARY KEY,
    sandbox_id      TEXT COLLATE "C" NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    -- As JSON text.
    spec            TEXT NOT NULL,
    agent           TEXT NOT NULL,
    -- As JSON text.
    state           TEXT NOT NULL,
    is_final        BIGINT NOT NULL,
    -- Somebody wants it ended; known before it is.
    is_cancel_asked BIGINT NOT NULL,
    exec_id         TEXT,
    -- By what name its agent can be gone on with.
    session         TEXT,
    -- As JSON text.
    question        TEXT,
    result          TEXT,
    generation      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    started_at      BIGINT,
    finished_at     BIGINT
);

CREATE INDEX task_of_sandbox ON task (sandbox_id, id);
CREATE INDEX task_open ON task (sandbox_id, id) WHERE is_final = 0;
