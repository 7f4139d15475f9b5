use proptest::prelude::*;

use super::*;

fn target(text: &str) -> Target {
    Target::parse(text, Some(443)).unwrap()
}

fn elsewhere(text: &str) -> Address {
    Address { ip: text.parse().unwrap(), is_this_host: false, is_pinned: false }
}

fn policy() -> Policy {
    Policy::new(Mode::AllowList)
        .allow("ok.example".parse().unwrap())
        .allow("*.wild.example:8443".parse().unwrap())
}

fn reason(verdict: Verdict) -> Reason {
    match verdict {
        Verdict::Denied(denial) => denial.reason,
        Verdict::Allowed(allowed) => panic!("allowed: {allowed:?}"),
    }
}

fn addresses(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Allowed(allowed) => allowed.addresses.iter().map(IpAddr::to_string).collect(),
        Verdict::Denied(denial) => panic!("denied: {denial:?}"),
    }
}

#[test]
fn what_is_not_on_the_list_is_refused_with_the_reason() {
    let public = [elsewhere("93.184.216.34")];
    let refused = |policy: &Policy, text: &str| reason(decide(policy, &target(text), &public));
    assert_eq!(refused(&policy(), "evil.example"), Reason::HostNotAllowed);
    assert_eq!(refused(&policy(), "ok.example:22"), Reason::PortNotAllowed);
    assert_eq!(refused(&policy(), "a.wild.example"), Reason::PortNotAllowed);
    assert_eq!(refused(&policy(), "93.184.216.34"), Reason::AddressLiteral);
    assert_eq!(
        refused(&Policy::new(Mode::None).allow("ok.example".parse().unwrap()), "ok.example"),
        Reason::NetworkNone
    );
    assert_eq!(refused(&Policy::default(), "registry.npmjs.org"), Reason::HostNotAllowed);
    assert_eq!(addresses(decide(&policy(), &target("ok.example:80"), &public)), ["93.184.216.34"]);
    assert_eq!(
        addresses(decide(&Policy::new(Mode::Open), &target("any.example:22"), &public)),
        ["93.184.216.34"]
    );
    assert_eq!(
        addresses(decide(&Policy::with_defaults(), &target("registry.npmjs.org"), &public)),
        ["93.184.216.34"]
    );
}

#[test]
fn of_a_mixed_answer_only_what_is_public_is_used() {
    let mixed = [
        elsewhere("127.0.0.1"),
        elsewhere("93.184.216.34"),
        elsewhere("::ffff:169.254.169.254"),
        elsewhere("::ffff:93.184.216.35"),
        Address { ip: "93.184.216.36".parse().unwrap(), is_this_host: true, is_pinned: false },
    ];
    for policy in [policy(), Policy::new(Mode::Open)] {
        assert_eq!(
            addresses(decide(&policy, &target("ok.example"), &mixed)),
            ["93.184.216.34", "93.184.216.35"]
        );
    }
}

#[test]
fn an_own_public_address_is_refused_like_a_loopback() {
    let own =
        Address { ip: "93.184.216.36".parse().unwrap(), is_this_host: true, is_pinned: false };
    assert_eq!(
        reason(decide(&Policy::new(Mode::Open), &target("me.example"), &[own])),
        Reason::SpecialAddress { address: own.ip, kind: AddressKind::ThisHost }
    );
}

#[test]
fn a_named_host_is_reached_at_a_private_address_with_its_port_alone() {
    let policy = policy().allow_private(target("mirror.example:8081"));
    for private in ["10.1.2.3", "127.0.0.1", "fd12::1", "100.64.0.1", "203.0.113.9"] {
        let decided = decide(&policy, &target("mirror.example:8081"), &[elsewhere(private)]);
        assert_eq!(addresses(decided), [private]);
    }
    let loopback = [elsewhere("127.0.0.1")];
    assert_eq!(
        reason(decide(&policy, &target("mirror.example:8082"), &loopback)),
        Reason::PortNotAllowed
    );
    assert!(matches!(
        reason(decide(&policy, &target("ok.example"), &loopback)),
        Reason::SpecialAddress { .. }
    ));
    // A name that is pointed at them gets nowhere, named or not.
    for never in [
        "169.254.169.254",
        "169.254.1.1",
        "fe80::1",
        "224.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "fd00:ec2::254",
    ] {
        let decided = decide(&policy, &target("mirror.example:8081"), &[elsewhere(never)]);
        assert!(matches!(reason(decided), Reason::SpecialAddress { .. }), "{never}");
    }
}

#[test]
fn an_address_that_is_named_itself_means_what_it_says() {
    let named = target("169.254.169.254:80");
    let policy = Policy::new(Mode::AllowList).allow_private(named.clone());
    assert_eq!(
        addresses(decide(&policy, &named, &[elsewhere("169.254.169.254")])),
        ["169.254.169.254"]
    );
    let nobody = target("0.0.0.0:80");
    let policy = Policy::new(Mode::AllowList).allow_private(nobody.clone());
    assert!(matches!(
        reason(decide(&policy, &nobody, &[elsewhere("0.0.0.0")])),
        Reason::SpecialAddress { .. }
    ));
}

#[test]
fn a_pinned_address_is_reached_beside_public_ones_where_the_name_may_be() {
    let pinned = |text: &str| Address { is_pinned: true, ..elsewhere(text) };
    let policy = Policy::new(Mode::AllowList).allow("ok.example".parse().unwrap());
    let all = [elsewhere("10.0.0.8"), pinned("10.0.0.7"), elsewhere("93.184.216.34")];
    assert_eq!(
        addresses(decide(&policy, &target("ok.example"), &all)),
        ["10.0.0.7", "93.184.216.34"]
    );
    assert_eq!(
        reason(decide(&policy, &target("evil.example"), &[pinned("10.0.0.7")])),
        Reason::HostNotAllowed
    );
    // A loopback or an address of the host is not where a network has a service, whoever pins it.
    assert!(matches!(
        reason(decide(&policy, &target("ok.example"), &[pinned("127.0.0.1")])),
        Reason::SpecialAddress { .. }
    ));
}

#[test]
fn what_an_operators_proxy_would_look_up_is_no_local_name() {
    let open = Policy::new(Mode::Open);
    for local in [
        "localhost",
        "printer",
        "db.corp",
        "a.internal",
        "metadata.google.internal",
        "x.home.arpa",
        "a.local",
    ] {
        assert_eq!(
            open.admit_unseen(&target(local)).unwrap_err().reason,
            Reason::LocalName,
            "{local}"
        );
    }
    assert_eq!(open.admit_unseen(&target("any.example")).unwrap(), "open");
    assert_eq!(open.admit_unseen(&target("notlocal.example")).unwrap(), "open");
    assert_eq!(
        policy().admit_unseen(&target("evil.example")).unwrap_err().reason,
        Reason::HostNotAllowed
    );
    let named = policy().allow_private(target("mirror.corp:443"));
    assert_eq!(named.admit_unseen(&target("mirror.corp")).unwrap(), "mirror.corp:443");
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    // Half of them near the special blocks, where a random one hardly ever falls.
    let near = proptest::sample::select(vec![
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.20.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "ff02::1",
    ]);
    prop_oneof![
        near.prop_map(|text| text.parse().unwrap()),
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
    ]
}

fn any_address() -> impl Strategy<Value = Address> {
    (any_ip(), proptest::bool::weighted(0.2)).prop_map(|(ip, is_this_host)| Address {
        ip,
        is_this_host,
        is_pinned: false,
    })
}

proptest! {
    #[test]
    fn no_answer_leads_to_what_nobody_named(
        answer in proptest::collection::vec(any_address(), 0..6),
        is_open: bool,
    ) {
        let policy = if is_open { Policy::new(Mode::Open) } else { policy() };
        match decide(&policy, &target("ok.example"), &answer) {
            Verdict::Allowed(allowed) => {
                prop_assert!(!allowed.addresses.is_empty());
                for ip in allowed.addresses {
                    prop_assert_eq!(AddressKind::of(ip), AddressKind::Public);
                    prop_assert!(answer.iter().any(|a| a.ip.to_canonical() == ip && !a.is_this_host));
                }
            }
            Verdict::Denied(denial) => prop_assert!(
                answer.iter().all(|a| a.is_this_host || AddressKind::of(a.ip) != AddressKind::Public),
                "{:?}", denial
            ),
        }
    }

    #[test]
    fn what_is_not_admitted_is_never_allowed(text in "[a-z.]{1,16}", answer in any_address()) {
        if let Ok(target) = Target::parse(&text, Some(443)) {
            let is_admitted = policy().admit(&target).is_ok();
            let is_allowed = matches!(decide(&policy(), &target, &[answer]), Verdict::Allowed(_));
            prop_assert!(is_admitted || !is_allowed);
        }
    }
}

#[test]
fn a_rule_that_denies_is_before_every_rule_that_allows() {
    let denying = policy().deny("ok.example".parse().unwrap());
    let public = [elsewhere("93.184.216.34")];
    for policy in [denying.clone(), denying.with_mode(Mode::Open)] {
        for port in [443, 80, 22] {
            let asked = target(&format!("ok.example:{port}"));
            assert_eq!(reason(decide(&policy, &asked, &public)), Reason::DeniedByRule);
        }
        assert!(policy.ports_of(&"ok.example".parse().unwrap()).is_empty());
    }
    let one_port = policy().deny("ok.example:80".parse().unwrap());
    assert!(one_port.admit(&target("ok.example:443")).is_ok());
    assert!(one_port.admit(&target("ok.example:80")).is_err());
    assert_eq!(one_port.ports_of(&"ok.example".parse().unwrap()), [443].into());
}

#[test]
fn case_62_only_the_ports_that_a_rule_names() {
    let public = [elsewhere("93.184.216.34")];
    let allowed: Vec<u16> = (1..=u16::MAX)
        .filter(|port| {
            let asked = Target { port: *port, ..target("ok.example") };
            matches!(decide(&policy(), &asked, &public), Verdict::Allowed(_))
        })
        .collect();
    assert_eq!(allowed, [80, 443]);
    for text in ["ok.example:0", "ok.example:65536", "ok.example:"] {
        assert!(Target::parse(text, None).is_err(), "{text}");
    }
}

#[test]
fn s9_by_default_a_list_is_what_is_reached_and_nothing_of_this_network_even_when_open() {
    assert_eq!(Mode::default(), Mode::AllowList);
    let public = [elsewhere("93.184.216.34")];
    let by_default = Policy::with_defaults();
    assert_eq!(
        reason(decide(&by_default, &target("example.com"), &public)),
        Reason::HostNotAllowed
    );
    let open = Policy::new(Mode::Open);
    for ip in
        ["192.168.1.1", "10.0.0.1", "172.17.0.1", "169.254.169.254", "127.0.0.1", "fd00:ec2::254"]
    {
        let refused = reason(decide(&open, &target("router.example"), &[elsewhere(ip)]));
        assert!(matches!(refused, Reason::SpecialAddress { .. }), "{ip}: {refused:?}");
    }
}

#[test]
fn what_is_in_a_tunnel_is_looked_at_where_the_web_is_and_nobody_said_otherwise() {
    let is_looked_at = |policy: &Policy, text: &str| policy.requires_name(&target(text));
    assert!(is_looked_at(&policy(), "ok.example:443"));
    assert!(!is_looked_at(&policy(), "a.wild.example:8443"));
    assert!(!is_looked_at(&policy().with_mode(Mode::Open), "ok.example:443"));
    let opaque = policy().allow("opaque:ok.example:443".parse().unwrap());
    assert!(!is_looked_at(&opaque, "ok.example:443"));
    assert!(is_looked_at(&opaque, "other.example:443"));
}
