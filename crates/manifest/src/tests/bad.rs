//! Everything that can be wrong, with its place.

use std::collections::BTreeSet;

use super::found;
use crate::{Code, Severity, read, read_bytes};

/// Manifests, and what is found in them.
const BAD: &[(&str, &[&str])] = &[
    // What is said about the version.
    ("web: {}\n", &["1:1 version_missing"]),
    ("version: 2\nweb: {}\n", &["1:10 version_unsupported"]),
    ("version: '1'\nweb: {}\n", &["1:10 version_unsupported"]),
    ("version: [1]\nweb: {}\n", &["1:10 wrong_type"]),
    ("version:\nweb: {}\n", &["1:1 version_missing"]),
    // Keys that belong elsewhere.
    (
        "version: 1\nweb: {}\ncommand: x\nport: 1\nhealth_path: /\n",
        &["3:1 misplaced_key", "4:1 misplaced_key", "5:1 misplaced_key"],
    ),
    ("version: 1\nweb: {}\nprocesses: []\n", &["3:1 foreign_key"]),
    ("version: 1\nweb: {}\nservices: {}\n", &["3:1 foreign_key"]),
    ("version: 1\nwebb: {}\n", &["1:1 nothing_to_run", "2:1 unknown_key"]),
    ("version: 1\nweb:\n  prot: 3000\n", &["3:3 unknown_key"]),
    ("version: 1\nweb:\n  name: x\n", &["3:3 unknown_key"]),
    ("version: 1\nweb:\n  health:\n    notify: {fd: 3}\n", &["4:5 misplaced_key"]),
    ("version: 1\nweb: {depends_on: [x]}\n", &["2:7 foreign_key"]),
    // Nothing to run.
    ("version: 1\n", &["1:1 nothing_to_run"]),
    ("version: 1\nweb:\n", &["1:1 nothing_to_run", "2:1 no_value"]),
    ("version: 1\nworkers: []\n", &["1:1 nothing_to_run"]),
    ("version: 1\nworkers: [x]\n", &["2:11 wrong_type"]),
    ("- version: 1\n", &["1:1 wrong_type"]),
    ("hello\n", &["1:1 wrong_type"]),
    ("", &["1:1 empty"]),
    ("# later\n", &["2:1 empty"]),
    // Ports.
    ("version: 1\nweb: {port: 65536}\n", &["2:13 port_out_of_range"]),
    ("version: 1\nweb: {port: -1}\n", &["2:13 port_out_of_range"]),
    ("version: 1\nweb: {port: 99999999999999999999999}\n", &["2:13 port_out_of_range"]),
    ("version: 1\nweb: {port: '3000'}\n", &["2:13 wrong_type"]),
    ("version: 1\nweb: {port: 3000.5}\n", &["2:13 wrong_type"]),
    (
        "version: 1\nweb: {ports: [0, 3001, 3001, x]}\n",
        &["2:15 port_out_of_range", "2:24 port_twice", "2:30 wrong_type"],
    ),
    (
        "version: 1\nweb: {}\nworkers:\n- {name: a, command: b, ports: [3000]}\n",
        &["4:33 port_twice"],
    ),
    ("version: 1\nweb:\n  command: x\n", &["3:3 port_missing"]),
    ("version: 1\nweb:\n  command: x\n  port: 0\n", &["3:3 port_missing", "4:3 no_value"]),
    // A port that is wrong is not missing as well.
    ("version: 1\nweb:\n  command: x\n  port: a\n", &["4:9 wrong_type"]),
    // Workers.
    ("version: 1\nworkers:\n- command: x\n", &["3:3 name_missing"]),
    ("version: 1\nworkers:\n- name: x\n", &["3:3 command_missing"]),
    ("version: 1\nworkers:\n- name: x\n  command: ' '\n", &["3:3 command_missing"]),
    ("version: 1\nworkers:\n- {name: .., command: x}\n", &["3:10 bad_name"]),
    ("version: 1\nworkers:\n- {name: ../../x, command: x}\n", &["3:10 bad_name"]),
    (
        "version: 1\nworkers:\n- {name: x, command: x}\n- {name: x, command: y}\n",
        &["4:10 duplicate_name"],
    ),
    ("version: 1\nweb: {}\nworkers:\n- {name: web, command: x}\n", &["4:10 duplicate_name"]),
    ("version: 1\nworkers: {name: x, command: y}\n", &["2:10 wrong_type"]),
    // Texts.
    ("version: 1\nweb: {port: 1, command: \"a\\0b\"}\n", &["2:25 nul_character"]),
    ("version: 1\nweb: {env: {A: \"\\0\"}}\n", &["2:16 nul_character"]),
    (
        "version: 1\nweb: {env: {1A: x, 'A B': y, A=: z}}\n",
        &["2:13 bad_env_name", "2:20 bad_env_name", "2:30 bad_env_name"],
    ),
    ("version: 1\nweb: {env: [A=1]}\n", &["2:12 wrong_type"]),
    ("version: 1\nweb: {env: {A: {}}}\n", &["2:16 wrong_type"]),
    ("version: 1\nweb: {cwd: a/../..}\n", &["2:12 bad_directory"]),
    ("version: 1\nweb: {health_path: up}\n", &["2:20 bad_path"]),
    ("version: 1\nweb: {health_path: '/a b'}\n", &["2:20 bad_path"]),
    // Numbers, durations, sizes, words.
    ("version: 1\nweb: {restart_after_task: yes}\n", &["2:27 wrong_type"]),
    ("version: 1\nweb: {ready: {interval: 5}}\n", &["2:25 bad_duration"]),
    (
        "version: 1\nweb: {ready: {interval: 1ms, deadline: 2h}}\n",
        &["2:25 number_out_of_range", "2:40 number_out_of_range"],
    ),
    ("version: 1\nweb: {log: {size: 1MB}}\n", &["2:19 bad_size"]),
    (
        "version: 1\nweb: {log: {size: 1, files: 0}}\n",
        &["2:19 number_out_of_range", "2:29 number_out_of_range"],
    ),
    ("version: 1\nweb: {stop: {signal: SIGTREM}}\n", &["2:22 bad_choice"]),
    ("version: 1\nweb: {restart: no}\n", &["2:16 bad_choice"]),
    ("version: 1\nweb: {}\nbuild: {timeout_seconds: -5}\n", &["3:26 number_out_of_range"]),
    ("version: 1\nweb: {}\nbuild: make\n", &["3:8 wrong_type"]),
    // Checks.
    ("version: 1\nweb: {ready: {notify: {fd: 2}}}\n", &["2:28 number_out_of_range"]),
    ("version: 1\nweb: {ready: {notify: {fd: 10}}}\n", &["2:28 number_out_of_range"]),
    ("version: 1\nweb: {ready: {notify: {}}}\n", &["2:23 probe_missing"]),
    ("version: 1\nweb: {ready: {tcp: {}, command: x}}\n", &["2:24 probe_twice"]),
    ("version: 1\nweb: {ready: {http: /up}}\n", &["2:21 wrong_type"]),
    ("version: 1\nweb: {ready: off}\n", &["2:14 wrong_type"]),
    (
        "version: 1\nworkers: [{name: a, command: b, ready: {deadline: 5s}}]\n",
        &["2:40 probe_missing"],
    ),
    ("version: 1\nworkers: [{name: a, command: b, health: {}}]\n", &["2:41 probe_missing"]),
    ("version: 1\nworkers: [{name: a, command: b, ready: {tcp: {}}}]\n", &["2:46 port_missing"]),
    // Order.
    (
        "version: 1\nweb: {after: [wrker, wrker]}\nworkers:\n- {name: worker, command: x}\n",
        &["2:15 after_unknown", "2:22 after_twice"],
    ),
    ("version: 1\nweb: {after: [web]}\n", &["2:15 after_cycle"]),
    (
        "version: 1\nweb:\n  after: [a]\nworkers:\n- {name: a, command: x, after: [b]}\n- {name: b, command: x, after: [web]}\n",
        &["6:33 after_cycle"],
    ),
    // What is not meant.
    ("version: 1\nweb: {command: vite --port 5173, port: 3000}\n", &["2:16 command_port_differs"]),
    (
        "version: 1\nweb: {command: npm start, port: 3000, env: {PORT: 4000}}\n",
        &["2:44 command_port_differs"],
    ),
    ("version: 1\nweb:\n  health_path: /up\n  ready: {tcp: {}}\n", &["3:3 health_path_unused"]),
    // What YAML can say and a manifest cannot.
    ("version: 1\nweb: {}\nweb: {}\n", &["3:1 duplicate_key"]),
    ("version: 1\nweb: &w {}\n", &["2:6 yaml_alias"]),
    ("version: 1\nweb: !!map {}\n", &["2:6 yaml_tag"]),
    ("version: 1\nweb: {}\n? [a]\n: b\n", &["3:3 key_not_text"]),
    ("version: 1\nweb: {}\n---\nversion: 1\n", &["3:1 second_document"]),
    ("version: 1\nweb: {\n", &["3:1 yaml_syntax"]),
    ("version: 1\nweb: {cwd: \u{7}}\n", &["2:12 control_character"]),
    ("version: 1\nweb: [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n", &["2:21 too_deep"]),
];

#[test]
fn everything_wrong_is_found_where_it_is() {
    let wrong: Vec<_> = BAD
        .iter()
        .map(|(text, expected)| (text, *expected, found(text)))
        .filter(|(_, expected, found)| expected != found)
        .collect();
    assert!(wrong.is_empty(), "manifest, expected, found: {wrong:#?}");
}

#[test]
fn every_code_has_an_example() {
    let mut seen: BTreeSet<&str> = BAD
        .iter()
        .flat_map(|(_, found)| *found)
        .filter_map(|found| found.split(' ').nth(1))
        .collect();
    // These have tests of their own, as their texts are long or no texts.
    seen.extend(["too_large", "not_utf8", "too_many_processes"]);
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(seen, all);
}

#[test]
fn all_of_it_is_found_at_once() {
    let text = "\
version: 3
port: 3000
web:
  command: vite --port 5173
  port: 70000
  helth_path: /
workers:
  - name: ..
    command: x
  - name: a
build:
  timeout_seconds: soon
";
    assert_eq!(
        found(text),
        [
            "1:10 version_unsupported",
            "2:1 misplaced_key",
            "5:9 port_out_of_range",
            "6:3 unknown_key",
            "8:11 bad_name",
            "10:5 command_missing",
            "12:20 wrong_type",
        ]
    );
}

#[test]
fn a16_a_bad_manifest_starts_nothing_and_says_why() {
    let text = "version: 1\nweb: {}\nworkers:\n  - name: good\n    command: x\n  - name: not good\n    command: y\n";
    let reading = read(text);
    assert_eq!(reading.spec, None, "not even the web process and the good worker");
    let [finding] = &reading.findings[..] else { panic!("{reading:?}") };
    assert_eq!((finding.line, finding.column), (6, 11));
    assert_eq!(finding.severity, Severity::Error);
    assert_eq!(finding.message, "`not good` cannot be the name of a process");
    assert_eq!(finding.hint.as_deref(), Some("1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`"));
}

#[test]
fn messages_say_what_to_do() {
    for (text, message, hint) in [
        ("version: 1\nweb: {prot: 1}\n", "`web` has no `prot`", "did you mean `port`?"),
        ("version: 1\nweb: {}\nport: 1\n", "the manifest has no `port`", "put it under `web:`"),
        (
            "version: 1\nweb: {}\nprocesses: {}\n",
            "the manifest has no `processes`",
            "did you mean `workers:` or `web:`?",
        ),
        (
            "version: 1\nweb: {port: '80'}\n",
            "`port` is the text `80`, and should be a port: a number, without quotes",
            "for example `port: 3000`",
        ),
        (
            "version: 1\nweb: {ready: {http: /up}}\n",
            "`http` is `/up`, and should be a map, `key: value`",
            "for example `http: {path: /health, port: 3000}`",
        ),
        (
            "version: 1\nweb: {after: [a]}\nworkers: [{name: a, command: x, after: [web]}]\n",
            "they wait for each other: web → a → web",
            "one of them must start without the other",
        ),
        (
            "version: 1\nweb: {command: vite --port 5173, port: 3000}\n",
            "the command says port 5173, `web.port` says 3000",
            "if it serves 5173, write `port: 5173`",
        ),
        ("version: 1\nweb: {ready: {interval: 1ms}}\n", "`interval` is `1ms`", "from 50ms to 10m"),
        (
            "version: 1\nweb: {restart: no}\n",
            "`restart` cannot be `no`",
            "it can be `always`, `on-failure` or `never`",
        ),
    ] {
        let reading = read(text);
        let [finding] = &reading.findings[..] else { panic!("{reading:?}") };
        assert_eq!((finding.message.as_str(), finding.hint.as_deref()), (message, Some(hint)));
    }
}

#[test]
fn a_server_on_localhost_is_fine() {
    super::good("version: 1\nweb: {command: vite --host 127.0.0.1 --port 3000, port: 3000}\n");
}

#[test]
fn too_much_is_refused() {
    let worker = |number: usize| format!("- {{name: w{number}, command: x}}\n");
    let workers = |count: usize| (0..count).map(worker).collect::<String>();
    assert!(read(&format!("version: 1\nworkers:\n{}", workers(32))).is_valid());
    let text = format!("version: 1\nworkers:\n{}", workers(33));
    assert_eq!(found(&text), ["35:3 too_many_processes"]);
    assert_eq!(found(&"#".repeat((64 << 10) + 1)), ["1:1 too_large"]);
}

#[test]
fn many_warnings_hide_no_error() {
    let quiet: String = (0..200)
        .map(|n| format!("- {{name: w{n}, command: x, env: , cwd: , after: }}\n"))
        .collect();
    let reading = read(&format!("version: 1\nworkers:\n{quiet}nonsense: 1\n"));
    assert_eq!(reading.findings.len(), 100);
    assert_eq!(reading.of(Severity::Error).count(), 2);
    assert!(!reading.is_valid());
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_are() {
    let reading = read_bytes(b"version: 1\nweb: \xff\n");
    let [finding] = &reading.findings[..] else { panic!("{reading:?}") };
    assert_eq!((finding.code, finding.line, finding.column), (Code::NotUtf8, 2, 6));
    assert!(read_bytes(b"\xef\xbb\xbfversion: 1\nweb: {}\n").is_valid());
}
