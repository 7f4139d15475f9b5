//! The lines of a command that install a project's packages, and repair an install that was cut off.
//!
//! That a directory of packages is there says nothing: an install that was killed leaves one too. So a finished install
//! is marked, inside that directory, with the hashes of the files that it was made from. Without the mark, or with
//! another hash, everything is removed and installed anew; removing first takes the mark away, so that no order of
//! crashes leaves a mark on half an install.

use serde::Serialize;

/// Who installs the packages of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the name of a tool, and `label` writes it as it is typed")]
pub enum Manager {
    Npm,
    Pnpm,
    /// Yarn 1.
    Yarn,
    /// Yarn 2 and later.
    YarnBerry,
    Bun,
    /// pip in `.venv`, from a requirements file.
    Pip,
    /// pip in `.venv`, from a `pyproject.toml`.
    PipProject,
    Uv,
    Poetry,
    Bundler,
    Composer,
}

impl Manager {
    /// How it is called.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn | Self::YarnBerry => "yarn",
            Self::Bun => "bun",
            Self::Pip | Self::PipProject => "pip",
            Self::Uv => "uv",
            Self::Poetry => "poetry",
            Self::Bundler => "bundler",
            Self::Composer => "composer",
        }
    }

    /// Where its packages are, below the project.
    #[must_use]
    pub const fn tree(self) -> &'static str {
        match self {
            Self::Npm | Self::Pnpm | Self::Yarn | Self::YarnBerry | Self::Bun => "node_modules",
            Self::Pip | Self::PipProject | Self::Uv | Self::Poetry => ".venv",
            Self::Bundler => "vendor/bundle",
            Self::Composer => "vendor",
        }
    }

    /// Runs a script of `package.json`; the same for every manager of Node's.
    pub(crate) fn run_script(self, script: &str) -> String {
        format!("{} run {script}", self.label())
    }
}

const PIP: &str = ".venv/bin/pip install --disable-pip-version-check --progress-bar off";

/// How the packages of a project are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Install {
    /// Who does it.
    pub manager: Manager,
    /// The version that the project asks for; digits, letters, dots and dashes.
    pub version: Option<String>,
    /// The files that say what is installed. They are hashed, so a change of one installs anew.
    pub inputs: Vec<String>,
    /// Packages that the project needs and does not name.
    pub extra: Vec<String>,
}

impl Install {
    /// An install by `manager` from `inputs`.
    pub fn new<I: Into<String>>(manager: Manager, inputs: impl IntoIterator<Item = I>) -> Self {
        let inputs = inputs.into_iter().map(Into::into).collect();
        Self { manager, version: None, inputs, extra: Vec::new() }
    }

    /// Lines for `bash -c` that install what is missing, and then become `run`.
    #[must_use]
    pub fn before(&self, run: &str) -> String {
        let tree = self.manager.tree();
        let (is_done, mark) = if self.inputs.is_empty() {
            (format!("[ -e {tree}/.installed ]"), format!("touch {tree}/.installed"))
        } else {
            (
                format!("sha256sum -c {tree}/.installed >/dev/null 2>&1"),
                format!("sha256sum {} > {tree}/.installed", self.inputs.join(" ")),
            )
        };
        let mut lines = vec!["set -e".to_owned()];
        lines.extend(self.prelude());
        lines.push(format!("if ! {is_done}; then"));
        lines.push(format!("  rm -rf {tree}"));
        lines.extend(self.steps().into_iter().map(|step| format!("  {step}")));
        lines.push(format!("  {mark}"));
        lines.push("fi".to_owned());
        // A shell function is nothing to become.
        let exec = if self.stands_in().is_some() { "" } else { "exec " };
        lines.push(format!("{exec}{run}"));
        lines.join("\n")
    }

    /// What has to hold before installing and running.
    fn prelude(&self) -> Option<String> {
        match self.manager {
            Manager::Pnpm | Manager::Yarn | Manager::YarnBerry | Manager::Bun => self.stands_in(),
            Manager::Poetry => Some("export POETRY_VIRTUALENVS_IN_PROJECT=true".to_owned()),
            Manager::Bundler => Some("export BUNDLE_PATH=vendor/bundle".to_owned()),
            Manager::Npm | Manager::Pip | Manager::PipProject | Manager::Uv | Manager::Composer => {
                None
            }
        }
    }

    /// Node brings npm, and nobody promises the others: where one is missing, npm's runner fetches it.
    fn stands_in(&self) -> Option<String> {
        let version = |otherwise| self.version.as_deref().unwrap_or(otherwise);
        let (is_there, name, package) = match self.manager {
            Manager::Pnpm => {
                ("command -v pnpm >/dev/null", "pnpm", format!("pnpm@{}", version("10")))
            }
            Manager::Bun => ("command -v bun >/dev/null", "bun", format!("bun@{}", version("1"))),
            Manager::Yarn => {
                ("command -v yarn >/dev/null", "yarn", format!("yarn@{}", version("1")))
            }
            // A `yarn` of the host is mostly Yarn 1, which does not read what later ones write.
            Manager::YarnBerry => (
                "[[ $(yarn --version 2>/dev/null) == [2-9]* ]]",
                "yarn",
                format!("@yarnpkg/cli-dist@{}", version("4")),
            ),
            Manager::Npm
            | Manager::Pip
            | Manager::PipProject
            | Manager::Uv
            | Manager::Poetry
            | Manager::Bundler
            | Manager::Composer => return None,
        };
        Some(format!("{is_there} || {name}() {{ npx --yes {package} \"$@\"; }}"))
    }

    fn steps(&self) -> Vec<String> {
        let venv = "python3 -m venv .venv".to_owned();
        let mut steps = match self.manager {
            // `npm ci` changes no file, and refuses a lock file that is behind package.json; `npm install` catches up.
            Manager::Npm if self.inputs.len() > 1 => {
                vec!["npm ci || { rm -rf node_modules; npm install; }".to_owned()]
            }
            Manager::Npm => vec!["npm install".to_owned()],
            // With Plug'n'Play nobody makes the directory that the mark is in.
            Manager::YarnBerry => {
                vec!["yarn install".to_owned(), "mkdir -p node_modules".to_owned()]
            }
            Manager::Pnpm | Manager::Yarn | Manager::Bun => {
                let name = self.manager.label();
                vec![format!("{name} install"), "mkdir -p node_modules".to_owned()]
            }
            Manager::Pip => {
                let files = self.inputs.iter().map(|file| format!("{PIP} -r {file}"));
                std::iter::once(venv).chain(files).collect()
            }
            Manager::PipProject => vec![venv, format!("{PIP} -e .")],
            Manager::Uv => vec!["uv sync".to_owned()],
            Manager::Poetry => vec!["poetry install --no-interaction".to_owned()],
            Manager::Bundler => vec!["bundle install".to_owned()],
            Manager::Composer => vec!["composer install --no-interaction".to_owned()],
        };
        if !self.extra.is_empty() {
            steps.push(format!("{PIP} {}", self.extra.join(" ")));
        }
        steps
    }
}
