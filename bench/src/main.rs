//! Measures the promised figures of `SPEC.md` beside their peers, interleaved in one run, and prints ratios.
//!
//! usage: `sandbar-bench <sandbar> <dir on ext4> <dir on tmpfs> <rounds> [app|checkpoint|control|egress|task]`; `bench/run` prepares these.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts programs and waits for them as a user does"
)]
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod app;
mod checkpoint;
mod client;
mod control;
mod egress;
mod floor;
mod launch;
mod peers;
mod review;
mod server;
mod start;
mod table;
mod task;

use std::path::{Path, PathBuf};

use crate::{floor::Floor, peers::Peers, server::Server, table::Table};

/// Whatever went wrong, with its context; a benchmark has one reader.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if args[1..] == [egress::ROLE] {
        return egress::be();
    }
    let (places, alone) = match args[..] {
        [_, sandbar, ext4, tmpfs, rounds] => ((sandbar, ext4, tmpfs, rounds), None),
        [
            _,
            sandbar,
            ext4,
            tmpfs,
            rounds,
            alone @ ("app" | "checkpoint" | "control" | "egress" | "task"),
        ] => ((sandbar, ext4, tmpfs, rounds), Some(alone)),
        _ => {
            return Err(
                "usage: sandbar-bench <sandbar> <dir on ext4> <dir on tmpfs> <rounds> [app|checkpoint|control|egress|task]"
                    .into(),
            );
        }
    };
    let (sandbar, ext4, tmpfs, rounds) = places;
    let (sandbar, rounds) = (PathBuf::from(sandbar), rounds.parse()?);
    if let Some(alone) = alone {
        let mut table = Table::default();
        let (ext4, tmpfs) = (Path::new(ext4), Path::new(tmpfs));
        let server = || Server::start(&sandbar, &ext4.join("data"));
        match alone {
            "app" => app::measure(&server()?, rounds, &mut table)?,
            "checkpoint" => checkpoint::measure_all(&sandbar, (ext4, tmpfs), rounds, &mut table)?,
            "egress" => {
                egress::measure(rounds, &mut table)?;
                for (name, dir) in [("data on ext4", ext4), ("data on tmpfs", tmpfs)] {
                    let server = Server::start(&sandbar, &dir.join("data"))?;
                    launch::measure(&server, name, rounds, &mut table)?;
                }
            }
            "task" => {
                for (name, dir) in [("data on ext4", ext4), ("data on tmpfs", tmpfs)] {
                    let server = Server::start(&sandbar, &dir.join("data"))?;
                    task::measure(&server, name, rounds, &mut table)?;
                }
            }
            _ => control::measure(&sandbar, ext4, &mut table)?,
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
