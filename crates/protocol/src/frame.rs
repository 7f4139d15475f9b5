//! Frames: a length of four bytes, little endian, then that many bytes.

/// Bytes that one frame carries at the most. SECURITY: a peer cannot make the other side allocate more than this.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// A frame that breaks the rules; the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {bytes} bytes is longer than the {FRAME_BYTES_MAX} allowed")]
    TooLong {
        /// The length it claims.
        bytes: usize,
    },
    /// A frame carries at least one byte.
    #[error("an empty frame")]
    Empty,
}

/// Puts the length before `payload`.
///
/// # Errors
/// The payload is empty, or longer than [`FRAME_BYTES_MAX`].
pub fn encode_frame(payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    let length = check(payload.len())?;
    let mut frame = Vec::with_capacity(4 + payload.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// Finds frames in bytes that come in pieces of any size.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    bytes: Vec<u8>,
    read: usize,
}

impl FrameDecoder {
    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next whole frame's payload, or `None` until more bytes come.
    ///
    /// # Errors
    /// The length breaks the rules. It does so again at every further call.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let Some((length, rest)) = self.bytes[self.read..].split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        check(length)?;
        if rest.len() < length {
            return Ok(None);
        }
        let begin = self.read + 4;
        self.read = begin + length;
        Ok(Some(&self.bytes[begin..self.read]))
    }

    /// How many bytes wait that are not a whole frame yet, or were not asked for.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.bytes.len() - self.read
    }

    /// Takes the bytes that follow the frames already returned: the connection changes its language here.
    #[must_use]
    pub fn into_rest(mut self) -> Vec<u8> {
        self.bytes.split_off(self.read)
    }
}

fn check(length: usize) -> Result<u32, FrameError> {
    match u32::try_from(length) {
        Ok(0) => Err(FrameError::Empty),
        Ok(short) if length <= FRAME_BYTES_MAX => Ok(short),
        Ok(_) | Err(_) => Err(FrameError::TooLong { bytes: length }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut(payloads in vec(vec(any::<u8>(), 1..200), 0..8), step in 1_usize..64) {
            let mut wire = Vec::new();
            for payload in &payloads {
                wire.extend(encode_frame(payload).unwrap());
            }
            let mut decoder = FrameDecoder::default();
            let mut seen = Vec::new();
            for piece in wire.chunks(step) {
                decoder.push(piece);
                while let Some(payload) = decoder.next_frame().unwrap() {
                    seen.push(payload.to_vec());
                }
            }
            prop_assert_eq!(seen, payloads);
            prop_assert_eq!(decoder.pending_bytes(), 0);
        }

        #[test]
        fn garbage_never_panics(pieces in vec(vec(any::<u8>(), 0..64), 0..16)) {
            let mut decoder = FrameDecoder::default();
            for piece in &pieces {
                decoder.push(piece);
                while let Ok(Some(payload)) = decoder.next_frame() {
                    prop_assert!(!payload.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_length_beyond_the_cap_is_refused_before_its_bytes_come() {
        let mut decoder = FrameDecoder::default();
        decoder.push(&(u32::try_from(FRAME_BYTES_MAX).unwrap() + 1).to_le_bytes());
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong { .. })));
        assert_eq!(encode_frame(&[]), Err(FrameError::Empty));
        assert!(encode_frame(&vec![0; FRAME_BYTES_MAX + 1]).is_err());
    }
}
