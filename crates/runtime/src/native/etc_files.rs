//! The `/etc` that a sandbox sees: generated, so that nothing of the host's shows but what is listed here.
//!
//! The host's own holds what must not be seen: shadow files, the machine's identity, keys, who may use sudo.

use std::{ffi::OsStr, fs, io, path::PathBuf};

use sandbar_types::GitIdentity;

/// One generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcFile {
    /// Path below `/etc`, without directories.
    pub path: &'static str,
    /// What it holds.
    pub content: String,
}

/// The file with every certificate that the programs inside may believe, made by the launcher.
pub(super) const CERTIFICATES: &str = "sandbar-ca.crt";

/// The same certificates as Java reads them, where there is a Java.
pub(super) const TRUSTSTORE: &str = "sandbar-ca.jks";

/// Where systems keep every certificate for all of Java in one file. A Java of the system has a link to it.
pub(super) const TRUSTSTORES: [&str; 3] = [
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
    "/etc/pki/java/cacerts",
];

/// Where each Java has a directory. One that is not the system's has certificates of its own in it.
pub(super) const JAVAS: [&str; 2] = ["/usr/lib/jvm", "/usr/lib64/jvm"];

/// Where they are in such a directory, of Java 9 and newer, and of Java 8.
pub(super) const TRUSTSTORES_OF_JAVA: [&str; 2] =
    ["lib/security/cacerts", "jre/lib/security/cacerts"];

/// Where systems keep every certificate in one file. Elsewhere there are links to these.
pub(super) const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Who a sandbox's user is, as `/etc/passwd` tells it.
#[derive(Debug, Clone, Copy)]
pub struct EtcUser<'a> {
    /// User name, id 1000; see [`user_name`].
    pub name: &'a str,
    /// Home directory.
    pub home: &'a str,
    /// Login shell; must exist inside.
    pub shell: &'a str,
    /// Who makes the commits inside.
    pub git: Option<&'a GitIdentity>,
}

/// What is bound from the host's `/etc` read-only where it exists: roots of trust, the linker's cache, time, and what
/// programs below `/usr` keep of themselves there. Directories with private keys are not in it.
const SHOWN: &[&str] = &[
    "R",
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "mailcap",
    "maven",
    "mime.types",
    "os-release",
    "perl",
    "pki/ca-trust",
    "pki/java",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "rpc",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "texmf",
    "timezone",
    "xattr.conf",
    "xml",
];

/// Names with a version in them: `java-17-openjdk`, `python3.11`.
const SHOWN_PREFIXES: &[&str] = &["java-", "python3"];

/// Returns the paths of the host's `/etc` to bind at the same place inside, read-only; those that exist, in order.
/// A link among them is to be bound by what it points at.
///
/// # Errors
/// `/etc` cannot be listed.
pub fn host_etc_paths() -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        SHOWN.iter().map(|name| PathBuf::from("/etc").join(name)).collect();
    for entry in fs::read_dir("/etc")? {
        let entry = entry?;
        if has_shown_prefix(&entry.file_name()) {
            paths.push(entry.path());
        }
    }
    paths.retain(|path| path.exists());
    paths.sort_unstable();
    Ok(paths)
}

fn has_shown_prefix(name: &OsStr) -> bool {
    SHOWN_PREFIXES.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

/// Returns the name that the caller `name` has inside: their own, or `agent` where that cannot be.
///
/// Id 0 inside is the supervisor's and has the name `root`, so nobody else can have it.
#[must_use]
pub fn user_name(name: &str) -> &str {
    let fits = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if fits && !matches!(name, "root" | "nobody" | "nogroup") { name } else { "agent" }
}

/// Returns the generated files. A home or shell that the format of `passwd` cannot hold becomes `/` and `/bin/sh`.
#[must_use]
pub fn etc_files(user: EtcUser<'_>, hostname: &str) -> Vec<EtcFile> {
    let EtcUser { name, home, shell, git } = user;
    let name = user_name(name);
    let fits = |field: &str| !field.contains([':', '\n']);
    let home = if fits(home) { home } else { "/" };
    let shell = if fits(shell) { shell } else { "/bin/sh" };
    let file = |path, content: String| EtcFile { path, content };
    vec![
        file(
            "passwd",
            format!(
                "root:x:0:0:supervisor:/:/usr/sbin/nologin\n\
                 {name}:x:1000:1000:{name}:{home}:{shell}\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        file("group", format!("root:x:0:\ntty:x:5:\n{name}:x:1000:\nnogroup:x:65534:\n")),
        file("hostname", format!("{hostname}\n")),
        file(
            "hosts",
            format!("127.0.0.1 localhost {hostname}\n::1 localhost ip6-localhost ip6-loopback\n"),
        ),
        file("nsswitch.conf", NSSWITCH.to_owned()),
        file(
            "resolv.conf",
            "# Answers for the hosts that may be reached, with addresses that stand in for them.\n\
             nameserver 127.0.0.1\n\
             options attempts:1 timeout:5\n"
                .to_owned(),
        ),
        file("host.conf", "multi on\n".to_owned()),
        file("protocols", PROTOCOLS.to_owned()),
        file("services", SERVICES.to_owned()),
        file("networks", "loopback 127.0.0.0\n".to_owned()),
        file("shells", "/bin/sh\n/bin/bash\n/usr/bin/bash\n/bin/dash\n".to_owned()),
        file("profile", PROFILE.to_owned()),
        file("bash.bashrc", BASHRC.to_owned()),
        file("gitconfig", gitconfig(git)),
    ]
}

/// The configuration of git that every repository's own comes before. Nothing else of the host's gets in: a helper
/// for credentials, an alias or an include would be a program or a secret of the host.
fn gitconfig(identity: Option<&GitIdentity>) -> String {
    // Whoever owns a repository inside, there is nobody inside to be protected from.
    let mut config = "[safe]\n\tdirectory = *\n".to_owned();
    if let Some(identity) = identity {
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
        let (name, email) = (quoted(identity.name()), quoted(identity.email()));
        config
            .push_str(&["[user]\n\tname = \"", &name, "\"\n\temail = \"", &email, "\"\n"].concat());
    }
    config
}

const NSSWITCH: &str = "\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
";

const PROTOCOLS: &str = "\
ip 0 IP
icmp 1 ICMP
tcp 6 TCP
udp 17 UDP
ipv6 41 IPv6
ipv6-icmp 58 IPv6-ICMP
";

const SERVICES: &str = "\
ftp 21/tcp
ssh 22/tcp
smtp 25/tcp mail
domain 53/tcp
domain 53/udp
http 80/tcp www
pop3 110/tcp
ntp 123/udp
imap2 143/tcp imap
ldap 389/tcp
https 443/tcp
https 443/udp
submission 587/tcp
imaps 993/tcp
ms-sql-s 1433/tcp
mysql 3306/tcp
postgresql 5432/tcp
redis 6379/tcp
http-alt 8080/tcp
git 9418/tcp
";

// A login shell keeps the PATH that it is given: the toolchains are in it.
const PROFILE: &str = r#"export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}"
if [ -n "${BASH_VERSION-}" ] && [ -n "${PS1-}" ] && [ -r /etc/bash.bashrc ]; then
    . /etc/bash.bashrc
fi
"#;

const BASHRC: &str = r#"[ -z "${PS1-}" ] && return
shopt -s checkwinsize
PS1='(sandbox) \u@\h:\w\$ '
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn content(user: EtcUser<'_>, path: &str) -> String {
        let files = etc_files(user, "sb-1");
        files.into_iter().find(|file| file.path == path).unwrap().content
    }

    fn ann() -> EtcUser<'static> {
        EtcUser { name: "ann", home: "/home/ann", shell: "/bin/bash", git: None }
    }

    #[test]
    fn the_user_has_the_name_home_and_shell_of_the_caller() {
        let passwd = content(ann(), "passwd");
        assert!(passwd.contains("\nann:x:1000:1000:ann:/home/ann:/bin/bash\n"), "{passwd}");
        assert!(content(ann(), "group").contains("\nann:x:1000:\n"));
        assert_eq!(content(ann(), "hostname"), "sb-1\n");
    }

    #[test]
    fn a_name_or_home_cannot_add_a_line_or_a_second_root() {
        for name in ["root", "", "a:b", "x\nevil:x:0:0", "nobody", "-dash"] {
            let passwd = content(EtcUser { name, ..ann() }, "passwd");
            assert!(passwd.contains("\nagent:x:1000:1000:"), "{passwd}");
            assert_eq!(passwd.lines().count(), 3);
        }
        let home = "/home/a\nevil:x:0:0::/:/bin/sh";
        let passwd = content(EtcUser { home, ..ann() }, "passwd");
        assert_eq!(passwd.lines().count(), 3);
    }

    #[test]
    fn an_identity_is_quoted_and_absent_when_there_is_none() {
        assert_eq!(content(ann(), "gitconfig"), "[safe]\n\tdirectory = *\n");
        let identity = GitIdentity::new(r#"A "B" \C # ;"#, "a@b").unwrap();
        let config = content(EtcUser { git: Some(&identity), ..ann() }, "gitconfig");
        assert!(
            config.ends_with("\tname = \"A \\\"B\\\" \\\\C # ;\"\n\temail = \"a@b\"\n"),
            "{config}"
        );
    }

    #[test]
    fn nothing_secret_of_the_host_is_listed() {
        for path in host_etc_paths().unwrap() {
            let path = path.to_str().unwrap();
            for secret in [
                "shadow",
                "private",
                "machine-id",
                "/ssh",
                "sudoers",
                "gitconfig",
                "npmrc",
                "environment",
            ] {
                assert!(!path.contains(secret), "{path}");
            }
        }
    }

    #[test]
    fn no_generated_file_is_covered_by_a_bind() {
        for file in etc_files(ann(), "sb-1") {
            assert!(!SHOWN.contains(&file.path), "{}", file.path);
        }
    }
}
