//! Random texts that let somebody in, and the hash that is all we keep of them.

use std::{fs::File, io::Read as _};

use sandbar_types::Sha256;
use sha2::Digest as _;

use crate::{Error, Result};

/// 256 random bits as hexadecimal digits.
pub(super) fn generate() -> Result<String> {
    let mut random = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(Error::internal)?;
    Ok(hex(&random))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A fast hash is enough: nobody guesses 256 random bits. Passwords are another matter.
pub(super) fn hash(secret: &str) -> Sha256 {
    Sha256(sha2::Sha256::digest(secret).into())
}
