//! The line behind the archive: a hash of every byte before it. Those that no entry has, such as headers and padding,
//! are covered as well, and so is an archive that was cut off. Tools that read archives do not look behind its end.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

use crate::manifest::measure;

const HEAD: &str = "sandbar-backup-1 sha256 ";
/// Bytes: the head, the hash, and the end of the line.
const LEN: u64 = HEAD.len() as u64 + 64 + 1;

/// Seals what was written to `file`.
pub(crate) fn put(file: &mut File) -> io::Result<()> {
    file.rewind()?;
    let whole = measure(&*file)?;
    file.seek(SeekFrom::End(0))?;
    writeln!(file, "{HEAD}{}", whole.sha256)
}

/// How long the archive before the seal is, and whether it is what was sealed. Leaves `file` at its beginning.
pub(crate) fn check(file: &mut File) -> io::Result<(u64, bool)> {
    let len = file.metadata()?.len();
    let archive = len.saturating_sub(LEN);
    file.rewind()?;
    let whole = measure((&*file).take(archive))?;
    let mut found = Vec::new();
    file.take(LEN + 1).read_to_end(&mut found)?;
    file.rewind()?;
    Ok((archive, found == format!("{HEAD}{}\n", whole.sha256).as_bytes()))
}
