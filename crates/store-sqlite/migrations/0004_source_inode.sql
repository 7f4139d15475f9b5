-- The inode of the source's directory when the workspace began; NULL for an empty workspace, and for one from before.
ALTER TABLE sandbox ADD COLUMN source_inode INTEGER;
