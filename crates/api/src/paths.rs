//! Addresses of the API. `{sandbox}` is an id, the unique beginning of one, a name, or an app's; `{app}` an id or a name.

use std::fmt::Display;

/// `GET`: the server lives.
pub const HEALTHZ: &str = "/v1/healthz";
/// `GET`: the server takes work.
pub const READYZ: &str = "/v1/readyz";
/// `GET`: metrics in Prometheus' text format.
pub const METRICS: &str = "/v1/metrics";
/// `GET`: what the host lacks.
pub const DOCTOR: &str = "/v1/doctor";
/// `GET`: this API as a document.
pub const OPENAPI: &str = "/v1/openapi.json";
/// `GET` lists, `POST` creates.
pub const SANDBOXES: &str = "/v1/sandboxes";
/// `GET` lists, `POST` makes one.
pub const APPS: &str = "/v1/apps";
/// Tasks, by id.
pub const TASKS: &str = "/v1/tasks";
/// `GET`: what happened.
pub const EVENTS: &str = "/v1/events";
/// `GET`: who asked for what that changes something.
pub const AUDIT: &str = "/v1/audit";
/// `GET`: all of that.
pub const AUDIT_EXPORT: &str = "/v1/audit/export";
/// `GET`: what was approved.
pub const APPROVES: &str = "/v1/approves";
/// `GET`: what the data directory holds.
pub const USAGE: &str = "/v1/usage";
/// `GET`: how the server keeps itself in order.
pub const UPKEEP: &str = "/v1/upkeep";
/// `POST`: cleans up.
pub const GC: &str = "/v1/gc";
/// `POST`: sends a backup.
pub const BACKUP: &str = "/v1/backup";

/// `GET`: whether one can log in, and whether one is.
pub const AUTH_STATUS: &str = "/v1/auth/status";
/// `POST`: makes the first administrator.
pub const AUTH_SETUP: &str = "/v1/auth/setup";
/// `POST`: begins a session.
pub const AUTH_LOGIN: &str = "/v1/auth/login";
/// `POST`: ends the session.
pub const AUTH_LOGOUT: &str = "/v1/auth/logout";
/// `POST`: changes one's own password.
pub const AUTH_PASSWORD: &str = "/v1/auth/password";
/// `GET`: who asks.
pub const ME: &str = "/v1/me";
/// `GET` lists, `POST` adds.
pub const USERS: &str = "/v1/users";
/// `GET` lists, `POST` makes one.
pub const API_KEYS: &str = "/v1/api-keys";
/// `GET` lists, `POST` keeps one.
pub const CREDENTIALS: &str = "/v1/credentials";
/// `GET`: the agents that credentials are known of.
pub const AGENTS: &str = "/v1/agents";
/// `GET` lists, `POST` makes one.
pub const TENANTS: &str = "/v1/tenants";

/// `POST`: seals every secret with a new key.
pub const SETTINGS: &str = "/v1/settings";
/// Sealing every secret anew.
pub const SECRETS_ROTATE: &str = "/v1/secrets/rotate";

/// One of a list, for example a user: `PATCH`, `DELETE`.
#[must_use]
pub fn one_of(list: &str, id: &str) -> String {
    format!("{list}/{}", escape(id.as_bytes()))
}

/// Escapes what may not stand in a segment of a path, or in a value of a query.
#[must_use]
pub fn escape(text: &[u8]) -> String {
    sandbar_types::escaped(text)
}

/// `GET`, `DELETE`.
#[must_use]
pub fn sandbox(sandbox: &str) -> String {
    format!("{SANDBOXES}/{}", escape(sandbox.as_bytes()))
}

/// One thing below a sandbox, for example `start`, `stop`, `pause`, `resume`, `execs`, `files`, `files/stat`,
/// `files/content`, `files/mkdir`, `files/move`, `files/archive`, `files/search`, `changes`, `changes/hunks`, `diff`,
/// `approve`, `reject`, `pull`, `events`, `usage`, `keepalive`, `app`, `app/apply`, `config`, `config/KEY`, `tasks`.
#[must_use]
pub fn below_sandbox(name: &str, what: &str) -> String {
    format!("{}/{what}", sandbox(name))
}

/// `GET`, `PATCH`, `DELETE`.
#[must_use]
pub fn app(app: &str) -> String {
    one_of(APPS, app)
}

/// One thing below an app: `sandbox`, `start`, `stop`, `restart`, `clone`, `config`, `config/KEY`.
#[must_use]
pub fn below_app(name: &str, what: &str) -> String {
    format!("{}/{what}", app(name))
}

/// `GET`.
#[must_use]
pub fn approve(id: &str) -> String {
    format!("{APPROVES}/{}", escape(id.as_bytes()))
}

/// `POST`: takes it back.
#[must_use]
pub fn undo(id: &str) -> String {
    format!("{}/undo", approve(id))
}

/// `GET`.
#[must_use]
pub fn exec(sandbox: &str, exec: impl Display) -> String {
    below_sandbox(sandbox, &format!("execs/{exec}"))
}

/// One thing below an exec: `signal`, `output`, `attach`.
#[must_use]
pub fn below_exec(sandbox: &str, exec: impl Display, what: &str) -> String {
    below_sandbox(sandbox, &format!("execs/{exec}/{what}"))
}

/// `GET`.
#[must_use]
pub fn task(id: &str) -> String {
    one_of(TASKS, id)
}

/// One thing below a task: `cancel`, `answer`, `events`.
#[must_use]
pub fn below_task(id: &str, what: &str) -> String {
    format!("{}/{what}", task(id))
}

/// One thing below a process of an app: `start`, `stop`, `restart`, `logs`, `output`.
#[must_use]
pub fn below_process(sandbox: &str, process: impl Display, what: &str) -> String {
    below_sandbox(sandbox, &format!("app/processes/{process}/{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_segment() {
        assert_eq!(sandbox("a/../b?c"), "/v1/sandboxes/a%2F..%2Fb%3Fc");
        assert_eq!(escape(b"\xff \n"), "%FF%20%0A");
    }
}
