//! What holds for every text.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{EVERY_FIELD, good};
use crate::{
    BuildDraft, Draft, Reasoned, Severity, WebDraft, WorkerDraft, read, read_bytes,
    tests::schema::refused_by_schema, write,
};

/// Pieces that manifests and YAML are made of, good and bad.
const PIECES: &[&str] = &[
    "version: 1\n",
    "version",
    "web:",
    "web: {}\n",
    "workers:\n",
    "build:",
    "command: ",
    "port: ",
    "ports: ",
    "name: ",
    "after: ",
    "ready: ",
    "health: ",
    "http: ",
    "tcp: ",
    "notify: {fd: 3}",
    "env: ",
    "log: ",
    "stop: ",
    "deadline: ",
    "restart: ",
    "3000",
    "0",
    "-1",
    "99999999999999999999",
    "5s",
    "1MiB",
    "none",
    "true",
    "a",
    "..",
    "/",
    ": ",
    ":",
    "- ",
    "-",
    "\n",
    "\n  ",
    "\n    ",
    "  ",
    " ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "|",
    ">",
    "|2-\n",
    ">+\n",
    "&a ",
    "*a",
    "!!str ",
    "!",
    "%TAG",
    "---\n",
    "---",
    "...\n",
    "...",
    "# x\n",
    "#",
    "? ",
    "?",
    "~",
    "null",
    "\r\n",
    "\r",
    "\\0",
    "\\x",
    "\\",
    "@",
    "`",
    "é",
    "\u{2028}",
    "\u{85}",
    "\u{feff}",
    "\u{0}",
    "<<: ",
    "=",
    "\u{1F600}",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(select(PIECES), 0..40).prop_map(|pieces| pieces.concat()),
        vec(any::<char>(), 0..60).prop_map(|chars| chars.into_iter().collect()),
        // A good manifest with a piece in the wrong place, and with one cut out.
        (0..EVERY_FIELD.len(), 0..20_usize, select(PIECES)).prop_map(|(at, cut, piece)| {
            let end = (at + cut).min(EVERY_FIELD.len());
            format!("{}{piece}{}", &EVERY_FIELD[..at], &EVERY_FIELD[end..])
        }),
    ]
}

/// Lines as an editor shows them.
fn widths(text: &str) -> Vec<usize> {
    text.replace("\r\n", "\n").split(['\n', '\r']).map(|line| line.chars().count()).collect()
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in text()) {
        let reading = read(&text);
        let errors = reading.of(Severity::Error).count();
        prop_assert_eq!(reading.spec.is_none(), errors > 0, "{:?}", reading);
        let widths = widths(&text);
        for finding in &reading.findings {
            let (line, column) = (finding.line as usize, finding.column as usize);
            prop_assert!((1..=widths.len()).contains(&line), "{:?}", finding);
            prop_assert!((1..=widths[line - 1] + 1).contains(&column), "{:?}", finding);
            prop_assert!(!finding.message.chars().any(char::is_control), "{:?}", finding);
        }
        prop_assert_eq!(read_bytes(text.as_bytes()), reading);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in vec(any::<u8>(), 0..60)) {
        let reading = read_bytes(&bytes);
        prop_assert!(reading.is_valid() || !reading.findings.is_empty());
    }

    #[test]
    fn what_the_reader_takes_without_a_word_editors_take(text in text()) {
        if read(&text).findings.is_empty() {
            prop_assert_eq!(refused_by_schema(&text), None);
        }
    }

    #[test]
    fn editors_see_which_paths_lead_out(parts in vec(select(&["..", ".", "/", "a", "-"][..]), 1..8)) {
        let text = format!("version: 1\nweb: {{cwd: '{}'}}\n", parts.concat());
        prop_assert_eq!(refused_by_schema(&text).is_none(), read(&text).is_valid(), "{}", text);
    }

    #[test]
    fn a_draft_reads_back_as_it_is(draft in draft()) {
        let text = write(&draft);
        let app = good(&text);
        let restarts = |flag: &Reasoned<bool>| flag.value;
        if let Some(web) = &draft.web {
            let read = app.web().unwrap();
            prop_assert_eq!(&read.command, &web.command.value);
            prop_assert_eq!(&read.ports, &[web.port.value]);
            prop_assert_eq!(read.restart_after_task, restarts(&web.restart_after_task));
            let path = web.health_path.as_ref().map_or("/", |path| &path.value).to_owned();
            let probe = sandbar_types::Probe::Http { port: web.port.value, path };
            prop_assert_eq!(&read.ready.as_ref().unwrap().probe, &probe);
        }
        let workers = &app.processes[usize::from(draft.web.is_some())..];
        prop_assert_eq!(workers.len(), draft.workers.len());
        for (read, worker) in workers.iter().zip(&draft.workers) {
            prop_assert_eq!(read.name.as_str(), &worker.name.value);
            prop_assert_eq!(&read.command, &worker.command.value);
            prop_assert_eq!(read.restart_after_task, restarts(&worker.restart_after_task));
        }
        if let Some(build) = &draft.build {
            use sandbar_types::BuildCheck;
            let expected = if build.command.value.is_empty() {
                BuildCheck::Skipped
            } else {
                let seconds = build.timeout_seconds.as_ref().map_or(120, |timeout| timeout.value);
                let command = build.command.value.clone();
                BuildCheck::Command { command, timeout_ms: u64::from(seconds) * 1_000 }
            };
            prop_assert_eq!(app.build, expected);
        }
    }
}

/// Commands that name no port: those would be warned about.
fn command() -> impl Strategy<Value = String> {
    let words = select(
        &[
            "pnpm dev",
            "a: b",
            "# x",
            "true",
            "null",
            "- x",
            "'",
            "\"",
            "\\",
            "é\u{2028}",
            "{x}",
            " ",
            "\n",
            "\t",
            "\u{1b}[2J",
            "&a",
            "no",
            ".5",
            "~",
            "0x1f",
            "1e3",
        ][..],
    );
    let chosen = vec(words, 1..4).prop_map(|words| words.concat());
    prop_oneof![chosen, "\\PC{1,20}"].prop_filter("blank, or with a port", |text| {
        !text.trim().is_empty() && !text.contains([':', 'p', 'P', '\0'])
    })
}

fn reasoned<T: std::fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Reasoned<T>> {
    let reason = prop_oneof![
        Just(None),
        "\\PC{0,20}".prop_map(Some),
        Just(Some("two\nlines: x".to_owned()))
    ];
    (value, reason).prop_map(|(value, reason)| Reasoned { value, reason })
}

prop_compose! {
    fn web()(
        command in reasoned(command()),
        port in reasoned(1..=u16::MAX),
        health_path in proptest::option::of(reasoned("/[!-~]{0,12}")),
        restart_after_task in reasoned(any::<bool>()),
    ) -> WebDraft {
        WebDraft { command, port, health_path, restart_after_task }
    }
}

prop_compose! {
    fn worker()(
        name in reasoned("[A-Za-z0-9_-]{1,12}"),
        command in reasoned(command()),
        restart_after_task in reasoned(any::<bool>()),
    ) -> WorkerDraft {
        WorkerDraft { name, command, restart_after_task }
    }
}

prop_compose! {
    fn draft()(
        about in vec("\\PC{0,20}", 0..3),
        web in web(),
        has_web in any::<bool>(),
        workers in vec(worker(), 1..4),
        command in reasoned(prop_oneof![Just(String::new()), command()]),
        timeout_seconds in proptest::option::of(reasoned(1..=600_u32)),
    ) -> Draft {
        let mut workers = workers;
        workers.sort_by(|a, b| a.name.value.cmp(&b.name.value));
        workers.dedup_by(|a, b| a.name.value == b.name.value);
        workers.retain(|worker| worker.name.value != "web");
        let web = (has_web || workers.is_empty()).then_some(web);
        Draft { about, web, workers, build: Some(BuildDraft { command, timeout_seconds }) }
    }
}
