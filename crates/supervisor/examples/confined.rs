//! Launcher and supervisor in one file, as the real binary has them, for tests in the real confinement.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    match args.get(1).and_then(|role| role.to_str()) {
        Some("__launch") => sandbar_runtime::native::launcher_main(&args[2..]),
        Some("__supervise") => sandbar_supervisor::main(),
        Some(_) | None => ExitCode::FAILURE,
    }
}
