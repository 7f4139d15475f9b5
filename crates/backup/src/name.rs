//! What may be in a backup. Nothing else is written to one, and nothing else is taken from one: a name that leads
//! anywhere else is refused before a file of it exists.

/// The first entry.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The copy of the database, named as in the data directory.
pub const DATABASE: &str = "sandbar.db";
/// Where sandboxes are.
pub(crate) const SANDBOXES: &str = "sandboxes";
/// What is backed up of the data directory itself, beside the database.
pub(crate) const STATE: [&str; 3] = ["config.toml", "secrets.key", "token"];
/// What belongs to the database that is there, beside it.
pub(crate) const DATABASE_PARTS: [&str; 3] = [DATABASE, "sandbar.db-wal", "sandbar.db-shm"];
/// What is backed up of each sandbox.
pub(crate) const RECORDS: [&str; 2] = ["record.json", "app.json"];

/// Whether `name` may be in a backup.
pub(crate) fn is_known(name: &str) -> bool {
    if name == DATABASE || STATE.contains(&name) {
        return true;
    }
    is_record(name)
}

/// Whether `name` is of a sandbox.
pub(crate) fn is_record(name: &str) -> bool {
    let mut parts = name.split('/');
    let (root, id, file, end) = (parts.next(), parts.next(), parts.next(), parts.next());
    root == Some(SANDBOXES)
        && id.is_some_and(is_id)
        && file.is_some_and(|file| RECORDS.contains(&file))
        && end.is_none()
}

/// Whether `text` has the form of an id.
pub(crate) fn is_id(text: &str) -> bool {
    text.starts_with("sb_")
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
