//! Measures the promised figures of `SPEC.md` beside their peers, interleaved in one run, and prints ratios.
//!
//! usage: `sandbar-bench <sandbar> <dir on ext4> <dir on tmpfs> <rounds> [app|checkpoint|control]`; `bench/run` prepares these.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts programs and waits for them as a user does"
)]
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod app;
mod checkpoint;
mod client;
mod control;
mod floor;
mod peers;
mod review;
mod server;
mod start;
mod table;

use std::path::{Path, PathBuf};

use crate::{floor::Floor, peers::Peers, server::Server, table::Table};

/// Whatever went wrong, with its context; a benchmark has one reader.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (places, alone) = match args[..] {
        [_, sandbar, ext4, tmpfs, rounds] => ((sandbar, ext4, tmpfs, rounds), None),
        [_, sandbar, ext4, tmpfs, rounds, alone @ ("app" | "checkpoint" | "control")] => {
            ((sandbar, ext4, tmpfs, rounds), Some(alone))
        }
        _ => {
            return Err(
                "usage: sandbar-bench <sandbar> <dir on ext4> <dir on tmpfs> <rounds> [app|checkpoint|control]"
                    .into(),
            );
        }
    };
    let (sandbar, ext4, tmpfs, rounds) = places;
    let (sandbar, rounds) = (PathBuf::from(sandbar), rounds.parse()?);
    if let Some(alone) = alone {
        let mut table = Table::default();
        if alone == "app" {
            let server = Server::start(&sandbar, &Path::new(ext4).join("data"))?;
            app::measure(&server, rounds, &mut table)?;
        } else if alone == "checkpoint" {
            let server = Server::start(&sandbar, &Path::new(ext4).join("data"))?;
            checkpoint::measure(&server, Path::new(ext4), rounds, &mut table)?;
        } else {
            control::measure(&sandbar, Path::new(ext4), &mut table)?;
        }
        print!("{table}");
        return Ok(());
    }
    let peers = Peers::prepare(Path::new(ext4))?;
    let mut table = Table::default();
    for (name, dir) in [("ext4", ext4), ("tmpfs", tmpfs)] {
        let server = Server::start(&sandbar, &Path::new(dir).join("data"))?;
        let mut floor = Floor::prepare(&Path::new(dir).join("floor"), &peers.root())?;
        start::measure(&server, &peers, &mut floor, name, rounds, &mut table)?;
        if name == "ext4" {
            review::measure(&server, Path::new(dir), rounds, &mut table)?;
            checkpoint::measure(&server, Path::new(dir), rounds, &mut table)?;
            start::memory(&server, &mut table)?;
            app::measure(&server, rounds, &mut table)?;
        }
    }
    print!("{table}");
    Ok(())
}
