//! One file, four roles: the command line, the server, and the hidden ones that the server starts. Only wiring.

mod backup;
mod caller;
mod server;

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    process::ExitCode,
};

use sandbar_cli::Roles;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let role = args.nth(1);
    // The hidden roles first, before anything is allocated or a thread exists: a launcher may have one thread only,
    // and process 1 of a sandbox is to be small.
    match role.as_deref().and_then(OsStr::to_str) {
        Some("__launch") => {
            sandbar_runtime::native::launcher_main(&args.collect::<Vec<OsString>>())
        }
        Some("__supervise") => sandbar_supervisor::main(),
        Some("__apply") => sandbar_workspace::applier::main(),
        Some("__git") => sandbar_git::main(),
        Some("__openapi") => print_openapi(),
        Some(_) | None => {
            // A server that is started in the background must not keep what its caller left open: a lock, or a pipe
            // whose reader waits for its end. Best effort: without it everything works as well.
            sandbar_linux::exec::close_on_exec_from(3).ok();
            sandbar_cli::main(Roles {
                serve: server::serve,
                settings_text: server::settings_text,
                backup: backup::ROLES,
            })
        }
    }
}

fn print_openapi() -> ExitCode {
    match io::stdout().write_all(sandbar_server::openapi_json().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
