//! The variables that lead the programs inside to the proxy.

use std::collections::BTreeMap;

use sandbar_types::EnvName;

/// Returns the variables of a sandbox whose proxy listens at `port` of its loopback.
///
/// Who reads what: curl and git take `http_proxy` in lower case only; Go, pip, Cargo, gem, Composer, apt and uv either;
/// npm, pnpm and the classic yarn either, the later yarn its own two; Node's `fetch` none, unless it is told to; Java
/// none at all, so its two package managers are given options.
#[must_use]
pub fn environment(port: u16) -> BTreeMap<EnvName, String> {
    const PROXIES: [&str; 6] = [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "YARN_HTTP_PROXY",
        "YARN_HTTPS_PROXY",
    ];
    const DIRECT: &str = "localhost,127.0.0.1,::1";
    let proxy = format!("http://127.0.0.1:{port}");
    PROXIES
        .into_iter()
        .map(|name| (name, proxy.clone()))
        .chain(["no_proxy", "NO_PROXY"].map(|name| (name, DIRECT.to_owned())))
        .chain(["MAVEN_OPTS", "GRADLE_OPTS"].map(|name| (name, java_options(port))))
        // Node 22.21 and 24 on; older ones leave it alone.
        .chain([("NODE_USE_ENV_PROXY", "1".to_owned())])
        .map(|(name, value)| (name.parse().expect("letters and underscores"), value))
        .collect()
}

fn java_options(port: u16) -> String {
    let of_scheme =
        |scheme: &str| format!("-D{scheme}.proxyHost=127.0.0.1 -D{scheme}.proxyPort={port}");
    // Without the last, Maven 3.9 does not look at the others.
    let properties = "-Daether.connector.http.useSystemProperties=true";
    [of_scheme("http"), of_scheme("https"), properties.to_owned()].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_of_tools_is_led_to_the_port() {
        let variables = environment(3128);
        let value = |name: &str| variables[&name.parse::<EnvName>().unwrap()].as_str();
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "YARN_HTTPS_PROXY"] {
            assert_eq!(value(name), "http://127.0.0.1:3128");
        }
        // An app's own server is not behind the proxy.
        assert_eq!(value("NO_PROXY"), "localhost,127.0.0.1,::1");
        assert!(value("MAVEN_OPTS").contains("-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128"));
    }
}
