//! What a process may say.

use super::{
    Code, Field, Form, LOG, NOT_COMPOSE, Optional, READY, Required, STOP, Stranger, Table, Text,
    Zero, checks::HEALTH,
};

const RESTART_POLICIES: &[&str] = &["always", "on-failure", "never"];

const CWD: Field = Field {
    key: "cwd",
    form: Form::Text(Text::Directory),
    need: Optional,
    about: "Where it starts: a path below the workspace, or an absolute one.",
    default: "the workspace",
    example: "packages/site",
};

const ENV: Field = Field {
    key: "env",
    form: Form::Env,
    need: Optional,
    about: "Variables for this process; one here wins over the sandbox's. A value is text; numbers and truth values are taken as they are written.",
    default: "nothing is added; `web` is given `PORT`, its port",
    example: "{NODE_ENV: development}",
};

const AFTER: Field = Field {
    key: "after",
    form: Form::Names,
    need: Optional,
    about: "It starts when all of these are ready. One without a check is ready as soon as it runs.",
    default: "it starts at once",
    example: "[database]",
};

const STOPPING: Field = Field {
    key: "stop",
    form: Form::Map(&STOP),
    need: Optional,
    about: "How it is ended.",
    default: "SIGTERM to its process group, SIGKILL after 5 seconds",
    example: "{signal: INT, grace: 10s}",
};

const LOGGING: Field = Field {
    key: "log",
    form: Form::Map(&LOG),
    need: Optional,
    about: "How much of its output is kept.",
    default: "5 MiB",
    example: "{size: 4MiB, files: 2}",
};

const RESTART: Field = Field {
    key: "restart",
    form: Form::Word(RESTART_POLICIES),
    need: Optional,
    about: "What its end means: `always` starts it again, `on-failure` unless it exited with 0, `never` leaves it.",
    default: "always",
    example: "on-failure",
};

const STRANGERS: &[Stranger] = &[
    Stranger { key: "depends_on", code: Code::ForeignKey, hint: "it is `after`" },
    Stranger { key: "environment", code: Code::ForeignKey, hint: "it is `env`" },
    Stranger { key: "healthcheck", code: Code::ForeignKey, hint: "it is `ready` and `health`" },
    Stranger { key: "working_dir", code: Code::ForeignKey, hint: "it is `cwd`" },
    Stranger { key: "image", code: Code::ForeignKey, hint: NOT_COMPOSE },
    Stranger { key: "volumes", code: Code::ForeignKey, hint: NOT_COMPOSE },
    Stranger { key: "http", code: Code::MisplacedKey, hint: "put it under `ready:`" },
];

/// The web process.
pub(crate) static WEB: Table = Table {
    name: "`web`",
    about: "The process that serves the app's preview. `web: {}` takes every default.",
    fields: &[
        Field {
            key: "command",
            form: Form::Text(Text::Command),
            need: Optional,
            about: "Run in the workspace as `bash -lc` does. Wants `port`.",
            default: "installs what the project's lock file says and runs its `dev` script, by the package manager of that lock file",
            example: "pnpm dev --port 3000",
        },
        Field {
            key: "port",
            form: Form::Port(Zero::Unset),
            need: Optional,
            about: "The port that it serves, and that its preview shows. It may listen on localhost alone.",
            default: "3000; with a `command` it must be there",
            example: "3000",
        },
        Field {
            key: "health_path",
            form: Form::Text(Text::UrlPath),
            need: Optional,
            about: "What is asked to see whether it serves, unless `ready` says otherwise: a status from 200 to 399 is a yes.",
            default: "`/`",
            example: "/health",
        },
        Field {
            key: "restart_after_task",
            form: Form::Flag,
            need: Optional,
            about: "Restarted when an agent's task has ended, well or badly, not when it was cancelled.",
            default: "false",
            example: "true",
        },
        Field {
            key: "ports",
            form: Form::Ports,
            need: Optional,
            about: "Further ports that it serves and that are previewed.",
            default: "`port` alone",
            example: "[3001]",
        },
        CWD,
        ENV,
        AFTER,
        Field {
            key: "ready",
            form: Form::MapOrNone(&READY),
            need: Optional,
            about: "How it is seen that it serves, after a start. `none`: it counts as soon as it runs.",
            default: "`http` on `port` with `health_path`",
            example: "{http: {path: /health}, deadline: 2m}",
        },
        Field {
            key: "health",
            form: Form::MapOrNone(&HEALTH),
            need: Optional,
            about: "How it is seen that it goes on serving, once it was ready. `none`: nobody asks.",
            default: "what `ready` asks; `http` where that is `notify`, nothing where it is `none`",
            example: "{interval: 10s, restart: true}",
        },
        STOPPING,
        LOGGING,
        RESTART,
    ],
    strangers: WEB_STRANGERS,
};

const WEB_STRANGERS: &[Stranger] = &concat(
    STRANGERS,
    Stranger {
        key: "name",
        code: Code::UnknownKey,
        hint: "it is always called `web`; processes with other names are `workers`",
    },
);

/// One of the workers.
pub(crate) static WORKER: Table = Table {
    name: "the worker",
    about: "A process that works in the background.",
    fields: &[
        Field {
            key: "name",
            form: Form::Text(Text::Name),
            need: Required(Code::NameMissing, "give it one: `name: worker`"),
            about: "Unique among all processes: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`.",
            default: "none, it must be there",
            example: "mailer",
        },
        Field {
            key: "command",
            form: Form::Text(Text::Command),
            need: Required(Code::CommandMissing, "say what it runs: `command: node worker.js`"),
            about: "Run in the workspace as `bash -lc` does.",
            default: "none, it must be there",
            example: "node mailer.js",
        },
        Field {
            key: "restart_after_task",
            form: Form::Flag,
            need: Optional,
            about: "Restarted when an agent's task has ended, well or badly, not when it was cancelled; nobody waits until it is ready.",
            default: "false",
            example: "true",
        },
        Field {
            key: "ports",
            form: Form::Ports,
            need: Optional,
            about: "Ports that it serves and that are previewed; checks without a port ask the first.",
            default: "none",
            example: "[5555]",
        },
        CWD,
        ENV,
        AFTER,
        Field {
            key: "ready",
            form: Form::MapOrNone(&READY),
            need: Optional,
            about: "How it is seen that it works, after a start.",
            default: "`none`: it counts as soon as it runs",
            example: "{tcp: {port: 5432}}",
        },
        Field {
            key: "health",
            form: Form::MapOrNone(&HEALTH),
            need: Optional,
            about: "How it is seen that it goes on working, once it was ready.",
            default: "`none`: nobody asks. A `health` that names no probe asks what `ready` asks",
            example: "{command: test -e /tmp/alive}",
        },
        STOPPING,
        LOGGING,
        RESTART,
    ],
    strangers: WORKER_STRANGERS,
};

const WORKER_STRANGERS: &[Stranger] = &concat(
    STRANGERS,
    Stranger {
        key: "port",
        code: Code::UnknownKey,
        hint: "a worker has a list, `ports: [5555]`; the app's own page is a `web:`",
    },
);

const fn concat(all: &[Stranger], one: Stranger) -> [Stranger; 8] {
    let [a, b, c, d, e, f, g] = all else { panic!("seven strangers") };
    [copy(a), copy(b), copy(c), copy(d), copy(e), copy(f), copy(g), one]
}

const fn copy(stranger: &Stranger) -> Stranger {
    Stranger { key: stranger.key, code: stranger.code, hint: stranger.hint }
}
