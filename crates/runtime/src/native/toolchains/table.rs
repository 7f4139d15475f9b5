//! The table: what each toolchain keeps below a home directory.

use sandbar_types::TOOLBOX;

use super::ToolchainMode;

/// How an entry is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// A directory or file, read-only.
    ReadOnly,
    /// A directory that can be fetched or built anew, and that the tools write to as well.
    Cache,
    /// A configuration file, read-only, and only if nothing in it looks like a secret.
    UnlessSecret,
}

impl Shown {
    pub(super) fn mode(self) -> ToolchainMode {
        match self {
            Self::ReadOnly | Self::UnlessSecret => ToolchainMode::ReadOnly,
            Self::Cache => ToolchainMode::CopyOnWrite,
        }
    }
}

/// A path below the home directory, or an absolute one, and how it is shown.
pub(super) type Entry = (&'static str, Shown);

use Shown::{Cache, ReadOnly as Ro, UnlessSecret};

/// By name, in the order of the alphabet.
#[rustfmt::skip]
pub(super) const TABLE: &[(&str, &[Entry])] = &[
    ("agent-clis", &[(".claude/local", Ro), (".local/share/claude", Ro), (".local/share/cursor-agent", Ro), (TOOLBOX, Ro), (".opencode/bin", Ro)]),
    ("android", &[("Android/Sdk", Ro)]),
    ("asdf", &[(".asdf", Ro)]),
    ("bun", &[(".bun/bin", Ro), (".bun/install/cache", Cache), (".bun/install/global", Ro)]),
    ("cabal", &[(".cabal/bin", Ro), (".cabal/packages", Cache), (".cabal/store", Cache), (".local/state/cabal/store", Cache)]),
    ("cargo", &[
        (".cargo/bin", Ro), (".cargo/config", UnlessSecret), (".cargo/config.toml", UnlessSecret), (".cargo/env", Ro),
        (".cargo/git", Cache), (".cargo/registry", Cache),
    ]),
    ("ccache", &[(".cache/ccache", Cache)]),
    ("composer", &[(".cache/composer", Cache), (".composer/vendor", Ro), (".config/composer/vendor", Ro)]),
    ("conda", &[("anaconda3", Ro), ("miniconda3", Ro), ("miniforge3", Ro)]),
    ("dart", &[(".pub-cache/bin", Ro), (".pub-cache/git", Cache), (".pub-cache/hosted", Cache)]),
    ("deno", &[(".cache/deno", Cache), (".deno", Ro)]),
    ("dotnet", &[(".dotnet", Ro), (".nuget/packages", Cache)]),
    ("elan", &[(".elan", Ro)]),
    ("fnm", &[(".fnm", Ro), (".local/share/fnm", Ro)]),
    ("gem", &[(".gem/ruby", Ro), (".local/share/gem/ruby", Ro)]),
    ("ghcup", &[(".ghcup", Ro)]),
    ("go", &[(".cache/go-build", Cache), ("go/bin", Ro), ("go/pkg/mod/cache/download", Cache)]),
    ("goenv", &[(".goenv", Ro)]),
    ("gradle", &[(".gradle/caches", Cache), (".gradle/wrapper", Cache)]),
    ("homebrew", &[("/home/linuxbrew/.linuxbrew", Ro)]),
    ("jenv", &[(".jenv", Ro)]),
    ("julia", &[
        (".julia/artifacts", Ro), (".julia/bin", Ro), (".julia/compiled", Cache), (".julia/environments", Ro),
        (".julia/juliaup", Ro), (".julia/packages", Ro), (".julia/registries", Ro), (".juliaup", Ro),
    ]),
    ("local-bin", &[(".local/bin", Ro)]),
    ("maven", &[(".m2/repository", Cache), (".m2/wrapper", Ro)]),
    ("mise", &[(".config/mise/config.toml", UnlessSecret), (".local/share/mise", Ro)]),
    ("nix", &[(".local/state/nix/profile", Ro), (".nix-profile", Ro), ("/nix/store", Ro), ("/run/current-system/sw", Ro)]),
    // Its index beside it keeps request headers, `Authorization` among them where a registry varies by it.
    ("npm", &[(".npm/_cacache/content-v2", Cache)]),
    ("npm-global", &[(".npm-global", Ro)]),
    ("nvm", &[(".nvm", Ro)]),
    ("opam", &[(".opam", Ro)]),
    ("pip", &[(".cache/pip/http", Cache), (".cache/pip/http-v2", Cache), (".cache/pip/wheels", Cache), (".local/lib", Ro)]),
    ("pipx", &[(".local/pipx/venvs", Ro), (".local/share/pipx", Ro)]),
    ("pixi", &[(".pixi/bin", Ro), (".pixi/envs", Ro)]),
    ("playwright", &[(".cache/ms-playwright", Ro), (".cache/puppeteer", Ro)]),
    ("pnpm", &[(".cache/pnpm", Cache), (".local/share/pnpm", Cache)]),
    ("poetry", &[(".cache/pypoetry", Cache), (".local/share/pypoetry", Ro)]),
    ("pre-commit", &[(".cache/pre-commit", Cache)]),
    ("pyenv", &[(".pyenv", Ro)]),
    ("rbenv", &[(".rbenv", Ro)]),
    ("rustup", &[(".rustup", Ro)]),
    ("rvm", &[(".rvm", Ro)]),
    ("rye", &[(".rye/py", Ro), (".rye/self", Ro), (".rye/shims", Ro), (".rye/tools", Ro)]),
    ("sdkman", &[(".sdkman", Ro)]),
    ("stack", &[(".stack/pantry", Cache), (".stack/programs", Ro), (".stack/snapshots", Ro)]),
    ("swiftly", &[(".local/share/swiftly", Ro)]),
    ("uv", &[(".cache/uv", Cache), (".local/share/uv/python", Ro), (".local/share/uv/tools", Ro)]),
    ("volta", &[(".volta", Ro)]),
    ("yarn", &[(".cache/yarn", Cache), (".yarn/berry/cache", Cache), (".yarn/bin", Ro), (".yarn/lib", Ro)]),
];

/// Names that policies of older sandboxes use, and what they are called now.
pub(super) const RENAMED: [(&str, &str); 1] = [("npm-cache", "npm")];

/// Where a distribution keeps programs: a link of a toolchain may lead there.
pub(super) const ROOTS: [&str; 4] = ["/usr", "/opt", "/nix/store", "/home/linuxbrew/.linuxbrew"];

/// Below a home, and never shown by any policy: credentials, keys, histories, and what browsers and chats keep.
pub const NEVER_SHOWN: &[&str] = &[
    ".authinfo",
    ".aws",
    ".azure",
    ".bash_history",
    ".bundle/config",
    ".cabal/config",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".claude.json",
    ".claude/.credentials.json",
    ".codex",
    ".composer/auth.json",
    ".config/composer/auth.json",
    ".config/containers",
    ".config/fish",
    ".config/gcloud",
    ".config/gh",
    ".config/git",
    ".config/google-chrome",
    ".config/hub",
    ".config/op",
    ".config/pypoetry",
    ".config/rclone",
    ".config/sops",
    ".config/uv",
    ".docker",
    ".env",
    ".gem/credentials",
    ".git-credentials",
    ".gitconfig",
    ".gnupg",
    ".gradle/gradle.properties",
    ".hex",
    ".julia/servers",
    ".kube",
    ".local/share/gem/credentials",
    ".local/share/keyrings",
    ".local/share/uv/credentials",
    ".m2/settings.xml",
    ".m2/settings-security.xml",
    ".mozilla",
    ".my.cnf",
    ".netrc",
    ".npm/_logs",
    ".npmrc",
    ".nuget/NuGet",
    ".password-store",
    ".pgpass",
    ".pki",
    ".pub-cache/credentials.json",
    ".pypirc",
    ".rattler",
    ".rye/credentials",
    ".ssh",
    ".terraform.d",
    ".vault-token",
    ".yarnrc.yml",
    ".zsh_history",
];
