//! The environment of an exec, built from nothing: the host's own never gets in.

use std::collections::BTreeMap;

use sandbar_types::{EnvName, TOOLBOX};

/// What the environment is made of.
#[derive(Debug, Clone, Copy)]
pub struct EnvironmentParams<'a> {
    /// `PATH` as the caller has it.
    pub caller_path: &'a str,
    /// Home directory inside.
    pub home: &'a str,
    /// User name inside.
    pub user: &'a str,
    /// Shell inside.
    pub shell: &'a str,
    /// Name of the time zone, where it is known.
    pub time_zone: Option<&'a str>,
    /// What the sandbox's spec sets; it wins.
    pub spec: &'a BTreeMap<EnvName, String>,
}

/// Where a distribution keeps its programs.
const SYSTEM_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Returns the environment; `exists_inside` tells whether a directory of `PATH` is there inside.
///
/// # Panics
/// Never: the names are valid.
#[must_use]
pub fn environment(
    params: EnvironmentParams<'_>,
    exists_inside: impl Fn(&str) -> bool,
) -> BTreeMap<EnvName, String> {
    let toolbox = format!("{}/{TOOLBOX}/bin", params.home);
    let path = path(params.caller_path, &toolbox, exists_inside);
    // pnpm keeps its store where it can make hard links to the project: without this, below the workspace, where it finds
    // nothing of the cache and is shown as a change. It copies instead. Read by pnpm 11 and newer.
    let store = format!("{}/.local/share/pnpm/store", params.home);
    let mut pairs = vec![
        // A git that is built for /usr/local or a home looks for the system's configuration there.
        ("GIT_CONFIG_SYSTEM", "/etc/gitconfig"),
        ("HOME", params.home),
        ("LANG", "C.UTF-8"),
        ("LOGNAME", params.user),
        ("PATH", &path),
        ("PNPM_CONFIG_STORE_DIR", &store),
        ("SHELL", params.shell),
        ("TERM", "xterm-256color"),
        ("USER", params.user),
    ];
    pairs.extend(params.time_zone.map(|zone| ("TZ", zone)));
    let mut environment: BTreeMap<EnvName, String> = pairs
        .into_iter()
        .map(|(name, value)| {
            let name = name.parse().expect("these names are letters");
            (name, value.to_owned())
        })
        .collect();
    environment.extend(params.spec.clone());
    environment
}

/// The caller's directories first, in their order, so that the same programs are found inside; then the system's, and last
/// those that are there for sandboxes alone.
fn path(caller_path: &str, toolbox: &str, exists_inside: impl Fn(&str) -> bool) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for dir in caller_path.split(':').chain(SYSTEM_PATH).chain([toolbox]) {
        let dir = match dir.trim_end_matches('/') {
            // An empty or relative entry means the current directory: a program that a repository brings.
            "" => continue,
            dir if !dir.starts_with('/') => continue,
            dir => dir,
        };
        if !kept.contains(&dir) && exists_inside(dir) {
            kept.push(dir);
        }
    }
    kept.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(caller_path: &str, spec: &BTreeMap<EnvName, String>) -> BTreeMap<String, String> {
        let params = EnvironmentParams {
            caller_path,
            home: "/home/ann",
            user: "ann",
            shell: "/bin/bash",
            time_zone: None,
            spec,
        };
        environment(params, |dir| dir != "/gone" && dir != "/sbin")
            .into_iter()
            .map(|(name, value)| (name.to_string(), value))
            .collect()
    }

    #[test]
    fn the_path_is_the_callers_as_far_as_it_exists_then_the_systems() {
        let built = build("/home/ann/.cargo/bin/:.::bin:/gone:/usr/bin:/usr/bin", &BTreeMap::new());
        assert_eq!(
            built["PATH"],
            "/home/ann/.cargo/bin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/bin:/home/ann/.local/share/sandbar-toolbox/bin"
        );
    }

    #[test]
    fn nothing_is_there_but_what_is_named() {
        let built = build("", &BTreeMap::new());
        let names: Vec<&str> = built.keys().map(String::as_str).collect();
        let expected = [
            "GIT_CONFIG_SYSTEM",
            "HOME",
            "LANG",
            "LOGNAME",
            "PATH",
            "PNPM_CONFIG_STORE_DIR",
            "SHELL",
            "TERM",
            "USER",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_the_spec_sets_wins() {
        let spec = BTreeMap::from([
            ("PATH".parse().unwrap(), "/only".to_owned()),
            ("CI".parse().unwrap(), "1".to_owned()),
        ]);
        let built = build("/usr/bin", &spec);
        assert_eq!((built["PATH"].as_str(), built["CI"].as_str()), ("/only", "1"));
    }
}
