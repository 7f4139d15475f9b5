-- The commit that the source's repository was at when the workspace began; NULL where there was none.
ALTER TABLE sandbox ADD COLUMN base_commit TEXT;
