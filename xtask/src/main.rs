//! The project's own chores: `cargo xtask help` lists them.

mod catalogue;
mod command;
mod layers;
mod openapi;
mod style;

use std::process::ExitCode;

use crate::command::{Failed, cargo, has_cargo_tool, note};

const HELP: &str = "\
usage: cargo xtask <chore>

  check     everything that needs no kernel: format, lints, layers, licenses, openapi.json, file sizes, names of tests in documents
  layers    who may import whom
  openapi   writes openapi.json from the code
  test      the tests of the crates, those of engine and server also on PostgreSQL, then (as root) those of the host
  build     the release binary, static, in target/<triple>/release/sandbar
";

fn main() -> ExitCode {
    let chore = std::env::args().nth(1).unwrap_or_default();
    let result = match chore.as_str() {
        "check" => check(),
        "layers" => layers::check(),
        "openapi" => openapi::write(),
        "test" => test(),
        "build" => build(),
        "" | "help" | "--help" => {
            note(HELP);
            Ok(())
        }
        other => Err(Failed(format!("no chore is called `{other}`\n\n{HELP}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            note(&format!("error: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<(), Failed> {
    cargo(&["xfmt", "--check"])?;
    layers::check()?;
    style::check()?;
    catalogue::check()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-Dwarnings"])?;
    openapi::check()?;
    if has_cargo_tool("deny") {
        // Advisories need the network of the advisory database; the other three do not.
        cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"])
    } else {
        note(
            "skipped: licenses and bans (cargo-deny is not installed; `cargo install cargo-deny --locked`)",
        );
        Ok(())
    }
}

fn test() -> Result<(), Failed> {
    command::script("setup", &["agents"])?;
    cargo(&["nextest", "run", "--workspace"])?;
    // The suites that ask the store most, once more on the other database.
    // Of the whole workspace, so that what is built for the first run serves this one.
    let suites = "package(sandbar-engine) + package(sandbar-server)";
    let again = ["nextest", "run", "--workspace", "-E", suites];
    command::cargo_with(&again, &[("SANDBAR_TEST_STORE", "postgres")])?;
    if command::is_root()? {
        cargo(&["build", "--package", "sandbar"])?;
        cargo(&["nextest", "run", "--profile", "host", "--package", "sandbar-host-tests"])?;
        contract()?;
        clients()
    } else {
        note(
            "skipped: tests/host, scripts/contract and scripts/clients (they need root; run `sudo -E make test`)",
        );
        Ok(())
    }
}

/// Holds the served API against its document, with few examples; `scripts/contract 200` asks more.
fn contract() -> Result<(), Failed> {
    if !std::path::Path::new("/usr/share/doc/python3-venv").exists() {
        note("skipped: scripts/contract (python3-venv is not installed; run `scripts/setup test`)");
        return Ok(());
    }
    command::script("setup", &["contract"])?;
    command::script("contract", &["10"])
}

/// Uses the server through both clients, as a program does.
fn clients() -> Result<(), Failed> {
    command::script("setup", &["clients"])?;
    command::script("clients", &["test"])
}

fn build() -> Result<(), Failed> {
    let triple = command::host_triple()?;
    // Static, so that one file runs on any distribution and starts without a dynamic linker.
    // The variable is the target's own: host-side code (procedural macros) stays dynamic.
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    command::cargo_with(
        &["build", "--release", "--package", "sandbar", "--features", "otlp", "--target", &triple],
        &[(&flags, "-C target-feature=+crt-static -C relocation-model=static")],
    )
}
