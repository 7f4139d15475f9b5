//! Files that a program needs below the home inside. The sandbox makes them itself, so nothing of the host is written
//! through a link of its.

use std::collections::BTreeMap;

use sandbar_types::{ExecSpec, SandboxId};

use crate::{Engine, Error, ErrorKind, ExecItem, Result};

/// Writes standard input into the file `$1`, whole or not at all. What is there, whatever it is, stays: it is a
/// program's, or the person's; unless it has the text `$2`, which only ours has.
const MAKE: &str = r#"umask 077; file="$HOME/$1"; new="$file.$$"
if [ -e "$file" ] || [ -L "$file" ]; then
    [ -n "$2" ] && grep -qs -- "$2" "$file" || exit 0
    put() { mv -f -- "$new" "$file"; }
else
    put() { ln -- "$new" "$file" 2>/dev/null || [ -e "$file" ]; }
fi
mkdir -p -- "$(dirname -- "$file")" && cat >"$new" && put
made=$?; rm -f -- "$new"; exit $made"#;
/// LIMIT: how long a file may take.
const TIMEOUT_MS: u64 = 10_000;

/// One such file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HomeFile<'a> {
    /// Its path below the home.
    pub(crate) path: &'a str,
    /// What it holds.
    pub(crate) content: &'a str,
    /// A text by which an older one of ours is known, which gives way; without it whatever is there stays.
    pub(crate) mark: Option<&'a str>,
}

impl HomeFile<'_> {
    /// Makes it.
    ///
    /// # Errors
    /// It could not be made; the sandbox does not run.
    pub(crate) async fn make(self, engine: &Engine, sandbox: SandboxId) -> Result<()> {
        let mark = self.mark.unwrap_or_default();
        let spec = ExecSpec {
            argv: ["sh", "-c", MAKE, "sh", self.path, mark].map(str::to_owned).to_vec(),
            env: BTreeMap::new(),
            cwd: None,
            terminal: None,
            stdin: true,
            timeout_ms: Some(TIMEOUT_MS),
        };
        let mut session = engine.exec_begin(sandbox, spec).await?;
        // It may have ended without reading: there is such a file.
        session.writer.stdin(self.content.as_bytes()).await.ok();
        session.writer.stdin_end().await.ok();
        while let Some(item) = session.reader.next().await? {
            if let ExecItem::End { end, .. } = item
                && end.status.shell_code() == 0
            {
                return Ok(());
            }
        }
        let message =
            format!("the file `{}` of the agent could not be made in the sandbox", self.path);
        Err(Error::new(ErrorKind::Unavailable, "unavailable", message))
    }
}
