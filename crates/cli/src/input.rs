//! Standard input for a command inside.

use std::{
    fs::File,
    io::{self, Read},
    os::{fd::AsFd, unix::fs::MetadataExt},
    thread,
};

use tokio::sync::mpsc;

/// LIMIT: bytes of one piece; far below the limit of a message.
const PIECE_BYTES: usize = 32 << 10;
/// LIMIT: pieces that wait to be sent, before reading stops.
const PIECES_QUEUED: usize = 4;

/// Whether stdin holds, or may hold, anything: `/dev/null` and a closed descriptor do not.
pub(crate) fn has_stdin() -> bool {
    // Device 1:3 is `/dev/null` on every Linux.
    const NULL: u64 = (1 << 8) | 3;
    match duplicate().and_then(|stdin| stdin.metadata()) {
        Ok(metadata) => metadata.rdev() != NULL,
        Err(_) => false,
    }
}

/// Reads stdin on a thread of its own: reading a terminal or a pipe blocks, and cannot be cancelled.
/// The thread ends with the process, or when stdin does; then the channel is closed.
pub(crate) fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(PIECES_QUEUED);
    thread::spawn(move || {
        // Unbuffered: what the command does not take stays for whoever reads stdin next.
        let Ok(mut stdin) = duplicate() else { return };
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match stdin.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    if sender.blocking_send(piece[..length].to_vec()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    receiver
}

fn duplicate() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}
