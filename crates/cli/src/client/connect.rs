//! Opens a stream to the server, and starts the user's own when none runs.

use std::{io, path::Path, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::{self, Instant},
};

use crate::{
    client::spawn,
    failure::{Code, Failure},
    output::Output,
    settings::{Endpoint, socket_path},
};

/// LIMIT: until a server that was started must listen.
const START_DEADLINE: Duration = Duration::from_secs(15);
/// LIMIT: until a server that runs must take a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How often to look for the socket of a server that starts.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long a server of somebody else may still need after ours gave way to it.
const YIELD_DEADLINE: Duration = Duration::from_secs(5);

/// A connection of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to `endpoint`.
///
/// # Errors
/// The server is not there; the user's own does not start, with the reason from its log.
pub(crate) async fn open(endpoint: &Endpoint, out: Output) -> Result<Box<dyn Stream>, Failure> {
    match endpoint {
        Endpoint::Own { data_dir } => Ok(Box::new(open_own(data_dir, out).await?)),
        Endpoint::Socket(path) => {
            match within(UnixStream::connect(path)).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(unreachable(&path.display().to_string(), &error)
                    .hint("start it: `sandbar serve`")),
            }
        }
        Endpoint::Tcp { authority, .. } => match within(TcpStream::connect(authority)).await {
            Ok(stream) => {
                // Keystrokes are small and must not wait for an acknowledgement.
                stream.set_nodelay(true).map_err(|error| unreachable(authority, &error))?;
                Ok(Box::new(stream))
            }
            Err(error) => Err(unreachable(authority, &error)),
        },
    }
}

async fn open_own(data_dir: &Path, out: Output) -> Result<UnixStream, Failure> {
    let socket = socket_path(data_dir);
    match within(UnixStream::connect(&socket)).await {
        Ok(stream) => Ok(stream),
        // No socket, or one that a killed server left behind.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            start(data_dir, &socket, out).await
        }
        Err(error) => Err(unreachable(&socket.display().to_string(), &error)),
    }
}

/// Starts a server and waits until one listens: ours, or that of a command line that was faster. The data
/// directory's lock lets one of them live; the other says so and ends, and we connect to the first.
async fn start(data_dir: &Path, socket: &Path, out: Output) -> Result<UnixStream, Failure> {
    let mut server = spawn::server(data_dir)?;
    let mut deadline = Instant::now() + START_DEADLINE;
    let mut has_ended = false;
    loop {
        let error = match UnixStream::connect(socket).await {
            Ok(stream) => {
                // One that has ended gave way to the server of somebody else.
                if !server.has_ended() {
                    out.say(&format!(
                        "sandbar: started the server (data in {}, log in {})",
                        data_dir.display(),
                        server.log_path().display()
                    ));
                }
                return Ok(stream);
            }
            Err(error) => error,
        };
        if !has_ended && server.has_ended() {
            has_ended = true;
            deadline = deadline.min(Instant::now() + server.patience_after_end(YIELD_DEADLINE));
        }
        if Instant::now() >= deadline {
            return Err(server.failure(&error));
        }
        time::sleep(LOOK_INTERVAL).await;
    }
}

async fn within<T>(connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    time::timeout(CONNECT_DEADLINE, connect)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

fn unreachable(what: &str, error: &io::Error) -> Failure {
    Failure::new(Code::Unreachable, format!("cannot reach the server at `{what}`")).caused_by(error)
}
