-- Points of a sandbox's past; their files lie beside its layers. A row is written when the files are whole.
CREATE TABLE checkpoint (
    -- Ids grow with time, so they are the order, too.
    id         TEXT PRIMARY KEY NOT NULL,
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE,
    -- The task that it is around; no reference, because either may be forgotten first.
    task_id    TEXT,
    kind       TEXT NOT NULL,
    label      TEXT,
    -- What it alone holds on disk, as far as that was known when it was made.
    bytes      INTEGER NOT NULL,
    -- Sockets and devices that it does not hold.
    left_out   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX checkpoint_of_sandbox ON checkpoint (sandbox_id, id);
CREATE INDEX checkpoint_of_task ON checkpoint (task_id) WHERE task_id IS NOT NULL;
