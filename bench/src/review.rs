//! Reviewing: changes in a large tree beside `git status` and `diff -rq`, what a review loads before it is seen, an approve
//! of many files and one of a single hunk.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    Result,
    client::Client,
    server::{Server, create, delete, exec},
    table::{Samples, Table},
};

/// Fifty thousand tracked files, in five hundred directories.
const MAKE_TREE: &str = "git init -q .; for d in $(seq 500); do mkdir d$d; for f in $(seq 100); do echo $d $f >d$d/f$f; done; done; \
     git add -A; git -c gc.auto=0 -c maintenance.auto=false -c user.name=b -c user.email=b@example.org commit -qm base";
/// A hundred of them changed.
const CHANGE: &str = "for d in $(seq 100); do echo changed >d$d/f1; done";

/// One line of every thousand changed, of a hundred thousand.
const EDIT_LARGE: &str = "sed -i '500~1000s/$/ changed/' large";

/// Measures the change list, the opening of a review, and approves.
pub(crate) fn measure(server: &Server, dir: &Path, rounds: usize, table: &mut Table) -> Result<()> {
    changes(server, dir, rounds.min(30), table)?;
    approve(server, dir, rounds.min(5), table)?;
    approve_hunk(server, dir, rounds.min(20), table)
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
    let (mut opened, mut approved) = (Samples::default(), Samples::default());
    for round in 0..rounds {
        let source = dir.join(format!("approve{round}"));
        fs::create_dir_all(&source)?;
        let mut client = server.client()?;
        let sandbox = create(&mut client, &source)?;
        exec(&mut client, &sandbox, &["sh", "-c", "for f in $(seq 1000); do echo $f >f$f; done"])?;
        let start = Instant::now();
        let diff_id = open_review(&mut client, &sandbox)?;
        opened.add(start.elapsed());
        let body = json!({ "diff_id": diff_id, "selection": "all" });
        let start = Instant::now();
        let outcome =
            client.ask("POST", &format!("/v1/sandboxes/{sandbox}/approve"), Some(&body))?;
        approved.add(start.elapsed());
        if outcome["applied"].as_array().map(Vec::len) != Some(1000) {
            return Err("not a thousand files were approved".into());
        }
        delete(&mut client, &sandbox)?;
    }
    table.add("review of 1,000 changed files opens: API (data on ext4)", &opened, None);
    table.add("approve of 1,000 new files, with fsync: API (data on ext4)", &approved, None);
    Ok(())
}

/// Asks for what `sandbar review` asks for before it shows anything: every change, and the hunks of the first one.
fn open_review(client: &mut Client, sandbox: &str) -> Result<Value> {
    let base = format!("/v1/sandboxes/{sandbox}/changes");
    let (mut page, mut count) = (client.ask("GET", &format!("{base}?limit=200"), None)?, 0);
    let first = page["items"][0]["path"].as_str().ok_or("no first change")?.to_owned();
    loop {
        count += page["items"].as_array().map_or(0, Vec::len);
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        page = client.ask("GET", &format!("{base}?limit=200&cursor={cursor}"), None)?;
    }
    let hunks = client.ask("GET", &format!("{base}/hunks?path={first}"), None)?;
    if count != 1000 || hunks["hunks"].as_array().map(Vec::len) != Some(1) {
        return Err(format!("{count} changes, and these hunks: {hunks}").into());
    }
    Ok(page["diff_id"].clone())
}

/// One hunk of a hundred, in a text of a hundred thousand lines.
fn approve_hunk(server: &Server, dir: &Path, rounds: usize, table: &mut Table) -> Result<()> {
    let source = dir.join("large");
    fs::create_dir_all(&source)?;
    shell(&source, "seq -f 'line %.0f of a text' 100000 >large")?;
    let mut client = server.client()?;
    let sandbox = create(&mut client, &source)?;
    exec(&mut client, &sandbox, &["sh", "-c", EDIT_LARGE])?;
    let base = format!("/v1/sandboxes/{sandbox}");
    let mut samples = Samples::default();
    for _round in 0..rounds {
        let file = client.ask("GET", &format!("{base}/changes/hunks?path=large"), None)?;
        let parts = json!([{ "path": "large", "hunks": [{ "id": file["hunks"][0]["id"] }] }]);
        let body = json!({ "diff_id": file["diff_id"], "selection": { "parts": parts } });
        let start = Instant::now();
        let outcome = client.ask("POST", &format!("{base}/approve"), Some(&body))?;
        samples.add(start.elapsed());
        if outcome["applied"].as_array().map(Vec::len) != Some(1) {
            return Err(format!("the hunk was not approved: {outcome}").into());
        }
    }
    delete(&mut client, &sandbox)?;
    table.add("approve of 1 hunk in 100,000 lines, with fsync: API (data on ext4)", &samples, None);
    Ok(())
}

pub(crate) fn shell(dir: &Path, script: &str) -> Result<()> {
    let status = Command::new("sh").args(["-ec", script]).current_dir(dir).status()?;
    if status.success() { Ok(()) } else { Err(format!("{script}: {status}").into()) }
}
