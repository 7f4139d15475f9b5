//! Projects in Python: Django, FastAPI, Flask, Streamlit.

mod packages;

use packages::Packages;

use super::scan;
use crate::{
    Confidence, Framework, Guess, ProjectFiles, Readiness, Reason, Suggestion, project::first_of,
};

/// Where an app is mostly written, and what it is called then.
const APP_FILES: [(&str, &str); 10] = [
    ("app.py", "app"),
    ("main.py", "main"),
    ("wsgi.py", "wsgi"),
    ("api.py", "api"),
    ("server.py", "server"),
    ("app/main.py", "app.main"),
    ("app/app.py", "app.app"),
    ("app/__init__.py", "app"),
    ("src/main.py", "src.main"),
    ("src/app.py", "src.app"),
];

const HEALTH_PATHS: [&str; 4] = ["/health", "/healthz", "/api/health", "/ping"];

pub(super) fn detect(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let packages = Packages::read(files);
    [django, fastapi, flask, streamlit].iter().find_map(|detector| detector(files, &packages))
}

fn django(files: &dyn ProjectFiles, packages: &Packages) -> Option<Suggestion> {
    let manage = files.read("manage.py")?;
    let named = packages.reason("django");
    let says_so = manage.contains("DJANGO_SETTINGS_MODULE");
    let reason = named.or_else(|| {
        says_so.then(|| Reason::in_file("manage.py", "it names DJANGO_SETTINGS_MODULE"))
    })?;
    let run = Guess::new(
        ".venv/bin/python manage.py runserver 127.0.0.1:8000".to_owned(),
        Reason::file("manage.py"),
    );
    let port = Guess::new(8000, Reason::usual("Django uses it unless told otherwise"));
    let mut suggestion =
        Suggestion::new(Guess::new(Framework::Django, reason), Confidence::High, run, port);
    suggestion.set_env("PYTHONUNBUFFERED", "1", unbuffered());
    suggestion.ready = django_ready(files, &manage);
    suggestion.install = Some(packages.install(&["django"]));
    Some(suggestion)
}

/// A project without a page at `/` answers 404 there, which is no sign of life.
fn django_ready(files: &dyn ProjectFiles, manage: &str) -> Guess<Readiness> {
    let settings = manage.split(['"', '\'']).find_map(|word| {
        word.strip_suffix(".settings").or_else(|| word.strip_suffix(".settings.dev"))
    });
    let urls = settings.map(|module| format!("{}/urls.py", module.replace('.', "/")));
    let text = urls.as_deref().and_then(|urls| files.read(urls));
    let (Some(urls), Some(text)) = (urls, text) else {
        return Guess::new(Readiness::Port, Reason::usual("no path is known that answers"));
    };
    // What stands before is a docstring with examples in new projects.
    let patterns = text.lines().skip_while(|line| !line.starts_with("urlpatterns"));
    let squeezed: String = patterns.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    let has_root =
        ["path(\"\"", "path('',", "(r\"^$\"", "(r'^$'"].iter().any(|root| squeezed.contains(root));
    if has_root {
        let reason = Reason::in_file(&urls, "it has a page at `/`");
        return Guess::new(Readiness::Path("/".to_owned()), reason);
    }
    if squeezed.contains("admin.site.urls") && squeezed.contains("admin/") {
        let reason = Reason::in_file(&urls, "it has the admin's pages and none at `/`");
        return Guess::new(Readiness::Path("/admin/login/".to_owned()), reason);
    }
    Guess::new(Readiness::Port, Reason::in_file(&urls, "it has no page at `/`"))
}

fn fastapi(files: &dyn ProjectFiles, packages: &Packages) -> Option<Suggestion> {
    let app = App::find(files, "FastAPI(")?;
    let reason = packages.reason("fastapi").unwrap_or_else(|| app.reason("FastAPI"));
    let run = format!(
        ".venv/bin/uvicorn {}:{} --host 127.0.0.1 --port 8000 --reload",
        app.module, app.name
    );
    let port = Guess::new(8000, Reason::usual("uvicorn uses it unless told otherwise"));
    let mut suggestion = Suggestion::new(
        Guess::new(Framework::FastApi, reason),
        Confidence::High,
        Guess::new(run, app.reason("FastAPI")),
        port,
    );
    suggestion.set_env("PYTHONUNBUFFERED", "1", unbuffered());
    suggestion.ready = app.ready().unwrap_or_else(|| {
        let reason = Reason::usual("FastAPI has its documentation there unless told otherwise");
        Guess::new(Readiness::Path("/docs".to_owned()), reason)
    });
    let needed: &[&str] =
        if packages.brings_uvicorn() { &["fastapi"] } else { &["fastapi", "uvicorn"] };
    suggestion.install = Some(packages.install(needed));
    Some(suggestion)
}

fn flask(files: &dyn ProjectFiles, packages: &Packages) -> Option<Suggestion> {
    let app = App::find(files, "Flask(").or_else(|| App::factory(files))?;
    let reason = packages.reason("flask").unwrap_or_else(|| app.reason("Flask"));
    let run = format!(".venv/bin/flask --app {} run --debug --port 5000", app.target());
    let port = Guess::new(5000, Reason::usual("Flask uses it unless told otherwise"));
    let mut suggestion = Suggestion::new(
        Guess::new(Framework::Flask, reason),
        Confidence::High,
        Guess::new(run, app.reason("Flask")),
        port,
    );
    suggestion.set_env("PYTHONUNBUFFERED", "1", unbuffered());
    suggestion.ready = app.ready().unwrap_or_else(|| {
        Guess::new(Readiness::Port, Reason::usual("no path is known that answers"))
    });
    suggestion.install = Some(packages.install(&["flask"]));
    Some(suggestion)
}

fn streamlit(files: &dyn ProjectFiles, packages: &Packages) -> Option<Suggestion> {
    let reason = packages.reason("streamlit")?;
    let main = first_of(files, ["streamlit_app.py", "app.py", "main.py", "Home.py"])?;
    let run = format!(
        ".venv/bin/streamlit run {main} --server.address 127.0.0.1 --server.port 8501 --server.headless true"
    );
    let port = Guess::new(8501, Reason::usual("Streamlit uses it unless told otherwise"));
    let mut suggestion = Suggestion::new(
        Guess::new(Framework::Streamlit, reason),
        Confidence::High,
        Guess::new(run, Reason::file(main)),
        port,
    );
    suggestion.set_env(
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS",
        "false",
        Reason::usual("it sends nothing about what is done here"),
    );
    suggestion.install = Some(packages.install(&["streamlit"]));
    Some(suggestion)
}

fn unbuffered() -> Reason {
    Reason::usual("what it prints is in the log at once")
}

/// The file and the name of an app.
#[derive(Debug)]
struct App {
    file: &'static str,
    module: &'static str,
    name: String,
    text: String,
}

impl App {
    fn find(files: &dyn ProjectFiles, call: &str) -> Option<Self> {
        APP_FILES.into_iter().find_map(|(file, module)| {
            let text = files.read(file)?;
            let name = scan::assigned(&text, call)?;
            Some(Self { file, module, name, text })
        })
    }

    /// Flask's own way to make an app in a function.
    fn factory(files: &dyn ProjectFiles) -> Option<Self> {
        APP_FILES.into_iter().find_map(|(file, module)| {
            let text = files.read(file)?;
            let is_factory = text.contains("Flask(") && text.contains("def create_app(");
            is_factory.then(|| Self { file, module, name: "create_app".to_owned(), text })
        })
    }

    /// As `flask --app` takes it; the names that it looks for by itself are left out.
    fn target(&self) -> String {
        match self.name.as_str() {
            "app" | "application" | "create_app" => self.module.to_owned(),
            name => format!("{}:{name}", self.module),
        }
    }

    fn reason(&self, framework: &str) -> Reason {
        Reason::in_file(self.file, format!("it makes `{}`, an app of {framework}", self.name))
    }

    fn ready(&self) -> Option<Guess<Readiness>> {
        let path = scan::quoted_path(&self.text, &HEALTH_PATHS)
            .or_else(|| self.has_root().then_some("/"))?;
        let reason = Reason::in_file(self.file, format!("it has a route `{path}`"));
        Some(Guess::new(Readiness::Path(path.to_owned()), reason))
    }

    fn has_root(&self) -> bool {
        ["route", "get"].iter().any(|call| {
            self.text.contains(&format!("{call}(\"/\""))
                || self.text.contains(&format!("{call}('/'"))
        })
    }
}
