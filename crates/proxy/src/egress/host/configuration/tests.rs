use std::fs;

use super::*;
use crate::egress::{
    Mode,
    policy::{Address, Verdict, decide},
};

struct Caller {
    root: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Caller {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), environment: BTreeMap::new() }
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn read(&self) -> HostConfiguration {
        HostConfiguration::read(&CallerFiles {
            home: self.root.path().join("home"),
            etc: self.root.path().join("etc"),
            environment: self.environment.clone(),
        })
    }

    fn path(&self, path: &str) -> String {
        self.root.path().join(path).to_string_lossy().into_owned()
    }
}

fn named(found: &HostConfiguration) -> Vec<String> {
    found.named.iter().map(Target::to_string).collect()
}

fn variable<'a>(found: &'a HostConfiguration, name: &str) -> Option<&'a str> {
    found.environment.get(&name.parse().unwrap()).map(String::as_str)
}

#[test]
fn without_configuration_nothing_is_found() {
    assert_eq!(Caller::new().read(), HostConfiguration::default());
}

#[test]
fn the_registries_of_npm_are_found_without_what_is_secret() {
    let caller = Caller::new()
        .file("etc/npmrc", "registry=https://weaker.example/\n")
        .file(
            "home/.npmrc",
            "# comment\n; comment\nregistry = \"https://me:pw@npm.example/group/\"\n\
             //npm.example/group/:_authToken=sekrit\n@acme:registry=http://localhost:4873/\n@other:thing=x\n",
        );
    let found = caller.read();
    assert_eq!(named(&found), ["localhost:4873", "npm.example:443"]);
    assert_eq!(variable(&found, "npm_config_registry"), Some("https://npm.example/group/"));
    assert_eq!(variable(&found, "YARN_NPM_REGISTRY_SERVER"), Some("https://npm.example/group/"));
    assert!(!format!("{found:?}").contains("sekrit") && !format!("{found:?}").contains("pw"));
    assert!(matches!(&found.notes[..], [Note::UserLeftOut { .. }]), "{:?}", found.notes);
    let found = caller.variable("npm_config_registry", "https://variable.example").read();
    assert_eq!(variable(&found, "npm_config_registry"), Some("https://variable.example/"));
}

#[test]
fn variables_in_files_are_replaced() {
    let caller = Caller::new()
        .file("home/.npmrc", "registry=https://${WHERE}.example/\n")
        .file("home/.yarnrc.yml", "nodeLinker: pnp\nnpmRegistryServer: \"https://berry.example\"\n")
        .variable("WHERE", "mirror");
    let found = caller.read();
    assert_eq!(named(&found), ["berry.example:443", "mirror.example:443"]);
    assert_eq!(variable(&found, "YARN_NPM_REGISTRY_SERVER"), Some("https://berry.example/"));
}

#[test]
fn the_indexes_of_pip_are_found_and_uv_is_led_there() {
    let found = Caller::new()
        .file("etc/pip.conf", "[global]\nindex-url = https://weaker.example/simple\n")
        .file(
            "home/.config/pip/pip.conf",
            "[global]\nindex_url: https://u:p@pip.example/simple\nextra-index-url =\n    https://a.example/simple\n    https://b.example:8443/simple\n[list]\nindex-url = https://unused.example\n",
        )
        .read();
    assert_eq!(named(&found), ["a.example:443", "b.example:8443", "pip.example:443"]);
    assert_eq!(variable(&found, "PIP_INDEX_URL"), Some("https://pip.example/simple"));
    assert_eq!(
        variable(&found, "PIP_EXTRA_INDEX_URL"),
        Some("https://a.example/simple https://b.example:8443/simple")
    );
    assert_eq!(variable(&found, "UV_DEFAULT_INDEX"), Some("https://pip.example/simple"));
    let found = Caller::new()
        .variable("PIP_INDEX_URL", "https://pip.example/simple")
        .variable("UV_INDEX", "mine=https://u:p@uv.example/simple")
        .variable("PIP_FIND_LINKS", "/srv/wheels")
        .read();
    assert_eq!(named(&found), ["pip.example:443", "uv.example:443"]);
    assert_eq!(variable(&found, "UV_INDEX"), Some("mine=https://uv.example/simple"));
    assert_eq!(variable(&found, "UV_DEFAULT_INDEX"), None);
    assert_eq!(variable(&found, "PIP_FIND_LINKS"), None);
}

#[test]
fn what_cargo_replaces_crates_io_with_is_found() {
    let found = Caller::new()
        .file(
            "home/.cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"mirror\"\n[source.mirror]\nregistry = \"sparse+https://cargo.example/index/\"\n\
             [source.unused]\nregistry = \"https://unused.example/\"\n[registries.in-house]\nindex = \"sparse+https://house.example/\"\n\
             [net]\noffline = false\n",
        )
        .variable("CARGO_REGISTRIES_OTHER_INDEX", "https://other.example/")
        .read();
    assert_eq!(named(&found), ["cargo.example:443", "house.example:443", "other.example:443"]);
    assert_eq!(
        variable(&found, "CARGO_REGISTRIES_IN_HOUSE_INDEX"),
        Some("sparse+https://house.example/")
    );
    let broken = Caller::new().file("home/.cargo/config.toml", "[source\n").read();
    assert!(matches!(&broken.notes[..], [Note::FileMalformed { .. }]));
}

#[test]
fn the_archives_of_apt_and_the_proxies_of_go_are_found() {
    let found = Caller::new()
        .file("etc/apt/sources.list", "# deb http://no.example/ x\ndeb [signed-by=/k arch=amd64] http://deb.example:3142/debian x main\n")
        .file("etc/apt/sources.list.d/a.sources", "Types: deb\n# http://no.example\nURIs: https://two.example/x mirror+file:/m\n")
        .file("etc/apt/sources.list.d/b.sources.off", "URIs: https://no.example/\n")
        .file("home/.config/go/env", "GOPROXY=https://u:p@go.example/proxy,direct\nGOPRIVATE=acme.example\n")
        .read();
    assert_eq!(named(&found), ["deb.example:3142", "go.example:443", "two.example:443"]);
    assert_eq!(variable(&found, "GOPROXY"), Some("https://go.example/proxy,direct"));
    assert_eq!(variable(&found, "GOPRIVATE"), Some("acme.example"));
}

#[test]
fn proxies_are_the_servers_and_no_variable_of_a_sandbox() {
    let found = Caller::new()
        .variable("HTTPS_PROXY", "http://me:pw@proxy.example:3128")
        .variable("https_proxy", "http://lower.example:3128")
        .variable("HTTP_PROXY", "socks5://proxy.example:1080")
        .variable("NO_PROXY", "corp.example")
        .read();
    assert_eq!(found.upstreams.https.as_ref().unwrap().target().to_string(), "lower.example:3128");
    assert_eq!(found.upstreams.http, None);
    assert_eq!(found.notes, [Note::ProxyUnsupported { setting: "HTTP_PROXY".to_owned() }]);
    assert!(
        found.upstreams.no_proxy.is_direct(&Target::parse("a.corp.example", Some(443)).unwrap())
    );
    assert!(found.environment.is_empty() && found.named.is_empty());
}

#[test]
fn certificates_are_handed_on_with_their_files() {
    let caller = Caller::new().file("etc/ssl/corp.pem", "x").file("etc/ssl/other.pem", "x");
    let (bundle, other) = (caller.path("etc/ssl/corp.pem"), caller.path("etc/ssl/other.pem"));
    let directory = caller.path("etc/ssl");
    let caller = caller
        .variable("SSL_CERT_FILE", &bundle)
        .variable("GIT_SSL_CAINFO", &other)
        .variable("AWS_CA_BUNDLE", "/nowhere/at/all.pem")
        .variable("SSL_CERT_DIR", &directory)
        .file("home/.npmrc", &format!("cafile={other}\n"));
    let found = caller.read();
    let paths: Vec<_> =
        found.certificates.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    assert_eq!(paths, [directory, bundle.clone(), other.clone()]);
    assert_eq!(variable(&found, "SSL_CERT_FILE"), Some(bundle.as_str()));
    assert_eq!(variable(&found, "SSL_CERT_DIR"), None);
    assert_eq!(variable(&found, "GIT_SSL_CAINFO"), Some(other.as_str()));
    assert_eq!(variable(&found, "npm_config_cafile"), Some(other.as_str()));
    assert!(matches!(&found.notes[..], [Note::CertificatesMissing { .. }]), "{:?}", found.notes);
}

#[test]
fn what_the_operator_configured_may_be_private_and_nothing_else() {
    let found = Caller::new().file("home/.npmrc", "registry=http://localhost:4873/\n").read();
    let policy = found.extend(Policy::new(Mode::AllowList));
    let loopback =
        [Address { ip: "127.0.0.1".parse().unwrap(), is_this_host: true, is_pinned: false }];
    let decided = |text: &str| decide(&policy, &Target::parse(text, None).unwrap(), &loopback);
    assert!(matches!(decided("localhost:4873"), Verdict::Allowed(_)));
    assert!(matches!(decided("localhost:4874"), Verdict::Denied(_)));
    assert!(matches!(decided("127.0.0.1:4873"), Verdict::Denied(_)));
}
