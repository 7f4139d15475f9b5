//! The command line as users read and write it.

use clap::CommandFactory;

use super::*;

const NOTHING: Roles = Roles {
    serve: |_options| {
        Err(ServeFailure {
            kind: ServeFailureKind::Unexpected,
            error: "no server in this test".into(),
            hint: None,
        })
    },
    settings_text: |_data_dir| Ok("[server]\n".to_owned()),
    backup: BackupRoles {
        create: |_data_dir, _file| Ok(()),
        verify: |_file| Err(not_here()),
        restore: |_options| Err(not_here()),
    },
};

fn not_here() -> ServeFailure {
    ServeFailure {
        kind: ServeFailureKind::Unexpected,
        error: "no backups in this test".into(),
        hint: None,
    }
}

fn exit_code(words: &[&str]) -> u8 {
    run(
        std::iter::once("sandbar").chain(words.iter().copied()).map(OsString::from).collect(),
        NOTHING,
    )
}

fn parse(words: &[&str]) -> Result<Cli, ErrorKind> {
    Cli::try_parse_from(std::iter::once("sandbar").chain(words.iter().copied()))
        .map_err(|error| error.kind())
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself() {
    let mut cli = Cli::command().term_width(100);
    insta::assert_snapshot!("help", cli.render_long_help());
    for command in cli.get_subcommands_mut() {
        let name = format!("help_{}", command.get_name());
        let mut command = command.clone().term_width(100);
        for chore in command.get_subcommands_mut() {
            let name = format!("{name}_{}", chore.get_name());
            insta::assert_snapshot!(name, chore.clone().term_width(100).render_long_help());
        }
        insta::assert_snapshot!(name, command.render_long_help());
    }
}

#[test]
fn the_handbook_shows_every_command() {
    let handbook = include_str!("../../../docs/cli.md");
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(
            handbook.contains(&format!("`sandbar {name}`")),
            "docs/cli.md does not describe `{name}`"
        );
        assert!(
            handbook.contains(&format!("\n$ sandbar {name}")),
            "docs/cli.md has no example of `{name}`"
        );
    }
}

#[test]
fn a_command_needs_no_dashes_before_it() {
    for words in [
        &["run", "--name", "x", "cargo", "test", "--all"][..],
        &["run", "--name", "x", "--", "cargo", "test", "--all"],
    ] {
        let cli = parse(words).unwrap();
        assert!(format!("{cli:?}").contains(r#"command: ["cargo", "test", "--all"]"#), "{cli:?}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    for words in [
        &["run"][..],
        &["run", "--rm", "--keep", "--", "true"],
        &["run", "--empty", "--scope", "src", "--", "true"],
        &["run", "--memory", "lots", "--", "true"],
        &["run", "--name", "Not A Name", "--", "true"],
        &["exec", "x"],
        &["approve", "--allow", "everything"],
        &["rm"],
        &["nonsense"],
    ] {
        assert!(parse(words).is_err(), "{words:?}");
    }
}

#[test]
fn exit_codes_are_those_of_the_table() {
    let empty = tempfile::tempdir().unwrap();
    let nowhere = format!("unix:{}", empty.path().join("none.sock").display());
    assert_eq!(exit_code(&["--help"]), 0);
    assert_eq!(exit_code(&["--version"]), 0);
    assert_eq!(exit_code(&["nonsense"]), 2);
    assert_eq!(exit_code(&["--server", "nonsense", "ls"]), 2);
    assert_eq!(exit_code(&["--server", &nowhere, "ls"]), 6);
    assert_eq!(
        exit_code(&["--server", &nowhere, "run", "--source", "/does/not/exist", "--", "true"]),
        3
    );
    let manifest = |text: &str| {
        let file = empty.path().join("sandbox.yaml");
        std::fs::write(&file, text).unwrap();
        exit_code(&["-q", "manifest", "check", &file.display().to_string()])
    };
    assert_eq!(manifest("version: 1\nweb: {port: 0}\n"), 0);
    assert_eq!(manifest("version: 1\n"), 1);
    assert_eq!(exit_code(&["manifest", "check", "/does/not/exist"]), 3);
    assert_eq!(exit_code(&["manifest", "check", "/"]), 2);
    assert_eq!(exit_code(&["manifest"]), 2);
    let data = empty.path().join("data").display().to_string();
    assert_eq!(exit_code(&["serve", "--data-dir", &data]), 1);
}
