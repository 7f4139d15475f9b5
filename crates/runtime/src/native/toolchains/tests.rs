use std::{
    fmt::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use sandbar_types::CacheDenied;

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
    resolve(home, policy, None)
        .unwrap()
        .mounts
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
    assert_eq!(resolve(&home, &ToolchainPolicy::None, None).unwrap(), Offer::default());
    let registry = resolve(&home, &only(&["cargo"]), None).unwrap().mounts.pop().unwrap();
    assert_eq!(registry.mode, ToolchainMode::CopyOnWrite);
}

/// The caches that are looked at, by path below the home, with what came of them.
fn caches(home: &HostPath, policy: Option<&ToolchainPolicy>) -> Vec<(String, Option<CacheDenied>)> {
    let offer = resolve(home, &only(&["cargo", "nvm"]), policy).unwrap();
    let of = |cache: CacheOffer| {
        let path = Path::new(&cache.path).strip_prefix(home.as_path()).unwrap();
        (path.to_str().unwrap().to_owned(), cache.left_out)
    };
    offer.caches.into_iter().map(of).collect()
}

#[test]
fn caches_have_a_policy_of_their_own_and_else_that_of_the_toolchains() {
    let (dir, home) = home();
    for path in [".cargo/registry", ".cargo/bin", ".npm/_cacache/content-v2", ".cache/pip/http-v2"]
    {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    let (cargo, npm) = (".cargo/registry".to_owned(), ".npm/_cacache/content-v2".to_owned());
    let pip = ".cache/pip/http-v2".to_owned();
    assert_eq!(caches(&home, None), [(cargo.clone(), None)]);
    assert_eq!(caches(&home, Some(&ToolchainPolicy::None)), []);
    let npm_only = only(&["npm", "pnpm"]);
    assert_eq!(caches(&home, Some(&npm_only)), [(npm.clone(), None)]);
    let all = [(pip, None), (cargo, None), (npm, None)];
    assert_eq!(caches(&home, Some(&ToolchainPolicy::Known)), all);
    let offer = resolve(&home, &only(&["cargo"]), Some(&ToolchainPolicy::None)).unwrap();
    assert_eq!(offer.mounts.len(), 1, "the programs are shown all the same: {offer:?}");
}

#[test]
fn s13_a_cache_that_others_could_have_filled_is_left_out_with_the_reason() {
    let (dir, home) = home();
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for path in
        [".npm/_cacache/content-v2", ".cache/pip/wheels", ".cache/pip/http-v2", ".cargo/git"]
    {
        fs::create_dir_all(at(path)).unwrap();
    }
    for (path, mode) in [(".npm", 0o777), (".cache/pip/wheels", 0o775), (".cargo/git", 0o000)] {
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink(elsewhere.path(), at(".cache/uv")).unwrap();
    symlink("/usr/lib", at(".cache/pypoetry")).unwrap();
    symlink("pip", at(".cache/yarn")).unwrap();
    fs::create_dir_all(elsewhere.path().join("store")).unwrap();
    fs::create_dir_all(at(".local/share")).unwrap();
    symlink(elsewhere.path(), at(".local/share/pnpm")).unwrap();
    fs::write(at(".cargo/registry"), "").unwrap();
    assert_eq!(
        caches(&home, Some(&ToolchainPolicy::Known)),
        [
            (".cache/pip/http-v2", None),
            (".cache/pip/wheels", Some(CacheDenied::WritableByOthers)),
            (".cache/pypoetry", Some(CacheDenied::Link)),
            (".cache/uv", Some(CacheDenied::Link)),
            (".cache/yarn", Some(CacheDenied::Link)),
            (".cargo/git", Some(CacheDenied::Unreadable)),
            (".cargo/registry", Some(CacheDenied::NotADirectory)),
            (".local/share/pnpm", Some(CacheDenied::Link)),
            (".npm/_cacache/content-v2", Some(CacheDenied::WritableByOthers)),
        ]
        .map(|(path, left_out)| (path.to_owned(), left_out))
    );
    let shown = resolve(&home, &ToolchainPolicy::None, Some(&ToolchainPolicy::Known)).unwrap();
    assert_eq!(shown.mounts.len(), 1, "{shown:?}");
}

#[test]
fn caches_lie_below_the_home() {
    for (name, entries) in TABLE {
        for (path, shown) in *entries {
            assert!(*shown != Shown::Cache || Path::new(path).is_relative(), "{name}: {path}");
        }
    }
}

#[test]
fn an_unknown_name_is_refused_and_the_known_ones_are_said() {
    let (_dir, home) = home();
    let refused = resolve(&home, &only(&["cargo", "carg"]), None).unwrap_err();
    assert_eq!(refused, UnknownToolchain::Toolchain { name: "carg".to_owned() });
    assert!(refused.to_string().contains("cargo, ccache"));
    let refused = resolve(&home, &ToolchainPolicy::None, Some(&only(&["rustup"]))).unwrap_err();
    assert_eq!(refused, UnknownToolchain::Cache { name: "rustup".to_owned() });
    assert!(refused.to_string().contains("npm, pip"));
    assert!(resolve(&home, &only(&["npm-cache"]), None).is_ok(), "an older sandbox says so");
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
    let mounts = resolve(&home, &ToolchainPolicy::Known, None).unwrap().mounts;
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
    let mounts = resolve(&home, &only(&["nvm"]), None).unwrap().mounts;
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
        let copied = list(&[Shown::Cache]);
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
