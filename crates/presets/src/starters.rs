//! The files of the starters, named one by one: what an install or a build leaves beside them never gets in.

use crate::StarterFile;

/// A file of a starter; `run` before the path makes it executable.
macro_rules! starter {
    ($root:literal: $($(@$run:ident)? $path:literal),* $(,)?) => {
        &[$(StarterFile {
            path: $path,
            content: include_bytes!(concat!("../starters/", $root, "/", $path)),
            is_executable: starter!(@is_executable $($run)?),
        }),*]
    };
    (@is_executable run) => { true };
    (@is_executable) => { false };
}

pub(crate) const REACT_VITE: &[StarterFile] = starter!("react-vite":
    ".gitignore",
    "README.md",
    "index.html",
    "package-lock.json",
    "package.json",
    "public/favicon.svg",
    "sandbox.yaml",
    "src/App.tsx",
    "src/Horizon.tsx",
    "src/index.css",
    "src/main.tsx",
    "tsconfig.json",
    "vite.config.ts",
);

pub(crate) const NEXTJS: &[StarterFile] = starter!("nextjs":
    ".gitignore",
    "README.md",
    "app/globals.css",
    "app/greeting.tsx",
    "app/icon.svg",
    "app/layout.tsx",
    "app/page.tsx",
    "next.config.ts",
    "package-lock.json",
    "package.json",
    "sandbox.yaml",
    "tsconfig.json",
);

pub(crate) const NODE_EXPRESS: &[StarterFile] = starter!("node-express":
    ".gitignore",
    "README.md",
    "package-lock.json",
    "package.json",
    "public/favicon.svg",
    "public/index.html",
    "public/style.css",
    "public/try.js",
    "sandbox.yaml",
    "server.js",
);

pub(crate) const FASTAPI: &[StarterFile] = starter!("fastapi":
    ".gitignore",
    "README.md",
    "main.py",
    "requirements.lock",
    "requirements.txt",
    "sandbox.yaml",
    "static/favicon.svg",
    "static/index.html",
    "static/style.css",
);

pub(crate) const WORKER: &[StarterFile] = starter!("worker":
    ".gitignore",
    "README.md",
    "sandbox.yaml",
    @run "worker.sh",
);
