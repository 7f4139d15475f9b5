-- What was approved outlives the sandbox that it came from, so the reference to it goes; its name is copied.
CREATE TABLE approve_next (
    -- Which came first, whatever the clock of the host did.
    seq          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    id           TEXT UNIQUE NOT NULL,
    sandbox_id   TEXT NOT NULL,
    sandbox_name TEXT NOT NULL,
    actor        TEXT NOT NULL,
    diff_id      TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    source       BLOB NOT NULL,
    outcome      TEXT,
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    -- How many paths it wrote.
    paths        INTEGER NOT NULL,
    -- The approve that this one takes back.
    undoes       TEXT,
    -- The approve that took this one back.
    undone_by    TEXT,
    commit_id    TEXT,
    -- Bytes that the journal keeps for an undo; NULL where it keeps nothing.
    kept_bytes   INTEGER
) STRICT;

-- Nobody was asked who it was, and the paths of an outcome have no hashes.
INSERT INTO approve_next (id, sandbox_id, sandbox_name, actor, diff_id, request_hash, source, outcome, started_at,
    ended_at, paths)
SELECT approve.id, sandbox_id, sandbox.name, '{"kind":"unknown"}', diff_id, request_hash, source, outcome, started_at,
    ended_at, 0
FROM approve JOIN sandbox ON sandbox.id = sandbox_id ORDER BY approve.id;

DROP TABLE approve;
ALTER TABLE approve_next RENAME TO approve;

CREATE INDEX approve_of_sandbox ON approve (sandbox_id, seq);
CREATE INDEX approve_of_source ON approve (source, seq);
CREATE INDEX approve_open ON approve (source) WHERE ended_at IS NULL;
CREATE INDEX approve_kept ON approve (source, seq) WHERE kept_bytes IS NOT NULL;

-- Paths are relative to the source, whatever part of it the sandbox could write to.
CREATE TABLE approve_path (
    approve_id TEXT NOT NULL REFERENCES approve (id) ON DELETE CASCADE,
    path       BLOB NOT NULL,
    before     TEXT,
    after      TEXT,
    PRIMARY KEY (approve_id, path)
) STRICT, WITHOUT ROWID;
