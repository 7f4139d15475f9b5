//! What is run where a manifest says nothing: what the project's own package manager calls it.

/// The port of a web process that names none.
pub const WEB_PORT: u16 = 3000;

/// How long a build may take that says nothing about it, in milliseconds.
pub const BUILD_TIMEOUT_MS: u64 = 120_000;

/// The command of a web process that names none.
///
/// It installs every time: package managers are quick when nothing is missing. They do not see that an installation was
/// cut off in the middle of a file, so one that is under way is marked, outside the workspace; what a marked one left is
/// removed first. A failed one is no reason not to try: without a network, what is there may do.
pub const WEB_COMMAND: &str = "\
mark=$HOME/.sandbar-installing
[ ! -e \"$mark\" ] || /bin/rm -rf node_modules
: >\"$mark\"
if [ -f pnpm-lock.yaml ]; then
  pnpm install; /bin/rm -f \"$mark\"; exec pnpm dev
elif [ -f yarn.lock ]; then
  yarn install; /bin/rm -f \"$mark\"; exec yarn dev
elif [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ] || ! command -v pnpm >/dev/null; then
  npm install; /bin/rm -f \"$mark\"; exec npm run dev
else
  pnpm install; /bin/rm -f \"$mark\"; exec pnpm dev
fi
";

/// The check of a build that names no command: the project's `build` script. A project without one passes.
pub const BUILD_COMMAND: &str = "\
[ -f package.json ] || exit 0
node -e 'process.exit(require(\"./package.json\").scripts?.build ? 0 : 1)' || exit 0
if [ -f pnpm-lock.yaml ]; then
  exec pnpm build
elif [ -f yarn.lock ]; then
  exec yarn build
elif [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ] || ! command -v pnpm >/dev/null; then
  exec npm run build
else
  exec pnpm build
fi
";

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;

    /// What a command runs in a project of these files, with these programs installed.
    fn ran(command: &str, files: &[&str], programs: &[&str]) -> String {
        let host = tempfile::tempdir().unwrap();
        let (project, bin) = (host.path().join("project"), host.path().join("bin"));
        for dir in [&project, &bin] {
            fs::create_dir(dir).unwrap();
        }
        for file in files {
            fs::write(project.join(file), "").unwrap();
        }
        for program in programs {
            let path = bin.join(program);
            // One that fails when it installs, as without a network.
            fs::write(&path, "#!/bin/sh\necho \"${0##*/} $*\"\n[ \"$1\" != install ]\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        run(command, &project, &bin)
    }

    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor to run its commands")]
    fn run(command: &str, project: &Path, bin: &Path) -> String {
        let output = std::process::Command::new("/bin/bash")
            .args(["-c", command])
            .current_dir(project)
            .env("PATH", bin)
            .env("HOME", project.parent().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().replace('\n', "; ")
    }

    #[test]
    fn the_lock_file_says_which_package_manager_serves() {
        let all = &["pnpm", "yarn", "npm"][..];
        for (files, programs, expected) in [
            (&["pnpm-lock.yaml"][..], all, "pnpm install; pnpm dev"),
            (&["yarn.lock"], all, "yarn install; yarn dev"),
            (&["package-lock.json"], all, "npm install; npm run dev"),
            (&["npm-shrinkwrap.json"], all, "npm install; npm run dev"),
            (&[], all, "pnpm install; pnpm dev"),
            (&[], &["npm"], "npm install; npm run dev"),
        ] {
            assert_eq!(ran(WEB_COMMAND, files, programs), expected, "{files:?} {programs:?}");
        }
    }

    #[test]
    fn a10_what_an_install_left_that_was_cut_off_is_removed_and_what_a_whole_one_left_is_not() {
        let host = tempfile::tempdir().unwrap();
        let (project, bin) = (host.path().join("project"), host.path().join("bin"));
        fs::create_dir_all(project.join("node_modules/left")).unwrap();
        fs::create_dir(&bin).unwrap();
        let npm = bin.join("npm");
        fs::write(
            &npm,
            "#!/bin/sh\nif [ -d node_modules/left ]; then echo kept; else echo gone; fi\n",
        )
        .unwrap();
        fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(run(WEB_COMMAND, &project, &bin), "kept; kept");
        fs::write(host.path().join(".sandbar-installing"), "").unwrap();
        assert_eq!(run(WEB_COMMAND, &project, &bin), "gone; gone");
        assert!(!host.path().join(".sandbar-installing").exists(), "this one came to its end");
    }

    #[test]
    fn the_lock_file_says_which_package_manager_builds() {
        let all = &["node", "pnpm", "yarn", "npm"][..];
        let built = |files: &[&str]| {
            let said = ran(BUILD_COMMAND, files, all);
            // The question whether there is such a script, as the stand-in for Node repeats it.
            said.lines().next().map(|line| line.rsplit("; ").next().unwrap().to_owned())
        };
        assert_eq!(built(&["package.json", "pnpm-lock.yaml"]).unwrap(), "pnpm build");
        assert_eq!(built(&["package.json", "yarn.lock"]).unwrap(), "yarn build");
        assert_eq!(built(&["package.json", "package-lock.json"]).unwrap(), "npm run build");
        assert_eq!(built(&["package.json"]).unwrap(), "pnpm build");
        assert_eq!(built(&["yarn.lock"]), None, "nothing is built without a package.json");
    }
}
