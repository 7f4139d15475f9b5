//! The presets: what they are, and what is in them.

use sandbar_types::{PresetName, ProcessKind};

use crate::{MANIFEST, starters};

/// A starter, with what a person is told about it.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its name.
    pub name: PresetName,
    /// How it is shown.
    pub label: &'static str,
    /// What it is, in a sentence.
    pub description: &'static str,
    /// Whether it serves.
    pub kind: ProcessKind,
    /// Everything in it, the manifest too, by path.
    pub files: &'static [StarterFile],
}

impl Preset {
    /// How it is run: its `sandbox.yaml`.
    #[must_use]
    pub fn manifest(&self) -> &'static str {
        let file = self.files.iter().find(|file| file.path == MANIFEST);
        let file = file.expect("a test sees that every starter has a manifest");
        str::from_utf8(file.content).expect("a test sees that every manifest is text")
    }
}

/// One file of a starter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StarterFile {
    /// Where it is in the workspace.
    pub path: &'static str,
    /// What is in it.
    pub content: &'static [u8],
    /// Whether it can be run.
    pub is_executable: bool,
}

/// The preset of a name.
#[must_use]
pub fn preset(name: PresetName) -> &'static Preset {
    match name {
        PresetName::ReactVite => &REACT_VITE,
        PresetName::NextJs => &NEXTJS,
        PresetName::NodeExpress => &NODE_EXPRESS,
        PresetName::FastApi => &FASTAPI,
        PresetName::Worker => &WORKER,
    }
}

/// Every preset, in the order in which they are shown.
pub fn presets() -> impl Iterator<Item = &'static Preset> {
    PresetName::ALL.into_iter().map(preset)
}

static REACT_VITE: Preset = Preset {
    name: PresetName::ReactVite,
    label: "React / Vite",
    description: "A single page in React 19 and TypeScript, served by Vite 8.",
    kind: ProcessKind::Web,
    files: starters::REACT_VITE,
};

static NEXTJS: Preset = Preset {
    name: PresetName::NextJs,
    label: "Next.js",
    description: "Pages and routes in Next.js 16 with the App Router and TypeScript.",
    kind: ProcessKind::Web,
    files: starters::NEXTJS,
};

static NODE_EXPRESS: Preset = Preset {
    name: PresetName::NodeExpress,
    label: "Node / Express API",
    description: "An API on Express 5 in plain JavaScript.",
    kind: ProcessKind::Web,
    files: starters::NODE_EXPRESS,
};

static FASTAPI: Preset = Preset {
    name: PresetName::FastApi,
    label: "Python / FastAPI",
    description: "A typed and documented API on FastAPI, for Python 3.11 and newer.",
    kind: ProcessKind::Web,
    files: starters::FASTAPI,
};

static WORKER: Preset = Preset {
    name: PresetName::Worker,
    label: "Worker (no public endpoint)",
    description: "A process that works in the background and serves nothing.",
    kind: ProcessKind::Worker,
    files: starters::WORKER,
};

#[cfg(test)]
mod tests;
