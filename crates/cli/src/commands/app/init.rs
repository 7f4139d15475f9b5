//! `sandbar app init`: says how the app of a directory is run.
//!
//! It reads and writes the directory as the person who calls it, and asks no server.

mod project;
mod starter;

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use sandbar_presets::{Confidence, MANIFEST, Readiness, Suggestion, detect, manifest_text};
use sandbar_types::PresetName;
use serde::Serialize;

use crate::{
    failure::{Code, Failure},
    output::{Output, visible},
};

/// Write the sandbox.yaml of a project: what serves, on which port, and how its packages are installed.
///
/// Framework, package manager, port and command are read from the project's own files, and each is shown with the file
/// that it was read from. Nothing is run. With --preset, an empty directory is filled with a starter instead.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar app init\n  sandbar app init --print\n  sandbar app init --dir shop --preset react-vite"
)]
pub(crate) struct Args {
    /// The project; default: the current directory.
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    dir: PathBuf,
    /// Fill an empty directory: react-vite, nextjs, node-express, fastapi or worker.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["print", "force"])]
    preset: Option<PresetName>,
    /// Print the manifest and write nothing.
    #[arg(long)]
    print: bool,
    /// Replace the sandbox.yaml that is there.
    #[arg(long)]
    force: bool,
}

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    /// The files that were written, relative to the directory.
    written: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<PresetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a Suggestion>,
    /// Other ways to see the project.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    others: &'a [Suggestion],
    manifest: &'a str,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<u8, Failure> {
    if let Some(name) = args.preset {
        return starter::run(&args.dir, name, out);
    }
    let project = project::Directory::open(&args.dir)?;
    let found = detect(&project);
    let Some((best, others)) = found.split_first() else {
        return Err(Failure::not_found(format!(
            "nothing in {} says how it is run",
            args.dir.display()
        ))
        .hint("write sandbox.yaml yourself, see docs/manifest.md, or begin with `sandbar app init --preset NAME` in an empty directory"));
    };
    let manifest = manifest_text(best);
    if !args.print {
        write(&args.dir, &manifest, args.force)?;
    }
    if out.is_json() {
        let written = if args.print { Vec::new() } else { vec![MANIFEST] };
        let outcome =
            Outcome { written, preset: None, suggestion: Some(best), others, manifest: &manifest };
        out.json(&outcome)?;
        return Ok(0);
    }
    explain(best, others, out);
    if args.print {
        out.raw(manifest.as_bytes())?;
    } else {
        out.say(&format!("wrote {MANIFEST}: read it, correct what is wrong"));
    }
    Ok(0)
}

/// What was seen, and in which file.
fn explain(best: &Suggestion, others: &[Suggestion], out: Output) {
    let framework = &best.framework;
    out.say(&format!(
        "{}{} ({})",
        match best.confidence {
            Confidence::High => "",
            Confidence::Medium => "probably ",
            Confidence::Low => "perhaps ",
        },
        framework.value.label(),
        told(&framework.reason),
    ));
    let row = |what: &str, value: &str, why: &dyn ToString| {
        out.say(&format!("  {what:<9} {} ({})", told(&value), told(&why.to_string())));
    };
    if let Some(install) = &best.install {
        row("packages", install.value.manager.label(), &install.reason);
    }
    if let Some(run) = &best.run {
        row("command", &run.value, &run.reason);
    }
    row("port", &best.port.value.to_string(), &best.port.reason);
    match &best.ready.value {
        Readiness::Path(path) => row("ready", &format!("GET {path}"), &best.ready.reason),
        Readiness::Port => row("ready", "a connection", &best.ready.reason),
    }
    row("build", best.build.value.as_deref().unwrap_or("none"), &best.build.reason);
    for worker in &best.workers {
        row("worker", &worker.name, &worker.command.reason);
    }
    for note in &best.notes {
        out.say(&format!("  look at   {}", told(note)));
    }
    for other in others {
        let reason = told(&other.framework.reason);
        out.say(&format!("  or is it  {} ({reason})", other.framework.value.label()));
    }
}

/// A project's own words, for a terminal.
fn told(text: &impl ToString) -> String {
    visible::line(text.to_string().as_bytes())
}

fn write(dir: &Path, manifest: &str, force: bool) -> Result<(), Failure> {
    let path = dir.join(MANIFEST);
    let failed = |error: &io::Error| {
        Failure::unexpected(format!("cannot write {}", path.display())).caused_by(error)
    };
    if !force {
        return match create(&path, manifest.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::new(Code::Refused, format!("{} is there already", path.display()))
                    .hint("see what would be written with --print, or replace it with --force"))
            }
            result => result.map_err(|error| failed(&error)),
        };
    }
    // Written beside and renamed, so that there is the old one or the new one whatever happens.
    let beside = dir.join(format!(".{MANIFEST}.{}", std::process::id()));
    create(&beside, manifest.as_bytes()).and_then(|()| fs::rename(&beside, &path)).map_err(
        |error| {
            drop(fs::remove_file(&beside));
            failed(&error)
        },
    )
}

/// Makes a file that is not there yet.
fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::File::create_new(path)?.write_all(content)
}

#[cfg(test)]
mod tests;
