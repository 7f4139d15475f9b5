//! Files that an agent needs below the home inside: made by the sandbox itself, where there is none of that name yet.

use std::collections::BTreeMap;

use sandbar_types::{ExecSpec, SandboxId};

use crate::{Engine, Error, ErrorKind, ExecItem, Result};

/// Writes standard input into a new file. What is there, whatever it is, stays: it is the agent's, or the person's.
const MAKE: &str = r#"set -C; umask 077; file="$HOME/$1"
if [ -e "$file" ] || [ -L "$file" ]; then exit 0; fi
mkdir -p -- "$(dirname -- "$file")" && cat >"$file""#;
/// LIMIT: how long a file may take.
const TIMEOUT_MS: u64 = 10_000;

/// Makes them.
///
/// # Errors
/// One could not be made.
pub(crate) async fn make(
    engine: &Engine,
    sandbox: SandboxId,
    files: &BTreeMap<String, String>,
) -> Result<()> {
    for (path, content) in files {
        make_one(engine, sandbox, (path.as_str(), content.as_str())).await?;
    }
    Ok(())
}

async fn make_one(
    engine: &Engine,
    sandbox: SandboxId,
    (path, content): (&str, &str),
) -> Result<()> {
    let spec = ExecSpec {
        argv: ["sh", "-c", MAKE, "sh", path].map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        cwd: None,
        terminal: None,
        stdin: true,
        timeout_ms: Some(TIMEOUT_MS),
    };
    let mut session = engine.exec_start(sandbox, spec).await?;
    // It may have ended without reading: there is such a file.
    session.writer.stdin(content.as_bytes()).await.ok();
    session.writer.stdin_end().await.ok();
    while let Some(item) = session.reader.next().await? {
        if let ExecItem::End { end, .. } = item
            && end.status.shell_code() == 0
        {
            return Ok(());
        }
    }
    let message = format!("the file `{path}` of the agent could not be made in the sandbox");
    Err(Error::new(ErrorKind::Unavailable, "unavailable", message))
}
