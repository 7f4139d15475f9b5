//! `sandbar secret bind`, `unbind`, `bound`, `why`: secrets that are put into requests on their way out.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use hyper::Method;
use sandbar_api::{
    Credential, CredentialCreateRequest, CredentialLogin, CredentialUpdateRequest, CredentialWhy,
    CredentialWhyAnswer, ErrorCode, Secret,
    paths::{self, one_of},
};
use sandbar_types::{
    AppId, CredentialName, EnvName, InjectionPlace, InjectionRule, RuleMiss, SandboxId,
};

use super::read;
use crate::{context::Context, failure::Failure, output::table::Table, select};

/// The user that services take a token of.
const GIT_USER: &str = "x-access-token";

/// Whose sandboxes get it.
#[derive(Debug, clap::Args)]
pub(super) struct OfArgs {
    /// Only this sandbox gets it; default: every sandbox of yours.
    #[arg(long, value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Only the sandboxes of this app get it.
    #[arg(long, value_name = "APP", conflicts_with = "sandbox")]
    app: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct BindArgs {
    /// What it is called. A name in capitals is also that of the variable that has the placeholder inside.
    name: String,
    /// The host that gets it, over HTTPS alone: HOST or HOST:PORT.
    #[arg(long, value_name = "HOST", required_unless_present = "git")]
    host: Option<String>,
    /// The header that it is put into, with {} where it goes.
    #[arg(long, value_name = "HEADER", default_value = "authorization: Bearer {}")]
    header: String,
    /// Put it into bodies of JSON and forms instead, where a value is the placeholder.
    #[arg(long, conflicts_with = "header")]
    body: bool,
    /// Only below this path.
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
    /// Only for this method; may be given again.
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// The password of one Git repository: https://HOST/OWNER/REPOSITORY.
    #[arg(long, value_name = "URL", conflicts_with_all = ["host", "header", "body", "path", "methods"])]
    git: Option<String>,
    /// The user that goes with the password of a Git repository.
    #[arg(long, value_name = "USER", default_value = GIT_USER, requires = "git")]
    user: String,
    /// The variable that has the placeholder inside.
    #[arg(long, value_name = "VARIABLE")]
    env: Option<EnvName>,
    /// What the placeholder begins with, for programs that look.
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Read the value from here; default: stdin.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    #[command(flatten)]
    of: OfArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct UnbindArgs {
    /// Their names.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    of: OfArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct WhyArgs {
    /// Name or id of the sandbox.
    sandbox: String,
    /// Where the request goes: https://HOST[:PORT]/PATH.
    url: String,
    /// The method of the request.
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,
}

/// Whose, by ids.
pub(crate) type Scope = (Option<AppId>, Option<SandboxId>);

impl OfArgs {
    async fn scope(&self, context: &mut Context) -> Result<Scope, Failure> {
        if let Some(app) = &self.app {
            let app: sandbar_api::App = context.client.fetch(&paths::app(app)).await?;
            return Ok((Some(app.id), None));
        }
        match &self.sandbox {
            None => Ok((None, None)),
            Some(name) => Ok((None, Some(select::sandbox(context, Some(name)).await?.id))),
        }
    }
}

/// The name of a credential, and that of a variable where it is one.
fn names(text: &str) -> Result<(CredentialName, Option<EnvName>), Failure> {
    let name = text.to_ascii_lowercase().parse().map_err(
        |error: sandbar_types::InvalidCredentialName| {
            Failure::usage(format!("`{text}` is no name")).caused_by(&error)
        },
    )?;
    let is_variable = text.bytes().any(|b| b.is_ascii_uppercase());
    Ok((name, is_variable.then(|| text.parse().ok()).flatten()))
}

pub(super) async fn bind(args: BindArgs, context: &mut Context) -> Result<(), Failure> {
    let (name, variable) = names(&args.name)?;
    let rules = rules(&args)?;
    let (app, sandbox) = args.of.scope(context).await?;
    let value = read(args.file.as_deref().filter(|path| *path != Path::new("-")))?;
    let request = CredentialCreateRequest {
        name,
        value: Secret(value.trim_end_matches(['\r', '\n']).to_owned()),
        app,
        sandbox,
        agent: None,
        login: CredentialLogin::Key,
        host: None,
        env: args.env.or(variable),
        placeholder_prefix: args.prefix,
        rules,
        renewal: None,
    };
    let kept = keep(context, request).await?;
    say(context, &kept)?;
    warn_unreached(context, &kept).await
}

/// Says of a secret of one sandbox that this sandbox cannot reach where it goes: a rule refuses it, or its address does.
async fn warn_unreached(context: &mut Context, kept: &Credential) -> Result<(), Failure> {
    let Some(sandbox) = kept.sandbox.filter(|_| !context.out.is_json()) else { return Ok(()) };
    let hosts: BTreeSet<_> = kept.rules.iter().map(|rule| (&rule.host, rule.port)).collect();
    for (host, port) in hosts {
        let query = format!("credentials/why?host={}&port={port}", paths::escape(host.as_bytes()));
        let path = paths::below_sandbox(&sandbox.to_string(), &query);
        let answer: CredentialWhyAnswer = context.client.fetch(&path).await?;
        if let Some(network) = answer.network.filter(|network| !network.allowed) {
            context.out.say(&format!("{} is not reached: {}", network.target, network.message));
            if let Some(hint) = &network.hint {
                context.out.say(hint);
            }
        }
    }
    Ok(())
}

/// Says what is kept.
pub(crate) fn say(context: &Context, kept: &Credential) -> Result<(), Failure> {
    if context.out.is_json() {
        return context.out.json(kept);
    }
    let places: Vec<_> = kept.rules.iter().map(place).collect();
    context.out.say(&format!("bound {} to {}", kept.name, places.join(", ")));
    if let Some(env) = &kept.env {
        context.out.say(&format!("inside, {env} is {}", kept.placeholder));
    }
    Ok(())
}

/// Makes it, or changes the one of that name. The rules of one that is there are what is said now.
pub(crate) async fn keep(
    context: &mut Context,
    request: CredentialCreateRequest,
) -> Result<Credential, Failure> {
    let made = context.client.post(paths::CREDENTIALS, &request).await;
    let is_there = |failure: &Failure| {
        failure.problem().is_some_and(|problem| problem.code == ErrorCode::CredentialExists)
    };
    match made {
        // Of an agent it is the server that knows the rules: what was there makes room for what is there now.
        Err(failure) if is_there(&failure) && request.rules.is_empty() => {
            let found = find(context, &request.name, (request.app, request.sandbox)).await?;
            let path = one_of(paths::CREDENTIALS, &found.id.to_string());
            context.client.order(Method::DELETE, &path, None::<&()>).await?;
            context.client.post(paths::CREDENTIALS, &request).await
        }
        Err(failure) if is_there(&failure) => {
            let found = find(context, &request.name, (request.app, request.sandbox)).await?;
            let change = CredentialUpdateRequest {
                value: Some(request.value),
                rules: Some(request.rules),
                env: request.env.map(Some),
            };
            let path = one_of(paths::CREDENTIALS, &found.id.to_string());
            context.client.call(Method::PATCH, &path, Some(&change)).await
        }
        made => made,
    }
}

pub(crate) async fn find(
    context: &mut Context,
    name: &CredentialName,
    (app, sandbox): Scope,
) -> Result<Credential, Failure> {
    let known: Vec<Credential> = context.client.all(paths::CREDENTIALS).await?;
    known
        .into_iter()
        .find(|known| known.name == *name && known.app == app && known.sandbox == sandbox)
        .ok_or_else(|| {
            Failure::not_found(format!("no secret `{name}` is bound there"))
                .hint("`sandbar secret bound` lists them")
        })
}

pub(super) async fn unbind(args: UnbindArgs, context: &mut Context) -> Result<(), Failure> {
    let scope = args.of.scope(context).await?;
    for text in &args.names {
        let (name, _) = names(text)?;
        let found = find(context, &name, scope).await?;
        let path = one_of(paths::CREDENTIALS, &found.id.to_string());
        context.client.order(Method::DELETE, &path, None::<&()>).await?;
        context.out.say(&format!("removed {name}"));
    }
    Ok(())
}

pub(super) async fn bound(context: &mut Context) -> Result<(), Failure> {
    let known: Vec<Credential> = context.client.all(paths::CREDENTIALS).await?;
    if context.out.is_json() {
        return context.out.json(&known);
    }
    let mut table = Table::new(&["NAME", "FOR", "VARIABLE", "GOES TO"]);
    for credential in &known {
        let whose = match (credential.app, credential.sandbox) {
            (Some(app), _) => app.to_string(),
            (None, Some(sandbox)) => sandbox.to_string(),
            (None, None) => "all".to_owned(),
        };
        let places: Vec<_> = credential.rules.iter().map(place).collect();
        table.push([
            credential.name.as_str(),
            &whose,
            credential.env.as_ref().map_or("-", EnvName::as_str),
            &places.join(", "),
        ]);
    }
    Ok(context.out.table(&table)?)
}

fn place(rule: &InjectionRule) -> String {
    let port = if rule.port == 443 { String::new() } else { format!(":{}", rule.port) };
    let path = if rule.path == "/" { "" } else { &rule.path };
    format!("{}{port}{path}", rule.host)
}

pub(super) async fn why(args: &WhyArgs, context: &mut Context) -> Result<(), Failure> {
    let (host, port, path) = split_url(&args.url)?;
    let query = format!(
        "credentials/why?host={}&port={port}&method={}&path={}",
        paths::escape(host.as_bytes()),
        paths::escape(args.method.as_bytes()),
        paths::escape(path.as_bytes()),
    );
    let answer: CredentialWhyAnswer =
        context.client.fetch(&paths::below_sandbox(&args.sandbox, &query)).await?;
    if context.out.is_json() {
        return context.out.json(&answer);
    }
    if let Some(network) = &answer.network {
        let verdict = if network.allowed { "may be reached" } else { "is not reached" };
        context.out.line(&format!("{}: {verdict}: {}", network.target, network.message))?;
        if let Some(hint) = network.hint.as_ref().filter(|_| !network.allowed) {
            context.out.say(hint);
        }
    }
    if answer.credentials.is_empty() {
        context.out.say("no secret is bound for this sandbox: `sandbar secret bind`");
    }
    for why in &answer.credentials {
        context.out.line(&format!("{}: {}", why.name, reason(why)))?;
    }
    Ok(())
}

fn reason(why: &CredentialWhy) -> &'static str {
    match why.miss {
        None if why.is_trusted => "put in",
        None => "not put in: the sandbox was started by an earlier version; stop and start it",
        Some(RuleMiss::Host) => "not put in: it is for other hosts",
        Some(RuleMiss::Port) => "not put in: it is for another port of this host",
        Some(RuleMiss::Method) => "not put in: it is for other methods",
        Some(RuleMiss::Path) => "not put in: it is for other paths of this host",
        Some(RuleMiss::AmbiguousPath) => {
            "not put in: the path can be read as two paths (`..`, `//`, an escaped `/`)"
        }
    }
}

/// The parts of an address of HTTPS.
fn split_url(url: &str) -> Result<(String, u16, String), Failure> {
    let wrong = || {
        Failure::usage(format!("`{url}` is not https://HOST[:PORT]/PATH"))
            .hint("a secret is never put into plain HTTP")
    };
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let path = path.split('?').next().filter(|path| !path.is_empty()).unwrap_or("/");
    let (host, port) = split_host(authority)?;
    if host.is_empty() || host.contains('@') {
        return Err(wrong());
    }
    Ok((host, port, path.to_owned()))
}

fn split_host(text: &str) -> Result<(String, u16), Failure> {
    match text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        None => Ok((text.to_ascii_lowercase(), 443)),
        Some((host, port)) => {
            let port = port.parse().map_err(|error: std::num::ParseIntError| {
                Failure::usage(format!("`{text}` has no port")).caused_by(&error)
            })?;
            Ok((host.to_ascii_lowercase(), port))
        }
    }
}

fn rules(args: &BindArgs) -> Result<Vec<InjectionRule>, Failure> {
    if let Some(url) = &args.git {
        return git_rules(url, &args.user);
    }
    let (host, port) = split_host(args.host.as_deref().unwrap_or_default())?;
    let place = if args.body {
        InjectionPlace::Body
    } else {
        let (name, template) = args.header.split_once(':').ok_or_else(|| {
            Failure::usage("`--header` is NAME: VALUE, with {} where the secret goes")
        })?;
        let (name, template) = (name.trim().to_owned(), template.trim().to_owned());
        InjectionPlace::Header { name, template }
    };
    let methods = args.methods.iter().map(|method| method.to_ascii_uppercase()).collect();
    Ok(vec![InjectionRule { host, port, methods, path: args.path.clone(), place }])
}

/// What Git asks for when it fetches and pushes, of one repository, whose name some write with `.git` and some without.
fn git_rules(url: &str, user: &str) -> Result<Vec<InjectionRule>, Failure> {
    let (host, port, path) = split_url(url)?;
    let base = path.trim_end_matches('/').trim_end_matches(".git");
    if base.trim_start_matches('/').split('/').count() < 2 {
        return Err(Failure::usage(format!("`{url}` is not the address of one repository"))
            .hint("https://HOST/OWNER/REPOSITORY"));
    }
    let asked = [("GET", "info/refs"), ("POST", "git-upload-pack"), ("POST", "git-receive-pack")];
    let of = |repository: &str, (method, what): &(&str, &str)| InjectionRule {
        host: host.clone(),
        port,
        methods: vec![(*method).to_owned()],
        path: format!("{repository}/{what}"),
        place: InjectionPlace::Basic { user: user.to_owned() },
    };
    let written = [base.to_owned(), format!("{base}.git")];
    Ok(written.iter().flat_map(|name| asked.iter().map(|asked| of(name, asked))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d14_a_repository_is_what_git_asks_of_it_and_nothing_else_of_its_host() {
        let rules = git_rules("https://github.com/ann/shop.git", GIT_USER).unwrap();
        let gets = |method, path| {
            let asked = sandbar_types::Target { host: "github.com".parse().unwrap(), port: 443 };
            rules.iter().any(|rule| rule.admits(&asked, method, path).is_ok())
        };
        assert!(gets("GET", "/ann/shop/info/refs") && gets("GET", "/ann/shop.git/info/refs"));
        assert!(gets("POST", "/ann/shop/git-receive-pack"));
        assert!(!gets("GET", "/ann/shop/settings") && !gets("GET", "/ann/shop2/info/refs"));
        assert!(!gets("POST", "/eve/shop/git-receive-pack"));
        assert!(git_rules("https://github.com/ann", GIT_USER).is_err());
        assert!(git_rules("http://github.com/ann/shop", GIT_USER).is_err());
    }

    #[test]
    fn an_address_is_taken_apart() {
        let of = |url| split_url(url).ok();
        assert_eq!(of("https://A.example"), Some(("a.example".into(), 443, "/".into())));
        assert_eq!(of("https://a:8443/v1?q"), Some(("a".into(), 8443, "/v1".into())));
        assert_eq!(of("https://[::1]:9/x"), Some(("[::1]".into(), 9, "/x".into())));
        for url in ["http://a/", "https://", "https://u@a/", "https://a:x/"] {
            assert_eq!(of(url), None, "{url}");
        }
    }
}
