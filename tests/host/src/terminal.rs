//! A terminal as a person sits at one: tmux with a shell in it.

#![expect(clippy::print_stderr, reason = "a test says when it is skipped")]

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use crate::{Server, bin_dir, eventually};

/// How long a screen may take until it shows what is waited for: an agent that shares a core takes half a minute to begin.
const DEADLINE: Duration = Duration::from_secs(120);

/// A terminal with a shell in it. Dropped, both are gone.
#[derive(Debug)]
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// Opens one in `dir`, of which `server` is the one that `sandbar` finds. `None`, and says so, where tmux is not installed.
    ///
    /// # Panics
    /// If it does not come to its prompt.
    #[must_use]
    pub fn open(server: &Server, dir: &Path, cols: u16, rows: u16) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("SKIPPED: tmux is not installed (scripts/setup test installs it)");
            return None;
        }
        let terminal = Self { socket: server.data_dir().join("tmux").display().to_string() };
        let path = format!("{}:/usr/bin:/bin", bin_dir().display());
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let done = Command::new("tmux")
            .args(["-S", &terminal.socket, "-f", "/dev/null", "new-session", "-d"])
            .args(["-x", &cols, "-y", &rows, "-c"])
            .arg(dir)
            .args(["bash", "--norc", "--noprofile"])
            .env_clear()
            .env("PATH", path)
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("PS1", "ready> ")
            .env("SANDBAR_DATA_DIR", server.data_dir())
            .output()
            .expect("tmux runs");
        assert!(done.status.success(), "{done:?}");
        terminal.shows("ready>");
        Some(terminal)
    }

    /// Says something to tmux itself, and returns what it did.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn tmux(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-S", &self.socket]).args(args).output().expect("tmux runs")
    }

    /// Presses keys by their names; what is no name of one is typed.
    pub fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"][..], keys].concat());
    }

    /// What is seen now.
    #[must_use]
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// Waits until the screen has `text`, and returns the screen.
    ///
    /// # Panics
    /// If it does not come.
    pub fn shows(&self, text: &str) -> String {
        eventually(text, DEADLINE, || {
            let screen = self.screen();
            if screen.contains(text) { Ok(screen) } else { Err(screen) }
        })
    }

    /// Whether keys are echoed and lines are edited by the terminal, as a shell's child leaves them.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let raw = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        String::from_utf8_lossy(&raw.stdout).trim() == "0 1"
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
