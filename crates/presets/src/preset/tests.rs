//! The starters as they are in the binary.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use super::*;
use crate::{Install, Manager, project::memory::Memory};

/// What may be left beside a starter by somebody who ran it there.
const LEFTOVERS: [&str; 7] = [
    "node_modules",
    ".next",
    "dist",
    ".venv",
    "__pycache__",
    "next-env.d.ts",
    "tsconfig.tsbuildinfo",
];

fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, (Vec<u8>, bool)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if LEFTOVERS.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(root, &entry.path(), found);
        } else {
            let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let is_executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
            found.insert(path, (fs::read(entry.path()).unwrap(), is_executable));
        }
    }
}

fn text<'a>(preset: &'a Preset, path: &str) -> &'a str {
    let file = preset.files.iter().find(|file| file.path == path);
    str::from_utf8(file.unwrap_or_else(|| panic!("{} has no {path}", preset.name)).content).unwrap()
}

/// The lines of the web process's command in a manifest.
fn command(manifest: &str) -> String {
    let (_, rest) = manifest.split_once("  command: |\n").expect("a command over several lines");
    let lines = rest.lines().map_while(|line| line.strip_prefix("    "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_file_of_a_starter_is_in_the_binary() {
    for preset in presets() {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("starters").join(preset.name.as_str());
        let mut on_disk = BTreeMap::new();
        walk(&root, &root, &mut on_disk);
        let embedded = preset
            .files
            .iter()
            .map(|file| (file.path.to_owned(), (file.content.to_vec(), file.is_executable)));
        let embedded: BTreeMap<_, _> = embedded.collect();
        assert_eq!(embedded.keys().collect::<Vec<_>>(), on_disk.keys().collect::<Vec<_>>());
        assert!(embedded == on_disk, "{}: a file differs from the one on disk", preset.name);
    }
}

#[test]
fn every_starter_says_how_it_is_run_and_what_it_is() {
    for preset in presets() {
        assert!(preset.manifest().starts_with("version: 1\n"), "{}", preset.name);
        let has_web = preset.manifest().contains("\nweb:\n");
        assert_eq!(has_web, preset.kind == ProcessKind::Web, "{}", preset.name);
        for path in ["README.md", ".gitignore"] {
            assert!(!text(preset, path).is_empty());
        }
    }
}

#[test]
fn a10_the_starters_repair_an_install_that_was_cut_off() {
    let npm = Install::new(Manager::Npm, ["package.json", "package-lock.json"]);
    for (name, server) in [
        (PresetName::ReactVite, "node_modules/.bin/vite"),
        (PresetName::NextJs, "node_modules/.bin/next dev --hostname 127.0.0.1 --port 3000"),
        (PresetName::NodeExpress, "node --watch server.js"),
    ] {
        assert_eq!(command(preset(name).manifest()), npm.before(server), "{name}");
    }
    let pip = Install::new(Manager::Pip, ["requirements.lock", "requirements.txt"]);
    assert_eq!(
        command(preset(PresetName::FastApi).manifest()),
        pip.before(".venv/bin/uvicorn main:app --host 127.0.0.1 --port 3000 --reload")
    );
}

#[test]
fn a11_the_starters_are_recognized_as_what_they_are() {
    for (name, framework, manager) in [
        (PresetName::ReactVite, crate::Framework::Vite, Manager::Npm),
        (PresetName::NextJs, crate::Framework::NextJs, Manager::Npm),
        (PresetName::NodeExpress, crate::Framework::Node, Manager::Npm),
        (PresetName::FastApi, crate::Framework::FastApi, Manager::Pip),
    ] {
        let files = preset(name).files.iter().filter_map(|file| {
            Some((file.path.to_owned(), str::from_utf8(file.content).ok()?.to_owned()))
        });
        let best = crate::detect(&Memory(files.collect())).remove(0);
        assert_eq!(best.framework.value, framework, "{name}");
        assert_eq!(best.install.unwrap().value.manager, manager, "{name}");
        assert_eq!(best.notes, Vec::<String>::new(), "{name}");
        if manager == Manager::Npm {
            assert_eq!(best.port.value, 3000, "{name}: {}", best.port.reason);
        }
    }
}

#[test]
fn lock_files_name_public_registries_and_hash_everything() {
    for name in [PresetName::ReactVite, PresetName::NextJs, PresetName::NodeExpress] {
        let lock: serde_json::Value =
            serde_json::from_str(text(preset(name), "package-lock.json")).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            let resolved = package["resolved"].as_str().unwrap();
            assert!(resolved.starts_with("https://registry.npmjs.org/"), "{path}: {resolved}");
            assert!(package["integrity"].as_str().unwrap().starts_with("sha512-"), "{path}");
        }
    }
    let lock = text(preset(PresetName::FastApi), "requirements.lock");
    assert!(!lock.contains("://"), "no index of some machine is named");
    let pinned = lock.lines().filter(|line| line.contains("==")).count();
    let hashed = lock.split("==").skip(1).filter(|rest| rest.contains("--hash=sha256:")).count();
    assert!(pinned >= 10 && pinned == hashed, "{pinned} packages, {hashed} with hashes");
}
