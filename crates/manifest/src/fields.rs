//! The tables: every field of version 1, with its form, its default and its meaning.
//!
//! `docs/manifest.md` and `docs/sandbox.schema.json` are tested against them.

use crate::{
    finding::Code,
    form::{
        Field, Form,
        Need::{Optional, Required},
        Stranger, Table, Text, Zero,
    },
};

mod checks;
mod process;

pub(crate) use checks::SIGNALS;
use checks::{LOG, READY, STOP};
use process::{WEB, WORKER};

const NOT_COMPOSE: &str =
    "this is not Docker Compose: a command is a `web:` or an item of `workers:`";
const UNDER_WEB: &str = "put it under `web:`";

/// The manifest itself.
pub(crate) static TOP: Table = Table {
    name: "the manifest",
    about: "What an app is made of: a web process, workers, and how it is built.",
    fields: &[
        Field {
            key: "version",
            form: Form::Version,
            need: Required(Code::VersionMissing, "begin it with `version: 1`"),
            about: "The version of this format.",
            default: "none, it must be there",
            example: "1",
        },
        Field {
            key: "web",
            form: Form::Map(&WEB),
            need: Optional,
            about: "The process that serves the app's preview. It is called `web`.",
            default: "no web process, and no preview, when there are workers",
            example: "{command: pnpm dev, port: 3000}",
        },
        Field {
            key: "workers",
            form: Form::Maps(&WORKER),
            need: Optional,
            about: "Processes that work in the background.",
            default: "none",
            example: "[{name: mailer, command: node mailer.js}]",
        },
        Field {
            key: "build",
            form: Form::Map(&BUILD),
            need: Optional,
            about: "How it is checked that the app builds.",
            default: "the `build` script of the project, if it has one",
            example: "{command: pnpm build}",
        },
    ],
    strangers: &[
        Stranger { key: "command", code: Code::MisplacedKey, hint: UNDER_WEB },
        Stranger { key: "port", code: Code::MisplacedKey, hint: UNDER_WEB },
        Stranger { key: "health_path", code: Code::MisplacedKey, hint: UNDER_WEB },
        Stranger { key: "restart_after_task", code: Code::MisplacedKey, hint: UNDER_WEB },
        Stranger {
            key: "processes",
            code: Code::ForeignKey,
            hint: "did you mean `workers:` or `web:`?",
        },
        Stranger { key: "services", code: Code::ForeignKey, hint: NOT_COMPOSE },
        Stranger { key: "volumes", code: Code::ForeignKey, hint: NOT_COMPOSE },
        Stranger { key: "networks", code: Code::ForeignKey, hint: NOT_COMPOSE },
    ],
};

/// How it is checked that the app builds.
pub(crate) static BUILD: Table = Table {
    name: "`build`",
    about: "How it is checked that the app builds, after an agent's task.",
    fields: &[
        Field {
            key: "command",
            form: Form::Text(Text::CommandOrNone),
            need: Optional,
            about: "Run in the workspace as `bash -lc` does. Empty, `\"\"`, says that nothing is built and the check is skipped.",
            default: "the `build` script of the project, by its package manager; without one the check passes",
            example: "pnpm build",
        },
        Field {
            key: "timeout_seconds",
            form: Form::Whole { min: 1, max: 14_400, zero: Zero::Unset },
            need: Optional,
            about: "How long a build may take, in seconds.",
            default: "120",
            example: "300",
        },
    ],
    strangers: &[Stranger {
        key: "timeout",
        code: Code::UnknownKey,
        hint: "it is `timeout_seconds`, a number",
    }],
};
