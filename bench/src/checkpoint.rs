//! Checkpoints: of a sandbox over a large source of which a few files were changed, with the data on each file system.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Result,
    client::Client,
    review::shell,
    server::{Server, create, delete, exec},
    table::{Samples, Table},
};

/// Fifty thousand files of 20 KB, a gigabyte, in five hundred directories.
const MAKE_TREE: &str = "head -c 20000 /dev/urandom >seed; for d in $(seq 500); do mkdir d$d; \
     for f in $(seq 100); do cp seed d$d/f$f; done; done";
/// Twenty of them changed, never in the same way.
const CHANGE: &str = "for d in $(seq 20); do date +%N$d >>d$d/f1; done";
/// Five thousand files that the sandbox made, and leaves alone then.
const MAKE_OLD: &str = "mkdir old; cd old; for d in $(seq 50); do mkdir d$d; \
     for f in $(seq 100); do echo $f >d$d/f$f; done; done";

/// Measures with the data in `dir`, where the source is as well.
pub(crate) fn measure(server: &Server, dir: &Path, rounds: usize, table: &mut Table) -> Result<()> {
    let tree = tree(dir)?;
    of(server, &tree, ("data on ext4", rounds), table)
}

/// Measures with the data on each file system that `bench/run` made; the source, which is never looked at, is on ext4.
pub(crate) fn measure_all(
    sandbar: &Path,
    (ext4, tmpfs): (&Path, &Path),
    rounds: usize,
    table: &mut Table,
) -> Result<()> {
    let tree = tree(ext4)?;
    let btrfs = ext4.with_file_name("btrfs");
    for (name, dir) in [("ext4", ext4), ("btrfs", &*btrfs), ("tmpfs", tmpfs)] {
        if !dir.exists() {
            table.note(&format!("checkpoint, data on {name}"), "not on this host");
            continue;
        }
        let server = Server::start(sandbar, &dir.join("data"))?;
        of(&server, &tree, (&format!("data on {name}"), rounds), table)?;
    }
    Ok(())
}

fn tree(dir: &Path) -> Result<std::path::PathBuf> {
    let tree = dir.join("checkpoints");
    fs::create_dir_all(&tree)?;
    shell(&tree, MAKE_TREE)?;
    Ok(tree)
}

fn of(
    server: &Server,
    tree: &Path,
    (name, rounds): (&str, usize),
    table: &mut Table,
) -> Result<()> {
    let mut client = server.client()?;
    let sandbox = create(&mut client, tree)?;
    let what = "checkpoint: 20 changed of 50,000 files, 1 GB";
    for old in [0, 5000] {
        if old > 0 {
            exec(&mut client, &sandbox, &["sh", "-c", MAKE_OLD])?;
        }
        let [mut changed, mut unchanged, mut restored] = <[Samples; 3]>::default();
        for round in 0..rounds.min(40) + 2 {
            exec(&mut client, &sandbox, &["sh", "-c", CHANGE])?;
            let (first, _) = made(&mut client, &sandbox)?;
            let (second, id) = made(&mut client, &sandbox)?;
            exec(&mut client, &sandbox, &["sh", "-c", CHANGE])?;
            let back = restore(&mut client, &sandbox, &id)?;
            // The first one holds everything.
            if round >= 2 {
                changed.add(first);
                unchanged.add(second);
                restored.add(back);
            }
        }
        let more = if old > 0 { ", 5,000 more of before" } else { "" };
        table.add(&format!("{what}{more} ({name})"), &changed, None);
        table.add(&format!("  again, nothing changed since{more}"), &unchanged, None);
        table.add(&format!("  back to it, 20 changed since{more}"), &restored, None);
    }
    delete(&mut client, &sandbox)
}

fn made(client: &mut Client, sandbox: &str) -> Result<(Duration, String)> {
    let start = Instant::now();
    let made = client.ask("POST", &format!("/v1/sandboxes/{sandbox}/checkpoints"), None)?;
    let took = start.elapsed();
    match made["id"].as_str().filter(|_| made["left_out"] == 0) {
        Some(id) => Ok((took, id.to_owned())),
        None => Err(format!("not a whole checkpoint: {made}").into()),
    }
}

fn restore(client: &mut Client, sandbox: &str, id: &str) -> Result<Duration> {
    let start = Instant::now();
    let path = format!("/v1/sandboxes/{sandbox}/checkpoints/{id}/restore");
    let restored = client.ask("POST", &path, None)?;
    let took = start.elapsed();
    match restored["paths"].as_array().map(Vec::len) {
        Some(20) => Ok(took),
        Some(_) | None => Err(format!("not what was changed: {restored}").into()),
    }
}
