//! What is run where a manifest says nothing: what the project's own package manager calls it.

/// The port of a web process that names none.
pub const WEB_PORT: u16 = 3000;

/// How long a build may take that says nothing about it, in milliseconds.
pub const BUILD_TIMEOUT_MS: u64 = 120_000;

/// The command of a web process that names none.
///
/// It installs every time: package managers are quick when nothing is missing, and an installation that was cut off is
/// repaired. A failed one is no reason not to try: without a network, what is there may do.
pub const WEB_COMMAND: &str = "\
if [ -f pnpm-lock.yaml ]; then
  pnpm install; exec pnpm dev
elif [ -f yarn.lock ]; then
  yarn install; exec yarn dev
elif [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ] || ! command -v pnpm >/dev/null; then
  npm install; exec npm run dev
else
  pnpm install; exec pnpm dev
fi
";

/// The check of a build that names no command: the project's `build` script. A project without one passes.
pub const BUILD_COMMAND: &str = "\
[ -f package.json ] || exit 0
node -e 'process.exit(require(\"./package.json\").scripts?.build ? 0 : 1)' || exit 0
if [ -f pnpm-lock.yaml ]; then
  exec pnpm build
elif [ -f yarn.lock ]; then
  exec yarn build
elif [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ] || ! command -v pnpm >/dev/null; then
  exec npm run build
else
  exec pnpm build
fi
";
