//! The server by itself: `model [--listen ADDR] [--record FILE] [--cert FILE --key FILE]`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of tests: where it listens is its output"
)]

use std::{fs::OpenOptions, io, process::ExitCode};

use sandbar_test_model::{Model, ModelConfig, Recorder, Tls};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> io::Result<()> {
    let mut listen = "127.0.0.1:0".to_owned();
    let mut config = ModelConfig::default();
    let (mut cert, mut key) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value =
            arguments.next().ok_or_else(|| io::Error::other(format!("{name} wants a value")))?;
        match name.as_str() {
            "--listen" => listen = value,
            "--record" => {
                let file = OpenOptions::new().create(true).append(true).open(value)?;
                config.recorder = Recorder::to_file(file);
            }
            "--cert" => cert = Some(value.into()),
            "--key" => key = Some(value.into()),
            _ => return Err(io::Error::other(format!("unknown: {name}"))),
        }
    }
    config.tls = match (cert, key) {
        (Some(cert), Some(key)) => Some(Tls { cert, key }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(io::Error::other("--cert and --key belong together"));
        }
    };
    let address = listen.parse().map_err(io::Error::other)?;
    let model = Model::bind(address, config).await?;
    println!("listening on {}", model.address()?);
    model.serve().await;
    Ok(())
}
