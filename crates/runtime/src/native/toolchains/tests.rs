use std::{fmt::Write as _, os::unix::fs::symlink};

use super::*;

fn home() -> (tempfile::TempDir, HostPath) {
    let dir = tempfile::tempdir().unwrap();
    let path = HostPath::parse(dir.path()).unwrap();
    (dir, path)
}

fn only(names: &[&str]) -> ToolchainPolicy {
    ToolchainPolicy::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

fn inside(home: &HostPath, policy: &ToolchainPolicy) -> Vec<String> {
    resolve(home, policy)
        .unwrap()
        .into_iter()
        .filter_map(|mount| {
            Some(mount.inside_path.strip_prefix(home.as_path()).ok()?.to_str()?.to_owned())
        })
        .collect()
}

#[test]
fn what_exists_is_shown_and_credentials_are_not() {
    let (dir, home) = home();
    for path in [".cargo/bin", ".cargo/registry/src", ".ssh", ".rustup/toolchains", ".docker"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    for path in [".cargo/credentials.toml", ".netrc", ".npmrc", ".ssh/id_ed25519"] {
        fs::write(dir.path().join(path), "secret").unwrap();
    }
    fs::write(dir.path().join(".cargo/config.toml"), "[build]\njobs = 2\n").unwrap();
    assert_eq!(
        inside(&home, &ToolchainPolicy::Known),
        [".cargo/bin", ".cargo/config.toml", ".cargo/registry", ".rustup"]
    );
    assert_eq!(inside(&home, &only(&["rustup"])), [".rustup"]);
    assert_eq!(resolve(&home, &ToolchainPolicy::None).unwrap(), []);
    let registry = resolve(&home, &only(&["cargo"])).unwrap().pop().unwrap();
    assert_eq!(registry.mode, ToolchainMode::CopyOnWrite);
}

#[test]
fn an_unknown_name_is_refused_and_the_known_ones_are_said() {
    let (_dir, home) = home();
    let refused = resolve(&home, &only(&["cargo", "carg"])).unwrap_err();
    assert_eq!(refused.name, "carg");
    assert!(refused.to_string().contains("cargo, ccache"));
}

#[test]
fn a_link_out_of_home_or_to_a_secret_is_not_followed() {
    let (dir, home) = home();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".ssh/deep")).unwrap();
    fs::create_dir_all(dir.path().join("private")).unwrap();
    symlink(elsewhere.path(), dir.path().join(".nvm")).unwrap();
    symlink(dir.path().join(".ssh/deep"), dir.path().join(".rustup")).unwrap();
    symlink(dir.path().join("private"), dir.path().join(".volta")).unwrap();
    symlink(dir.path(), dir.path().join(".pyenv")).unwrap();
    symlink("/", dir.path().join(".rvm")).unwrap();
    symlink("/etc", dir.path().join(".opam")).unwrap();
    symlink("/usr", dir.path().join(".sdkman")).unwrap();
    assert_eq!(inside(&home, &ToolchainPolicy::Known), [""; 0]);
}

#[test]
fn a_link_to_what_is_shown_anyway_is_followed() {
    let (dir, home) = home();
    fs::create_dir_all(dir.path().join(".local/share/fnm")).unwrap();
    symlink(".local/share/fnm", dir.path().join(".fnm")).unwrap();
    symlink("/usr/lib", dir.path().join(".deno")).unwrap();
    let mounts = resolve(&home, &ToolchainPolicy::Known).unwrap();
    let real = real_path(dir.path()).unwrap();
    let of = |name: &str| mounts.iter().find(|mount| mount.inside_path.ends_with(name)).unwrap();
    assert_eq!(of(".fnm").host_path, real.join(".local/share/fnm"));
    assert_eq!(of(".deno").host_path, Path::new("/usr/lib"));
    assert!(inside(&home, &only(&["rustup"])).is_empty());
}

#[test]
fn a_home_that_is_itself_a_link_works() {
    let (dir, _) = home();
    fs::create_dir_all(dir.path().join("real/.nvm")).unwrap();
    symlink("real", dir.path().join("home")).unwrap();
    let home = HostPath::parse(dir.path().join("home")).unwrap();
    let mounts = resolve(&home, &only(&["nvm"])).unwrap();
    assert_eq!(mounts[0].inside_path, dir.path().join("home/.nvm"));
    assert!(mounts[0].host_path.ends_with("real/.nvm"));
}

#[test]
fn a_configuration_with_a_secret_is_not_shown() {
    for text in
        ["[registry]\ntoken = \"x\"", "[net]\nPASSWORD = 1", "proxy = \"http://ann:pw@proxy:8080\""]
    {
        assert!(has_secret(text), "{text}");
    }
    for text in ["[build]\njobs = 2", "registry = \"https://example.com/index\"\nauthor = \"a@b\""]
    {
        assert!(!has_secret(text), "{text}");
    }
}

#[test]
fn no_entry_holds_or_lies_in_what_is_never_shown() {
    for (name, entries) in TABLE {
        for (path, _) in *entries {
            let path = Path::new(path);
            for secret in NEVER_SHOWN.iter().map(Path::new) {
                assert!(!path.starts_with(secret) && !secret.starts_with(path), "{name}: {path:?}");
            }
        }
    }
}

#[test]
fn entries_do_not_lie_in_one_another() {
    let all: Vec<&Path> = TABLE
        .iter()
        .flat_map(|(_, entries)| entries.iter().map(|(path, _)| Path::new(*path)))
        .collect();
    for one in &all {
        assert_eq!(all.iter().filter(|other| other.starts_with(one)).count(), 1, "{one:?}");
    }
}

/// The table of the document is the table of the code.
#[test]
fn the_document_says_the_same() {
    let mut expected = String::new();
    for (name, entries) in TABLE {
        let list = |wanted: &[Shown]| {
            let paths = entries.iter().filter(|(_, shown)| wanted.contains(shown));
            let paths: Vec<String> = paths
                .map(|(path, _)| match path.strip_prefix('/') {
                    Some(_) => format!("`{path}`"),
                    None => format!("`~/{path}`"),
                })
                .collect();
            paths.join(", ")
        };
        let read_only = list(&[Shown::ReadOnly, Shown::UnlessSecret]);
        let copied = list(&[Shown::CopyOnWrite]);
        writeln!(expected, "| `{name}` | {read_only} | {copied} |").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/toolchains.md");
    let document = fs::read_to_string(path).unwrap();
    assert!(document.contains(&expected), "docs/toolchains.md should hold:\n{expected}");
    for secret in NEVER_SHOWN {
        assert!(
            document.contains(&format!("`~/{secret}`")),
            "docs/toolchains.md does not name {secret}"
        );
    }
}
