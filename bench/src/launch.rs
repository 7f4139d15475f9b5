//! What the way out costs a sandbox that is created: its certificates, its authority, and where it listens.

use std::{fs, time::Instant};

use serde_json::json;

use crate::{
    Result,
    server::{Server, delete, exec},
    table::{Samples, Table},
};

/// Rounds that fill pools and caches and are not counted.
const WARM_UP: usize = 5;

/// Measures creates with a way out and without one, in turn.
pub(crate) fn measure(server: &Server, name: &str, rounds: usize, table: &mut Table) -> Result<()> {
    let source = tempfile::tempdir()?;
    fs::write(source.path().join("file"), "x")?;
    let mut client = server.client()?;
    let (mut with, mut without) = (Samples::default(), Samples::default());
    for round in 0..rounds + WARM_UP {
        for (mode, samples) in [("allow_list", &mut with), ("none", &mut without)] {
            let body = json!({
                "source": { "kind": "directory", "path": source.path() },
                "network": { "mode": mode },
            });
            let start = Instant::now();
            let sandbox = client.ask("POST", "/v1/sandboxes", Some(&body))?;
            let id = sandbox["id"].as_str().ok_or("a sandbox without an id")?;
            exec(&mut client, id, &["true"])?;
            if round >= WARM_UP {
                samples.add(start.elapsed());
            }
            delete(&mut client, id)?;
        }
    }
    let without_it = Some(("without", &without));
    table.add(&format!("create, first command: with a way out ({name})"), &with, without_it);
    table.add("  without one", &without, None);
    Ok(())
}
