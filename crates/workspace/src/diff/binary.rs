//! Content in a diff that is not text: git's `literal`, zlib in base 85.

use std::io::{self, Write};

use flate2::{Compression, write::ZlibEncoder};
use sandbar_types::WorkspacePath;

use super::{DiffError, blob::Blob};

/// Digits of git's base 85, which differ from every other base 85.
const DIGITS: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// Bytes of compressed content on one line; more have no letter.
const LINE_BYTES: usize = 52;

/// Writes one side whole, with the empty line that ends it. No object is written as no bytes.
pub(super) fn write_literal(
    side: Option<&Blob>,
    path: &WorkspacePath,
    out: &mut impl Write,
) -> Result<(), DiffError> {
    writeln!(out, "literal {}", side.map_or(0, Blob::size)).map_err(DiffError::Write)?;
    let lines = Lines { out: &mut *out, pending: Vec::with_capacity(LINE_BYTES) };
    let mut zlib = ZlibEncoder::new(lines, Compression::default());
    if let Some(blob) = side {
        blob.for_each(path, |bytes| zlib.write_all(bytes))?;
    }
    zlib.finish()
        .and_then(Lines::finish)
        .and_then(|()| out.write_all(b"\n"))
        .map_err(DiffError::Write)
}

/// Writes lines of base 85, each with a letter for its length before it.
struct Lines<'a, W> {
    out: &'a mut W,
    pending: Vec<u8>,
}

impl<W: Write> Lines<'_, W> {
    fn finish(mut self) -> io::Result<()> {
        self.write_line()
    }

    fn write_line(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut line = vec![length_letter(self.pending.len())];
        for group in self.pending.chunks(4) {
            let mut word = [0; 4];
            word[..group.len()].copy_from_slice(group);
            line.extend_from_slice(&encode(u32::from_be_bytes(word)));
        }
        line.push(b'\n');
        self.pending.clear();
        self.out.write_all(&line)
    }
}

impl<W: Write> Write for Lines<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(LINE_BYTES - self.pending.len());
        self.pending.extend_from_slice(&bytes[..taken]);
        if self.pending.len() == LINE_BYTES {
            self.write_line()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `A` to `Z` for 1 to 26 bytes, `a` to `z` for 27 to 52.
fn length_letter(bytes: usize) -> u8 {
    const LETTERS: &[u8; LINE_BYTES] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    LETTERS[bytes - 1]
}

fn encode(mut word: u32) -> [u8; 5] {
    let mut digits = [0; 5];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(word % 85) as usize];
        word /= 85;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_with_the_digits_of_git() {
        assert_eq!(&encode(0), b"00000");
        assert_eq!(&encode(u32::MAX), b"|NsC0");
    }
}
