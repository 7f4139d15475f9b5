//! Checkpoints: of a sandbox over a large source of which a few files were changed, the first and each later one.

use std::{fs, path::Path, time::Instant};

use crate::{
    Result,
    review::shell,
    server::{Server, create, delete, exec},
    table::{Samples, Table},
};

/// Fifty thousand files of 20 KB, a gigabyte, in five hundred directories.
const MAKE_TREE: &str = "head -c 20000 /dev/urandom >seed; for d in $(seq 500); do mkdir d$d; \
     for f in $(seq 100); do cp seed d$d/f$f; done; done";
/// Twenty of them changed, never in the same way.
const CHANGE: &str = "for d in $(seq 20); do date +%N$d >>d$d/f1; done";

/// Measures a checkpoint of a workspace whose twenty changed files changed again since the last one.
pub(crate) fn measure(server: &Server, dir: &Path, rounds: usize, table: &mut Table) -> Result<()> {
    let tree = dir.join("checkpoints");
    fs::create_dir_all(&tree)?;
    shell(&tree, MAKE_TREE)?;
    let mut client = server.client()?;
    let sandbox = create(&mut client, &tree)?;
    let path = format!("/v1/sandboxes/{sandbox}/checkpoints");
    let (mut changed, mut unchanged) = (Samples::default(), Samples::default());
    for _round in 0..rounds.min(40) {
        exec(&mut client, &sandbox, &["sh", "-c", CHANGE])?;
        for samples in [&mut changed, &mut unchanged] {
            let start = Instant::now();
            let made = client.ask("POST", &path, None)?;
            samples.add(start.elapsed());
            if made["left_out"] != 0 {
                return Err(format!("not a whole checkpoint: {made}").into());
            }
        }
    }
    delete(&mut client, &sandbox)?;
    table.add("checkpoint: 20 changed of 50,000 files, 1 GB: API (data on ext4)", &changed, None);
    table.add("checkpoint: again, nothing changed since", &unchanged, None);
    Ok(())
}
