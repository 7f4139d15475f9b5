//! Which permission bits an approve writes: the host's, with no more than the executable bits from the workspace.

/// The bits of a regular file that exists on the host: its own, with the executable bits of the workspace.
///
/// An executable bit appears only for those who may read the file, so that a private file stays private.
/// Set-user-id, set-group-id and sticky bits go, as they do when a file is written.
#[must_use]
pub(super) fn of_existing_file(host: u32, workspace: u32) -> u32 {
    let allowed = ((host >> 2) & 0o111) | (host & 0o111);
    (host & 0o666) | (workspace & 0o111 & allowed)
}

/// The bits of a new regular file: 0644, or 0755 where anybody may execute it, less the umask.
#[must_use]
pub(super) fn of_new_file(workspace: u32, umask: u32) -> u32 {
    let mode = if workspace & 0o111 == 0 { 0o644 } else { 0o755 };
    mode & !umask
}

/// The bits of a new directory: 0755 less the umask, and always usable by its owner.
#[must_use]
pub(super) fn of_new_directory(umask: u32) -> u32 {
    (0o755 & !umask) | 0o700
}

/// The bits of a directory that exists on the host: the workspace's, but no new right to write for others.
///
/// Its owner keeps every right: what is below could not be verified or rolled back otherwise.
#[must_use]
pub(super) fn of_existing_directory(host: u32, workspace: u32) -> u32 {
    (host & 0o7000) | (workspace & 0o755) | (workspace & host & 0o022) | 0o700
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_keeps_its_bits_but_for_the_executable_ones() {
        for (host, workspace, expected) in [
            (0o644, 0o644, 0o644),
            (0o644, 0o755, 0o755),
            (0o755, 0o644, 0o644),
            (0o600, 0o755, 0o700),
            (0o664, 0o600, 0o664),
            (0o640, 0o777, 0o750),
            (0o4755, 0o4755, 0o755),
            (0o711, 0o711, 0o711),
        ] {
            let mode = of_existing_file(host, workspace);
            assert_eq!(mode, expected, "{host:o} {workspace:o}");
        }
    }

    #[test]
    fn new_things_take_the_umask_and_no_special_bit() {
        assert_eq!(of_new_file(0o4777, 0o022), 0o755);
        assert_eq!(of_new_file(0o666, 0o077), 0o600);
        assert_eq!(of_new_directory(0o077), 0o700);
        assert_eq!(of_new_directory(0o777), 0o700);
    }

    #[test]
    fn a_directory_opens_up_to_nobody_new_for_writing() {
        assert_eq!(of_existing_directory(0o755, 0o777), 0o755);
        assert_eq!(of_existing_directory(0o775, 0o700), 0o700);
        assert_eq!(of_existing_directory(0o775, 0o777), 0o775);
        assert_eq!(of_existing_directory(0o2755, 0o000), 0o2700);
    }
}
