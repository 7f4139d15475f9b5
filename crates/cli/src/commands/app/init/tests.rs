//! What is written into a directory, and what is left alone.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::output::{Format, Talk};

fn init(dir: &Path, change: impl FnOnce(&mut Args)) -> Result<u8, Failure> {
    let mut args = Args { dir: dir.to_owned(), preset: None, print: false, force: false };
    change(&mut args);
    run(&args, Output::new(Talk::Quiet, Format::Text))
}

fn flask() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.py"), "app = Flask(__name__)\n@app.route('/')\n").unwrap();
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_project_gets_a_manifest_and_keeps_the_one_it_has() {
    let dir = flask();
    let manifest = dir.path().join(MANIFEST);
    init(dir.path(), |args| args.print = true).unwrap();
    assert!(!manifest.exists(), "--print writes nothing");
    init(dir.path(), |_| {}).unwrap();
    assert!(fs::read_to_string(&manifest).unwrap().contains("flask --app app run"));
    fs::write(&manifest, "mine").unwrap();
    let refused = init(dir.path(), |_| {}).unwrap_err();
    assert_eq!(refused.code(), Code::Refused);
    assert_eq!(fs::read_to_string(&manifest).unwrap(), "mine");
    init(dir.path(), |args| args.force = true).unwrap();
    assert!(fs::read_to_string(&manifest).unwrap().starts_with("# Flask"));
    assert_eq!(names(dir.path()), ["app.py", MANIFEST]);
}

#[test]
fn a_directory_that_says_nothing_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(init(dir.path(), |_| {}).unwrap_err().code(), Code::NotFound);
    assert!(names(dir.path()).is_empty());
    let gone = dir.path().join("gone");
    assert_eq!(init(&gone, |_| {}).unwrap_err().code(), Code::NotFound);
}

#[test]
fn every_preset_fills_an_empty_directory_and_no_other() {
    for name in PresetName::ALL {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".gitkeep"), "").unwrap();
        init(dir.path(), |args| args.preset = Some(name)).unwrap();
        for file in sandbar_presets::preset(name).files {
            let path = dir.path().join(file.path);
            assert_eq!(fs::read(&path).unwrap(), file.content, "{}", path.display());
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o100 != 0, file.is_executable, "{}", path.display());
        }
        let before = names(dir.path());
        let refused = init(dir.path(), |args| args.preset = Some(name)).unwrap_err();
        assert_eq!(refused.code(), Code::Refused);
        assert_eq!(names(dir.path()), before);
    }
}

#[test]
fn a_pipe_in_a_project_is_no_file() {
    let dir = flask();
    let pipe = dir.path().join("package.json");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    init(dir.path(), |_| {}).unwrap();
}
