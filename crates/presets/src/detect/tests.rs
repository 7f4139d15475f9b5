//! Small projects, and what is seen in them.

use proptest::prelude::*;

use super::*;
use crate::{Confidence, Framework, Manager, Readiness, manifest_text, project::memory::Memory};

fn best<const N: usize>(files: [(&str, &str); N]) -> Suggestion {
    detect(&Memory::from(files)).into_iter().next().expect("something is recognized")
}

fn manager(suggestion: &Suggestion) -> Option<Manager> {
    suggestion.install.as_ref().map(|install| install.value.manager)
}

fn path(suggestion: &Suggestion) -> &str {
    match &suggestion.ready.value {
        Readiness::Path(path) => path,
        Readiness::Port => "(port)",
    }
}

const VITE: &str =
    r#"{"scripts":{"dev":"vite","build":"vite build"},"devDependencies":{"vite":"^8"}}"#;

#[test]
fn a_project_is_known_by_what_it_depends_on() {
    let node = |name: &str, scripts: &str| {
        format!(r#"{{"dependencies":{{"{name}":"1"}},"scripts":{{{scripts}}}}}"#)
    };
    for (name, scripts, framework, run, port) in [
        ("next", r#""dev":"next dev""#, Framework::NextJs, "npm run dev", 3000),
        ("next", r#""dev":"next dev -p 4000""#, Framework::NextJs, "npm run dev", 4000),
        ("next", "", Framework::NextJs, "node_modules/.bin/next dev", 3000),
        ("nuxt", r#""dev":"nuxt dev""#, Framework::Nuxt, "npm run dev", 3000),
        ("astro", r#""dev":"astro dev""#, Framework::Astro, "npm run dev", 4321),
        ("@sveltejs/kit", r#""dev":"vite dev""#, Framework::SvelteKit, "npm run dev", 5173),
        (
            "@react-router/dev",
            r#""dev":"react-router dev""#,
            Framework::ReactRouter,
            "npm run dev",
            5173,
        ),
        ("@remix-run/dev", r#""dev":"remix vite:dev""#, Framework::Remix, "npm run dev", 5173),
        ("@angular/core", r#""start":"ng serve""#, Framework::Angular, "npm run start", 4200),
        ("gatsby", r#""develop":"gatsby develop""#, Framework::Gatsby, "npm run develop", 8000),
        (
            "react-scripts",
            r#""start":"react-scripts start""#,
            Framework::CreateReactApp,
            "npm run start",
            3000,
        ),
        (
            "@vue/cli-service",
            r#""serve":"vue-cli-service serve""#,
            Framework::VueCli,
            "npm run serve",
            8080,
        ),
        (
            "@nestjs/core",
            r#""start:dev":"nest start --watch""#,
            Framework::NestJs,
            "npm run start:dev",
            3000,
        ),
        ("parcel", r#""start":"parcel index.html""#, Framework::Parcel, "npm run start", 1234),
        ("vite", r#""dev":"vite --port=4321""#, Framework::Vite, "npm run dev", 4321),
    ] {
        let suggestion = best([("package.json", &node(name, scripts))]);
        assert_eq!(suggestion.framework.value, framework, "{name}");
        assert_eq!(
            suggestion.framework.reason.to_string(),
            format!("package.json: dependencies.{name}")
        );
        assert_eq!(suggestion.run.as_ref().unwrap().value, run, "{name}");
        assert_eq!(suggestion.port.value, port, "{name} {scripts}");
        assert_eq!(suggestion.confidence == Confidence::High, !scripts.is_empty(), "{name}");
    }
}

#[test]
fn a_framework_keeps_its_own_port_and_its_configuration_changes_it() {
    assert_eq!(best([("package.json", VITE)]).port.value, 5173);
    let config =
        "export default defineConfig({ preview: { port: 1 }, server: { host: true, port: 5175 } })";
    let suggestion = best([("package.json", VITE), ("vite.config.mts", config)]);
    assert_eq!(suggestion.port.value, 5175);
    assert_eq!(suggestion.port.reason.to_string(), "vite.config.mts: server.port is 5175");
}

#[test]
fn a11_the_command_uses_the_manager_that_the_project_declares() {
    let declared = |manager: &str| {
        format!(
            r#"{{"packageManager":"{manager}","scripts":{{"dev":"vite"}},"devDependencies":{{"vite":"8"}}}}"#
        )
    };
    for (package, lock, expected, words) in [
        (VITE.to_owned(), None, Manager::Npm, &["  npm install", "\nexec npm run dev"][..]),
        (VITE.to_owned(), Some(("package-lock.json", "{}")), Manager::Npm, &["  npm ci ||"]),
        (VITE.to_owned(), Some(("pnpm-lock.yaml", "lockfileVersion: '9.0'")), Manager::Pnpm, &["  pnpm install", "pnpm@10", "\npnpm run dev"]),
        (VITE.to_owned(), Some(("pnpm-lock.yaml", "lockfileVersion: '6.0'")), Manager::Pnpm, &["pnpm@8 "]),
        (VITE.to_owned(), Some(("yarn.lock", "# yarn lockfile v1")), Manager::Yarn, &["  yarn install", "yarn@1 ", "\nyarn run dev"]),
        (VITE.to_owned(), Some(("yarn.lock", "__metadata:\n  version: 8")), Manager::YarnBerry, &["@yarnpkg/cli-dist@4 ", "\nyarn run dev"]),
        (VITE.to_owned(), Some(("bun.lock", "{}")), Manager::Bun, &["  bun install", "\nbun run dev"]),
        (declared("pnpm@9.1.0+sha512.abc"), None, Manager::Pnpm, &["pnpm@9.1.0 "]),
        (declared("yarn@4.9.2"), Some(("yarn.lock", "")), Manager::YarnBerry, &["cli-dist@4.9.2 ", "sha256sum package.json yarn.lock"]),
        (declared("yarn@1.22.22"), None, Manager::Yarn, &["yarn@1.22.22 "]),
        // The name in package.json counts more than a lock file that was left behind.
        (declared("pnpm@10.0.0"), Some(("package-lock.json", "{}")), Manager::Pnpm, &["sha256sum package.json >"]),
        (r#"{"devEngines":{"packageManager":{"name":"bun"}},"scripts":{"dev":"vite"},"dependencies":{"vite":"8"}}"#.to_owned(), None, Manager::Bun, &["bun run dev"]),
    ] {
        let mut files = Memory::from([("package.json", package.as_str())]);
        if let Some((file, text)) = lock {
            files.0.insert(file.to_owned(), text.to_owned());
        }
        let suggestion = detect(&files).remove(0);
        assert_eq!(manager(&suggestion), Some(expected), "{package} {lock:?}");
        let command = suggestion.command().unwrap();
        for word in words {
            assert!(command.contains(word), "{word:?} is not in\n{command}");
        }
        for (other, name) in [("npm", "npm "), ("pnpm", "pnpm "), ("yarn", "yarn "), ("bun", "bun ")] {
            let runs = command.lines().any(|line| line.trim_start().starts_with(name));
            assert!(!runs || expected.label() == other, "{other} runs in\n{command}");
        }
        assert!(suggestion.build.value.is_none_or(|build| build.starts_with(expected.label())));
    }
}

#[test]
fn a11_a_second_lock_file_is_pointed_out() {
    let suggestion = best([
        ("package.json", VITE),
        ("yarn.lock", ""),
        ("package-lock.json", "{}"),
        (".gitignore", "/node_modules/"),
    ]);
    assert_eq!(manager(&suggestion), Some(Manager::Yarn));
    assert_eq!(suggestion.notes, ["package-lock.json is there too, and is not used by yarn"]);
}

#[test]
fn what_a_project_calls_a_version_cannot_be_a_command() {
    let package = r#"{"packageManager":"pnpm@9;touch /tmp/x","scripts":{"dev":"vite"},"dependencies":{"vite":"8"}}"#;
    let command = best([("package.json", package)]).command().unwrap();
    assert!(!command.contains("touch /tmp"), "{command}");
    let package = r#"{"main":"$(id).js","dependencies":{"express":"5"}}"#;
    assert!(detect(&Memory::from([("package.json", package), ("$(id).js", "")])).is_empty());
}

#[test]
fn a10_an_install_counts_once_it_has_ended() {
    for (files, tree) in [
        (vec![("package.json", VITE), ("package-lock.json", "{}")], "node_modules"),
        (vec![("package.json", VITE), ("yarn.lock", "")], "node_modules"),
        (vec![("app.py", "app = Flask(__name__)"), ("requirements.txt", "flask")], ".venv"),
        (vec![("app.py", "app = Flask(__name__)")], ".venv"),
        (
            vec![("main.py", "app = FastAPI()"), ("pyproject.toml", "[project]"), ("uv.lock", "")],
            ".venv",
        ),
        (vec![("artisan", ""), ("composer.json", "{}")], "vendor"),
        (vec![("Gemfile", "gem 'rails'"), ("bin/rails", "")], "vendor/bundle"),
    ] {
        let files = Memory(
            files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect(),
        );
        let command = detect(&files).remove(0).command().unwrap();
        let at = |text: &str| {
            command.find(text).unwrap_or_else(|| panic!("{text} is not in\n{command}"))
        };
        let removed = at(&format!("\n  rm -rf {tree}\n"));
        let marked = command.rfind(&format!("{tree}/.installed\nfi\n")).expect("it is marked");
        assert!(at("if ! ") < removed && removed < marked, "{command}");
        assert!(command.starts_with("set -e\n"), "a failed step marks nothing:\n{command}");
        assert!(!command.contains(&format!("[ -d {tree} ]")), "{command}");
    }
}

#[test]
fn servers_are_read_for_their_port_and_their_health() {
    let package = r#"{"scripts":{"dev":"node --watch server.js"},"dependencies":{"express":"5"}}"#;
    let server = "app.get('/health', h); app.get('/', i); app.listen(process.env.PORT || 4000)";
    let suggestion = best([("package.json", package), ("server.js", server)]);
    assert_eq!(suggestion.framework.value, Framework::Node);
    assert_eq!((suggestion.port.value, path(&suggestion)), (4000, "/health"));
    assert_eq!(suggestion.ready.reason.to_string(), "server.js: it has a route `/health`");
    let suggestion =
        best([("package.json", package), ("server.js", "app.listen(process.env.PORT)")]);
    assert_eq!((suggestion.port.value, path(&suggestion)), (3000, "(port)"));
    // Vite builds the front end of it, and Express serves.
    let both = r#"{"scripts":{"dev":"node server.js"},"dependencies":{"express":"5","vite":"8"}}"#;
    let suggestion = best([("package.json", both), ("server.js", server)]);
    assert_eq!(suggestion.framework.value, Framework::Node);
}

#[test]
fn python_is_known_by_its_app() {
    let suggestion = best([
        ("manage.py", r#"os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")"#),
        (
            "shop/urls.py",
            "\"\"\"Examples:\n  path('', views.home)\n\"\"\"\nurlpatterns = [path('admin/', admin.site.urls)]",
        ),
        ("requirements.txt", "Django>=5\n"),
    ]);
    assert_eq!(suggestion.framework.value, Framework::Django);
    assert_eq!((suggestion.port.value, path(&suggestion)), (8000, "/admin/login/"));
    assert!(
        suggestion
            .command()
            .unwrap()
            .ends_with("exec .venv/bin/python manage.py runserver 127.0.0.1:8000")
    );

    let suggestion = best([
        ("app.py", "from flask import Flask\napp = Flask(__name__)\n@app.route('/')\n"),
        ("requirements.txt", "flask==3.1\n"),
    ]);
    assert_eq!(suggestion.framework.reason.to_string(), "requirements.txt: flask==3.1");
    assert!(
        suggestion
            .command()
            .unwrap()
            .ends_with("exec .venv/bin/flask --app app run --debug --port 5000")
    );
    assert_eq!(path(&suggestion), "/");

    let suggestion = best([
        ("app/main.py", "api: FastAPI = FastAPI()"),
        ("pyproject.toml", "[project]\ndependencies = ['fastapi>=0.1']"),
    ]);
    assert_eq!(manager(&suggestion), Some(Manager::PipProject));
    let command = suggestion.command().unwrap();
    assert!(
        command.contains("pip install --disable-pip-version-check --progress-bar off uvicorn\n"),
        "{command}"
    );
    assert!(
        command.ends_with("uvicorn app.main:api --host 127.0.0.1 --port 8000 --reload"),
        "{command}"
    );
    assert_eq!(path(&suggestion), "/docs");
}

/// Files; and the framework, the command, the port and the ready path that are seen in them.
type Seen<'a> = (&'a [(&'a str, &'a str)], Framework, &'a str, u16, &'a str);

fn assert_seen(projects: &[Seen<'_>]) {
    for (files, framework, run, port, ready) in projects {
        let memory = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        let suggestion = detect(&Memory(memory.collect())).remove(0);
        assert_eq!(suggestion.framework.value, *framework, "{files:?}");
        assert_eq!(suggestion.run.as_ref().unwrap().value, *run, "{files:?}");
        assert_eq!((suggestion.port.value, path(&suggestion)), (*port, *ready), "{files:?}");
    }
}

#[test]
fn compiled_projects_are_read_for_their_port() {
    let axum = ("Cargo.toml", "[dependencies]\naxum = '0.8'");
    let gin = ("go.mod", "require github.com/gin-gonic/gin v1");
    let routes = ("main.go", r#"r.GET("/", x); r.Run(":9090")"#);
    let exposed = ("Dockerfile", "FROM x\nexpose 7000/tcp");
    assert_seen(&[
        (&[gin, routes], Framework::Go, "go run .", 9090, "/"),
        (&[axum, ("src/main.rs", "")], Framework::Cargo, "cargo run", 3000, "(port)"),
        (&[axum, ("src/main.rs", ""), exposed], Framework::Cargo, "cargo run", 7000, "(port)"),
    ]);
}

#[test]
fn others_are_known_by_their_files() {
    let up = ("config/routes.rb", "get \"up\" => \"rails/health#show\"");
    let rails = "bundle exec rails server --binding 127.0.0.1 --port 3000";
    let artisan = "php artisan serve --host=127.0.0.1 --port=8000";
    let serve = "python3 -m http.server 8000 --bind 127.0.0.1";
    let procfile = "web: PORT=7001 ./serve && true\nclock: ./tick\nrelease: ./once";
    assert_seen(&[
        (&[("index.html", "")], Framework::StaticSite, serve, 8000, "/"),
        (
            &[("Gemfile", "gem \"rails\", '~> 8'"), ("bin/rails", ""), up],
            Framework::Rails,
            rails,
            3000,
            "/up",
        ),
        (
            &[("artisan", ""), ("composer.json", "{}"), ("package.json", VITE)],
            Framework::Laravel,
            artisan,
            8000,
            "/",
        ),
        (
            &[("deno.jsonc", "{ // c\n\"tasks\": {\"dev\": \"x\"} }")],
            Framework::Deno,
            "deno task dev",
            8000,
            "(port)",
        ),
        (
            &[("Procfile", procfile)],
            Framework::Procfile,
            "PORT=7001 ./serve && true",
            7001,
            "(port)",
        ),
    ]);
    assert!(detect(&Memory::default()).is_empty());
    assert!(detect(&Memory::from([("README.md", "# Hello")])).is_empty());
}

#[test]
fn what_a_procfile_runs_beside_the_server_is_a_worker() {
    let suggestion = best([
        ("package.json", VITE),
        ("Procfile", "web: x\nclock: ./tick\nrelease: ./once\nbad name: y\nclock: twice"),
    ]);
    assert_eq!(suggestion.framework.value, Framework::Vite);
    let workers: Vec<_> =
        suggestion.workers.iter().map(|w| (w.name.as_str(), w.command.value.as_str())).collect();
    assert_eq!(workers, [("clock", "./tick")]);
}

#[test]
fn a_manifest_says_why() {
    let suggestion = best([
        (
            "package.json",
            r#"{"scripts":{"dev":"next dev","build":"next build"},"dependencies":{"next":"16"}}"#,
        ),
        ("yarn.lock", "# yarn lockfile v1"),
        ("Procfile", "jobs: node jobs.js --every '5 s' # all"),
    ]);
    insta::assert_snapshot!(manifest_text(&suggestion), @r###"
    # Next.js, by package.json: dependencies.next.
    # Look at this: node_modules is where packages go, and .gitignore does not name it.
    version: 1

    web:
      # Packages: yarn, by yarn.lock.
      # They are installed unless that was done to its end before: an install that was cut off,
      # and one of other packages, is done again.
      # Command: package.json: scripts.dev is `next dev`
      command: |
        set -e
        command -v yarn >/dev/null || yarn() { npx --yes yarn@1 "$@"; }
        if ! sha256sum -c node_modules/.installed >/dev/null 2>&1; then
          rm -rf node_modules
          yarn install
          mkdir -p node_modules
          sha256sum package.json yarn.lock > node_modules/.installed
        fi
        yarn run dev
      # Port: Next.js uses it unless told otherwise
      port: 3000
      # Ready: the first page answers
      health_path: /
      ready:
        # The first start fetches packages, which takes as long as the network does.
        deadline: 10m
      env:
        # it sends nothing about what is done here
        NEXT_TELEMETRY_DISABLED: "1"

    workers:
      - name: jobs
        # Procfile: jobs: node jobs.js --every '5 s' # all
        command: "node jobs.js --every '5 s' # all"

    build:
      # package.json: scripts.build is `next build`
      command: yarn run build
    "###);
}

/// Text that looks like the files that are read, and then does not.
fn odd_text() -> impl Strategy<Value = String> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        ":",
        ",",
        "\n",
        "=",
        " ",
        "scripts",
        "dev",
        "dependencies",
        "vite",
        "next",
        "packageManager",
        "pnpm@",
        "main",
        "null",
        "1e999",
        "[project]",
        "[tool.poetry]",
        "dependencies = [",
        "flask",
        "gem 'rails'",
        "app = Flask(",
        "FastAPI(",
        "web: ",
        "EXPOSE 99999",
        "é",
        "\u{feff}",
        "\r",
        "\t",
        "#",
        "- ",
        "PORT",
        "||",
    ];
    prop_oneof![
        proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..60)
            .prop_map(|words| words.concat()),
        "\\PC{0,80}",
        Just(VITE.to_owned()),
    ]
}

const READ: [&str; 22] = [
    "package.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "vite.config.ts",
    "next.config.js",
    "server.js",
    "index.js",
    "pyproject.toml",
    "requirements.txt",
    "manage.py",
    "app.py",
    "main.py",
    "Gemfile",
    "config.ru",
    "bin/rails",
    "config/routes.rb",
    "go.mod",
    "main.go",
    "Cargo.toml",
    "src/main.rs",
    "Procfile",
    "Dockerfile",
];

proptest! {
    #[test]
    fn any_project_can_be_looked_at(
        files in proptest::collection::btree_map(
            proptest::sample::select(READ.to_vec()).prop_map(str::to_owned),
            odd_text(),
            0..8,
        ),
    ) {
        for suggestion in detect(&Memory(files)) {
            let text = manifest_text(&suggestion);
            // Whatever a project says stays in its place: these keys are ours.
            let top: Vec<&str> = text.lines().filter(|line| line.starts_with(char::is_alphanumeric)).collect();
            prop_assert!(top.iter().all(|line| matches!(*line, "version: 1" | "web:" | "workers:" | "build:")), "{}", text);
            prop_assert!(!text.contains(['\r', '\u{feff}', '\t']), "{text:?}");
            prop_assert!(suggestion.command().is_none_or(|command| !command.is_empty()));
        }
    }
}
