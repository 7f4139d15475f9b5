//! What is asked of a process, how it is ended, what is kept of it.

use super::{Code, Field, Form, Optional, Required, Stranger, Table, Text, Zero};

/// Signals that may ask a process to end, with their numbers on Linux.
pub(crate) const SIGNALS: &[(&str, u8)] = &[
    ("TERM", 15),
    ("INT", 2),
    ("QUIT", 3),
    ("HUP", 1),
    ("USR1", 10),
    ("USR2", 12),
    ("KILL", 9),
    ("SIGTERM", 15),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGHUP", 1),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGKILL", 9),
];

const SIGNAL_NAMES: &[&str] = &{
    let mut names = [""; SIGNALS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = SIGNALS[at].0;
        at += 1;
    }
    names
};

const HTTP_PROBE: Field = Field {
    key: "http",
    form: Form::Map(&HTTP),
    need: Optional,
    about: "A `GET` on a port of the loopback; a status from 200 to 399 is a yes.",
    default: "see `ready` and `health` of the process",
    example: "{path: /health, port: 3000}",
};

const TCP_PROBE: Field = Field {
    key: "tcp",
    form: Form::Map(&TCP),
    need: Optional,
    about: "A connection to a port of the loopback.",
    default: "not asked",
    example: "{port: 5432}",
};

const COMMAND_PROBE: Field = Field {
    key: "command",
    form: Form::Text(Text::Command),
    need: Optional,
    about: "Run as `bash -lc` does; exit code 0 is a yes.",
    default: "not asked",
    example: "pg_isready -q",
};

const TIMEOUT: Field = Field {
    key: "timeout",
    form: Form::Duration { min_ms: 50, max_ms: 300_000 },
    need: Optional,
    about: "How long one answer may take.",
    default: "5s",
    example: "2s",
};

const COMPOSE: &[Stranger] = &[
    Stranger { key: "test", code: Code::ForeignKey, hint: "it is `command`" },
    Stranger { key: "retries", code: Code::ForeignKey, hint: "it is `failures`, of `health`" },
    Stranger { key: "start_period", code: Code::ForeignKey, hint: "it is `deadline`, of `ready`" },
    Stranger { key: "path", code: Code::MisplacedKey, hint: "write `http: {path: /health}`" },
    Stranger { key: "port", code: Code::MisplacedKey, hint: "write `tcp: {port: 5432}`" },
    Stranger {
        key: "notify",
        code: Code::MisplacedKey,
        hint: "only `ready` can wait for a descriptor",
    },
];

/// When a process is ready.
pub(crate) static READY: Table = Table {
    name: "`ready`",
    about: "How it is seen that a process serves: one of `http`, `tcp`, `command`, `notify`.",
    fields: &[
        HTTP_PROBE,
        TCP_PROBE,
        COMMAND_PROBE,
        Field {
            key: "notify",
            form: Form::Map(&NOTIFY),
            need: Optional,
            about: "The process says so itself: it writes a line to a descriptor that it is given.",
            default: "not asked",
            example: "{fd: 3}",
        },
        Field {
            key: "interval",
            form: Form::Duration { min_ms: 50, max_ms: 600_000 },
            need: Optional,
            about: "The time between two questions.",
            default: "500ms",
            example: "1s",
        },
        TIMEOUT,
        Field {
            key: "deadline",
            form: Form::Duration { min_ms: 1_000, max_ms: 3_600_000 },
            need: Optional,
            about: "A process that is not ready so long after its start has failed.",
            default: "90s",
            example: "3m",
        },
    ],
    strangers: COMPOSE,
};

/// Whether a ready process still serves.
pub(crate) static HEALTH: Table = Table {
    name: "`health`",
    about: "How it is seen that a process goes on serving: one of `http`, `tcp`, `command`.",
    fields: &[
        HTTP_PROBE,
        TCP_PROBE,
        COMMAND_PROBE,
        Field {
            key: "interval",
            form: Form::Duration { min_ms: 500, max_ms: 3_600_000 },
            need: Optional,
            about: "The time between two questions.",
            default: "5s",
            example: "30s",
        },
        TIMEOUT,
        Field {
            key: "failures",
            form: Form::Whole { min: 1, max: 100, zero: Zero::Number },
            need: Optional,
            about: "So many noes in a row make it unhealthy; one yes makes it healthy again.",
            default: "3",
            example: "5",
        },
        Field {
            key: "restart",
            form: Form::Flag,
            need: Optional,
            about: "Whether an unhealthy process is restarted.",
            default: "false",
            example: "true",
        },
    ],
    strangers: COMPOSE,
};

/// A question over HTTP.
pub(crate) static HTTP: Table = Table {
    name: "`http`",
    about: "A `GET` on a port of the loopback; a status from 200 to 399 is a yes.",
    fields: &[
        Field {
            key: "path",
            form: Form::Text(Text::UrlPath),
            need: Optional,
            about: "What is asked.",
            default: "`web.health_path`; `/` for workers",
            example: "/health",
        },
        Field {
            key: "port",
            form: Form::Port(Zero::Number),
            need: Optional,
            about: "Where.",
            default: "`web.port`, or the first of a worker's `ports`",
            example: "3000",
        },
    ],
    strangers: &[],
};

/// A connection.
pub(crate) static TCP: Table = Table {
    name: "`tcp`",
    about: "A connection to a port of the loopback.",
    fields: &[Field {
        key: "port",
        form: Form::Port(Zero::Number),
        need: Optional,
        about: "Where.",
        default: "`web.port`, or the first of a worker's `ports`",
        example: "5432",
    }],
    strangers: &[],
};

/// A descriptor that the process writes to.
pub(crate) static NOTIFY: Table = Table {
    name: "`notify`",
    about: "A descriptor that the process is given, and writes a line to when it is ready.",
    fields: &[Field {
        key: "fd",
        form: Form::Whole { min: 3, max: 9, zero: Zero::Number },
        need: Required(Code::ProbeMissing, "say which descriptor: `fd: 3`"),
        about: "Its number in the process.",
        default: "none, it must be there",
        example: "3",
    }],
    strangers: &[],
};

/// How a process is ended.
pub(crate) static STOP: Table = Table {
    name: "`stop`",
    about: "How a process is ended: a signal to its process group, then SIGKILL.",
    fields: &[
        Field {
            key: "signal",
            form: Form::Word(SIGNAL_NAMES),
            need: Optional,
            about: "The signal that asks.",
            default: "TERM",
            example: "INT",
        },
        Field {
            key: "grace",
            form: Form::Duration { min_ms: 0, max_ms: 600_000 },
            need: Optional,
            about: "How long it may take before SIGKILL.",
            default: "5s",
            example: "10s",
        },
    ],
    strangers: &[],
};

/// What is kept of the output.
pub(crate) static LOG: Table = Table {
    name: "`log`",
    about: "How much of the output is kept: `size` times `files` in all, the oldest is dropped.",
    fields: &[
        Field {
            key: "size",
            form: Form::Bytes { min: 4 << 10, max: 64 << 20 },
            need: Optional,
            about: "The size of one file.",
            default: "1MiB",
            example: "4MiB",
        },
        Field {
            key: "files",
            form: Form::Whole { min: 1, max: 16, zero: Zero::Number },
            need: Optional,
            about: "How many files.",
            default: "5",
            example: "2",
        },
    ],
    strangers: &[],
};
