//! On whose behalf this server runs: the user who started it.

use std::{env, fs, io, os::unix::fs::MetadataExt};

use sandbar_runtime::Caller;
use sandbar_types::HostPath;

/// What a shell would look in, where nobody says.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reads the user from the environment, and from `/etc/passwd` what it does not say.
///
/// # Errors
/// There is no home directory.
pub(crate) fn current() -> io::Result<Caller> {
    // Who owns our own `/proc` entry is who we are.
    let uid = fs::metadata("/proc/self")?.uid();
    let entry = fs::read_to_string("/etc/passwd").ok().and_then(|passwd| find(&passwd, uid));
    let (name, home) = entry.unwrap_or_else(|| (uid.to_string(), String::new()));
    let home = env::var_os("HOME").filter(|home| !home.is_empty()).unwrap_or_else(|| home.into());
    Ok(Caller {
        home: HostPath::parse(&home).map_err(|error| {
            io::Error::other(format!(
                "the home directory `{}` cannot be used: {error}",
                home.display()
            ))
        })?,
        name,
        path: env::var("PATH")
            .ok()
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| DEFAULT_PATH.to_owned()),
    })
}

/// The name and the home of `uid`, as passwd(5) writes them.
fn find(passwd: &str, uid: u32) -> Option<(String, String)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let is_ours = fields.nth(1)?.parse() == Ok(uid);
        let home = fields.nth(2)?;
        is_ours.then(|| (name.to_owned(), home.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_a_user_is_found_by_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nodd line\nme:x:1000:1000:Me,,,:/home/me:/bin/sh\n";
        assert_eq!(find(passwd, 1000), Some(("me".to_owned(), "/home/me".to_owned())));
        assert_eq!(find(passwd, 0), Some(("root".to_owned(), "/root".to_owned())));
        assert_eq!(find(passwd, 7), None);
    }
}
