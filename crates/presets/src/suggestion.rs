//! How a project could be run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Guess, Install, Reason};

/// One way to run a project, with a reason for each part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// What the project is made with.
    pub framework: Guess<Framework>,
    /// How sure that is.
    pub confidence: Confidence,
    /// How its packages are installed; `None` where starting does it, or where there are none.
    pub install: Option<Guess<Install>>,
    /// What serves, once the packages are there. `None` for a project of workers alone.
    pub run: Option<Guess<String>>,
    /// The port that it serves.
    pub port: Guess<u16>,
    /// How it is seen that it serves.
    pub ready: Guess<Readiness>,
    /// How it is checked that it builds; `None` where there is nothing to build.
    pub build: Guess<Option<String>>,
    /// Variables that it needs.
    pub env: BTreeMap<String, Guess<String>>,
    /// What runs beside it.
    pub workers: Vec<Worker>,
    /// What a person should look at.
    pub notes: Vec<String>,
}

impl Suggestion {
    pub(crate) fn new(
        framework: Guess<Framework>,
        confidence: Confidence,
        run: Guess<String>,
        port: Guess<u16>,
    ) -> Self {
        Self {
            framework,
            confidence,
            install: None,
            run: Some(run),
            port,
            ready: Guess::new(
                Readiness::Path("/".to_owned()),
                Reason::usual("the first page answers"),
            ),
            build: Guess::new(None, Reason::usual("nothing to build was found")),
            env: BTreeMap::new(),
            workers: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The command of the web process: installs what is missing, then serves.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let run = self.run.as_ref()?;
        Some(match &self.install {
            Some(install) => install.value.before(&run.value),
            // Not `exec`: what a Procfile says may be more than one command.
            None => run.value.clone(),
        })
    }

    pub(crate) fn set_env(&mut self, name: &str, value: &str, reason: Reason) {
        self.env.insert(name.to_owned(), Guess::new(value.to_owned(), reason));
    }
}

/// A process that runs beside the web process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// Its name, one that a manifest takes.
    pub name: String,
    /// What it runs.
    pub command: Guess<String>,
}

/// How it is seen that a server serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// This path answers.
    Path(String),
    /// The port takes connections: nothing tells which path would answer.
    Port,
}

/// How sure a guess is. The surest is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The project says so itself.
    High,
    /// What is there fits.
    Medium,
    /// It may be.
    Low,
}

/// What a project is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each is the name of a product, and `label` writes it as its makers do"
)]
pub enum Framework {
    Angular,
    Astro,
    Cargo,
    CreateReactApp,
    Deno,
    Django,
    FastApi,
    Flask,
    Gatsby,
    Go,
    Laravel,
    NestJs,
    NextJs,
    Node,
    Nuxt,
    Parcel,
    Php,
    Procfile,
    Rack,
    Rails,
    ReactRouter,
    Remix,
    StaticSite,
    Streamlit,
    SvelteKit,
    Vite,
    VueCli,
}

impl Framework {
    /// How its makers write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Angular => "Angular",
            Self::Astro => "Astro",
            Self::Cargo => "Rust",
            Self::CreateReactApp => "Create React App",
            Self::Deno => "Deno",
            Self::Django => "Django",
            Self::FastApi => "FastAPI",
            Self::Flask => "Flask",
            Self::Gatsby => "Gatsby",
            Self::Go => "Go",
            Self::Laravel => "Laravel",
            Self::NestJs => "NestJS",
            Self::NextJs => "Next.js",
            Self::Node => "Node",
            Self::Nuxt => "Nuxt",
            Self::Parcel => "Parcel",
            Self::Php => "PHP",
            Self::Procfile => "Procfile",
            Self::Rack => "Rack",
            Self::Rails => "Rails",
            Self::ReactRouter => "React Router",
            Self::Remix => "Remix",
            Self::StaticSite => "static site",
            Self::Streamlit => "Streamlit",
            Self::SvelteKit => "SvelteKit",
            Self::Vite => "Vite",
            Self::VueCli => "Vue CLI",
        }
    }

    /// Whether a start builds what it runs, which takes its time.
    pub(crate) const fn compiles(self) -> bool {
        matches!(self, Self::Cargo | Self::Go | Self::Deno)
    }
}
