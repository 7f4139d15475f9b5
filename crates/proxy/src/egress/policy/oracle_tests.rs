//! A million hosts, decided about by the policy and by a simple oracle that shares nothing with it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const HOSTS: usize = 1_000_000;

/// Xorshift64: quick, and the same hosts every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap() % most
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

/// Addresses of which one is on the list, some are special, and some are neither.
fn address(random: &mut Random) -> Ipv4Addr {
    let bytes = [random.byte(), random.byte(), random.byte(), random.byte()];
    random.of(&[
        Ipv4Addr::new(198, 41, 0, 4),
        Ipv4Addr::new(127, 0, 0, 1),
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(10, 0, 0, 5),
        Ipv4Addr::from(bytes),
    ])
}

/// The address in one of the notations that somebody takes: those of `inet_aton`, and those of version 6.
fn written(random: &mut Random, ip: Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    let bits = ip.to_bits();
    let (high, low) = (bits >> 16, bits & 0xffff);
    match random.below(16) {
        0 => format!("{bits}"),
        1 => format!("0x{bits:x}"),
        2 => format!("0{bits:o}"),
        3 => format!("{a}.{}", bits & 0xff_ffff),
        4 => format!("{a}.{b}.{low}"),
        5 => format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        6 => format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        7 => format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        8 => format!("[::ffff:{ip}]"),
        9 => format!("[0:0:0:0:0:FFFF:{high:x}:{low:04x}]"),
        10 => format!("[64:ff9b::{high:x}:{low:x}]"),
        11 => format!("[2002:{high:x}:{low:x}::1]"),
        12 => format!("[::{ip}]"),
        13 => format!("::ffff:{ip}"),
        14 => format!("[::ffff:{ip}%25eth0]"),
        _ => ip.to_string(),
    }
}

fn name(random: &mut Random) -> String {
    let base = random.of(&[
        "ok.example",
        "wild.example",
        "a.wild.example",
        "a.b.wild.example",
        "evil.example",
        "localhost",
        "xn--bcher-kva.example",
        "metadata.google.internal",
    ]);
    let long = "l".repeat(60 + random.below(8));
    let piece = random.of(&[
        "evil",
        "ok",
        "ok.example",
        "wild.example",
        "-",
        "a-",
        "_x",
        "xn--p1ai",
        &long,
    ]);
    match random.below(8) {
        0 => format!("{piece}.{base}"),
        1 => format!("{piece}{base}"),
        2 => format!("{base}.{piece}"),
        3 => format!("{base}{piece}"),
        4 => format!("{piece}@{base}"),
        _ => base.to_owned(),
    }
}

/// Damages a host the way that people do who want two parsers to disagree.
fn damaged(random: &mut Random, mut host: String) -> String {
    const ODD: [char; 24] = [
        '\0', '%', '@', '/', '\\', ' ', '\t', '\n', ':', '#', '?', '_', '*', '[', ']', '-', '.',
        'ｅ', 'е', '。', 'ı', '\u{ad}', '\u{200b}', '\u{7f}',
    ];
    const PIECES: [&str; 7] =
        ["%00", "%2e", "..", ":443@", "user:pw@", "\0.ok.example", "%2eok.example"];
    for _ in 0..random.below(3) {
        let at = random.below(host.len() + 1);
        let at = (0..=at).rev().find(|at| host.is_char_boundary(*at)).unwrap();
        match random.below(6) {
            0 => host.insert(at, random.of(&ODD)),
            1 => host.insert_str(at, random.of(&PIECES)),
            2 => host.push('.'),
            3 => host = host.to_uppercase(),
            4 if at < host.len() => drop(host.remove(at)),
            _ => {}
        }
    }
    host
}

/// What the rules below mean, read off the text: letters, dots, and nothing clever.
fn oracle(host: &str) -> bool {
    if host == "198.41.0.4" {
        return true;
    }
    if let Some(inner) = host.strip_prefix('[') {
        let Some(Ok(v6)) = inner.strip_suffix(']').map(str::parse::<Ipv6Addr>) else {
            return false;
        };
        return v6.octets() == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 41, 0, 4];
    }
    let plain = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_name = plain.len() <= 253
        && plain.split('.').all(|label| {
            let middle = label.trim_matches('-');
            !label.is_empty()
                && label.len() < 64
                && middle.len() == label.len()
                && label.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
        });
    let labels: Vec<&str> = plain.split('.').collect();
    is_name && matches!(labels.as_slice(), ["ok", "example"] | [_, .., "wild", "example"])
}

#[test]
fn case_61_a_million_hosts_are_decided_about_as_a_simple_oracle_says() {
    let policy = Policy::new(Mode::AllowList)
        .allow("ok.example".parse().unwrap())
        .allow("*.wild.example".parse().unwrap())
        .allow("198.41.0.4:443".parse().unwrap());
    let public =
        Address { ip: "93.184.216.34".parse().unwrap(), is_this_host: false, is_pinned: false };
    let mut random = Random(0x5eed_0061);
    let mut allowed = 0;
    for turn in 0..HOSTS {
        let host = if random.below(3) == 0 {
            let ip = address(&mut random);
            written(&mut random, ip)
        } else {
            name(&mut random)
        };
        let host = damaged(&mut random, host);
        // A host as SOCKS has it, without a port to be split off.
        let parsed = host.parse::<Host>().ok();
        let verdict = parsed.map(|host| {
            let addresses = match &host {
                Host::Name(_) => vec![public],
                Host::Address(ip) => {
                    vec![Address { ip: *ip, is_this_host: false, is_pinned: false }]
                }
            };
            decide(&policy, &Target { host, port: 443 }, &addresses)
        });
        let is_allowed = matches!(verdict, Some(Verdict::Allowed(_)));
        assert_eq!(is_allowed, oracle(&host), "{host:?}: {verdict:?}");
        allowed += usize::from(is_allowed);
        if turn % 8 != 0 {
            continue;
        }
        // With a port, as CONNECT has it: nothing else becomes of it.
        let with_port = Target::parse(&format!("{host}:443"), None);
        let passes =
            with_port.is_ok_and(|target| target.port == 443 && policy.admit(&target).is_ok());
        assert!(!passes || is_allowed, "{host:?}");
    }
    // The generator makes enough of either kind for this to mean something.
    assert!((HOSTS / 20..HOSTS * 3 / 4).contains(&allowed), "{allowed}");
}
