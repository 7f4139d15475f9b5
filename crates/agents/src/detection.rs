//! What of an agent is on the host: values in, values out; whoever calls lists the files and runs the program.

/// Whether somebody logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// There is a login, and a token or key in it.
    Present,
    /// There is none, or the file is not what the agent writes.
    Absent,
}

/// What tells the version of an agent at this path.
#[must_use]
pub fn version_argv(path: &str) -> [String; 2] {
    [path.to_owned(), "--version".to_owned()]
}

/// Reads a version out of what `--version` wrote: the first word that begins with a number and has a dot.
#[must_use]
pub fn version(output: &str) -> Option<&str> {
    output.split_whitespace().map(|word| word.trim_start_matches('v')).find(|word| {
        word.len() <= 64
            && word.contains('.')
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
    })
}

/// Reads the file of a login, or `None` where there is no such file. No value of it is kept.
#[must_use]
pub fn login(file: Option<&str>) -> Login {
    let Some(text) = file else { return Login::Absent };
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => {
            if holds_token(&value, 0) {
                Login::Present
            } else {
                Login::Absent
            }
        }
        Ok(_) | Err(_) => Login::Absent,
    }
}

/// LIMIT: how deep a token is looked for; the agents put it at most three objects deep.
const DEPTH_MAX: u8 = 4;

fn holds_token(value: &serde_json::Value, depth: u8) -> bool {
    let Some(fields) = value.as_object() else { return false };
    fields.iter().any(|(name, value)| match value.as_str() {
        Some(text) => !text.is_empty() && is_token_name(name),
        None => depth < DEPTH_MAX && holds_token(value, depth + 1),
    })
}

/// The names of the four agents: `accessToken`, `access_token`, `OPENAI_API_KEY`, `key`, `access`, `refresh`.
fn is_token_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "key" | "access" | "refresh" | "token")
        || ["accesstoken", "access_token", "refreshtoken", "refresh_token", "api_key"]
            .iter()
            .any(|known| name.ends_with(known))
}
