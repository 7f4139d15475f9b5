//! What a sealed value belongs to.

/// Where a value is kept. One that is moved anywhere else does not open there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The tenant's id.
    pub tenant: &'a str,
    /// What of the tenant it belongs to: an app's id, or a kind.
    pub scope: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Counts the values that were there: an older one cannot be put back.
    pub version: u64,
}

impl Place<'_> {
    /// The associated data. Each part has its length before it: no two places have the same bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"sandbar-secret-1".to_vec();
        for part in [self.tenant, self.scope, self.name] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes
    }
}
