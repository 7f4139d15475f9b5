//! Reviewing: changes in a large tree beside `git status` and `diff -rq`, and an approve of many files.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::json;

use crate::{
    Result,
    server::{Server, create, delete, exec},
    table::{Samples, Table},
};

/// Fifty thousand tracked files, in five hundred directories.
const MAKE_TREE: &str = "git init -q .; for d in $(seq 500); do mkdir d$d; for f in $(seq 100); do echo $d $f >d$d/f$f; done; done; \
     git add -A; git -c gc.auto=0 -c maintenance.auto=false -c user.name=b -c user.email=b@example.org commit -qm base";
/// A hundred of them changed.
const CHANGE: &str = "for d in $(seq 100); do echo changed >d$d/f1; done";

/// Measures the change list and the approve.
pub(crate) fn measure(server: &Server, dir: &Path, rounds: usize, table: &mut Table) -> Result<()> {
    changes(server, dir, rounds.min(30), table)?;
    approve(server, dir, rounds.min(5), table)
}

fn changes(server: &Server, dir: &Path, rounds: usize, table: &mut Table) -> Result<()> {
    let (tree, base) = (dir.join("tree"), dir.join("base"));
    fs::create_dir_all(&tree)?;
    shell(&tree, MAKE_TREE)?;
    let mut client = server.client()?;
    let sandbox = create(&mut client, &tree)?;
    exec(&mut client, &sandbox, &["sh", "-c", CHANGE])?;
    let path = format!("/v1/sandboxes/{sandbox}/changes?limit=200");
    // The peers see the same change in a tree of their own, compared with an untouched one.
    shell(dir, "cp -a tree base && cp -a tree edited")?;
    let edited = dir.join("edited");
    shell(&edited, CHANGE)?;
    let [mut ours, mut status, mut diff] =
        std::array::from_fn::<Samples, 3, _>(|_| Samples::default());
    for round in 0..=rounds {
        let start = Instant::now();
        let page = client.ask("GET", &path, None)?;
        let took = start.elapsed();
        if page["total"] != 100 {
            return Err(format!("not a hundred changes: {}", page["total"]).into());
        }
        let start = Instant::now();
        let mut git = Command::new("git");
        git.args(["status", "--porcelain"]).current_dir(&edited).stdout(Stdio::null());
        git.status()?;
        let status_took = start.elapsed();
        let start = Instant::now();
        // It exits with 1, because the trees differ.
        Command::new("diff")
            .args(["-rq", "-x", ".git"])
            .arg(&base)
            .arg(&edited)
            .stdout(Stdio::null())
            .status()?;
        if round > 0 {
            ours.add(took);
            status.add(status_took);
            diff.add(start.elapsed());
        }
    }
    delete(&mut client, &sandbox)?;
    table.add(
        "changes: 100 in 50,000 tracked files: API (data on ext4)",
        &ours,
        Some(("git status", &status)),
    );
    table.add("changes: the same", &ours, Some(("diff -rq", &diff)));
    table.add("  peer: `git status --porcelain`", &status, None);
    table.add("  peer: `diff -rq`", &diff, None);
    Ok(())
}

fn approve(server: &Server, dir: &Path, rounds: usize, table: &mut Table) -> Result<()> {
    let mut samples = Samples::default();
    for round in 0..rounds {
        let source = dir.join(format!("approve{round}"));
        fs::create_dir_all(&source)?;
        let mut client = server.client()?;
        let sandbox = create(&mut client, &source)?;
        exec(&mut client, &sandbox, &["sh", "-c", "for f in $(seq 1000); do echo $f >f$f; done"])?;
        let page = client.ask("GET", &format!("/v1/sandboxes/{sandbox}/changes?limit=1"), None)?;
        let body = json!({ "diff_id": page["diff_id"], "selection": "all" });
        let start = Instant::now();
        let outcome =
            client.ask("POST", &format!("/v1/sandboxes/{sandbox}/approve"), Some(&body))?;
        samples.add(start.elapsed());
        if outcome["applied"].as_array().map(Vec::len) != Some(1000) {
            return Err("not a thousand files were approved".into());
        }
        delete(&mut client, &sandbox)?;
    }
    table.add("approve of 1,000 new files, with fsync: API (data on ext4)", &samples, None);
    Ok(())
}

fn shell(dir: &Path, script: &str) -> Result<()> {
    let status = Command::new("sh").args(["-ec", script]).current_dir(dir).status()?;
    if status.success() { Ok(()) } else { Err(format!("{script}: {status}").into()) }
}
