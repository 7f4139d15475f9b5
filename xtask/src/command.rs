//! Runs other programs, and says what failed.

use std::{io::Write, process::Command};

/// Why a chore failed, for a person.
pub(crate) struct Failed(pub(crate) String);

/// Says something on standard error.
pub(crate) fn note(text: &str) {
    // A closed standard error is no reason to fail a chore.
    writeln!(std::io::stderr(), "{text}").ok();
}

#[expect(
    clippy::disallowed_methods,
    reason = "chores run programs in the foreground, on the caller's terminal"
)]
fn program(name: &str) -> Command {
    Command::new(name)
}

/// Runs cargo with `args`.
pub(crate) fn cargo(args: &[&str]) -> Result<(), Failed> {
    cargo_with(args, &[])
}

/// Runs cargo with `args` and additional environment.
pub(crate) fn cargo_with(args: &[&str], env: &[(&str, &str)]) -> Result<(), Failed> {
    run("cargo", args, env)
}

/// Runs a script of this repository.
pub(crate) fn script(name: &str, args: &[&str]) -> Result<(), Failed> {
    run(&format!("{}/../scripts/{name}", env!("CARGO_MANIFEST_DIR")), args, &[])
}

fn run(name: &str, args: &[&str], env: &[(&str, &str)]) -> Result<(), Failed> {
    note(&format!("+ {name} {}", args.join(" ")));
    let status = program(name)
        .args(args)
        .envs(env.iter().copied())
        .status()
        .map_err(|error| Failed(format!("{name} cannot be started: {error}")))?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| Failed(format!("`{name} {}` failed: {status}", args.join(" "))))
}

/// Runs cargo with `args` and returns what it printed.
pub(crate) fn cargo_output(args: &[&str]) -> Result<Vec<u8>, Failed> {
    output("cargo", args)
}

/// Whether the cargo subcommand `tool` is installed.
pub(crate) fn has_cargo_tool(tool: &str) -> bool {
    program("cargo").args([tool, "--version"]).output().is_ok_and(|output| output.status.success())
}

/// Whether we run as root.
pub(crate) fn is_root() -> Result<bool, Failed> {
    Ok(output("id", &["-u"])?.trim_ascii() == b"0")
}

/// The triple of this host, for example `x86_64-unknown-linux-gnu`.
pub(crate) fn host_triple() -> Result<String, Failed> {
    let text = output("rustc", &["-vV"])?;
    String::from_utf8_lossy(&text)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| Failed("rustc does not say its host".to_owned()))
}

fn output(name: &str, args: &[&str]) -> Result<Vec<u8>, Failed> {
    let output = program(name)
        .args(args)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| Failed(format!("{name} cannot be started: {error}")))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Failed(format!("`{name} {}` failed: {}", args.join(" "), output.status)))
    }
}
