//! What a sandbox sees, and what it cannot.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use sandbar_runtime::{LaunchError, Runtime};
use sandbar_types::{HostPath, IsolationLevel, ToolchainPolicy, WorkspacePath};

use crate::rig::{Rig, host_mounts, read, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_inside_is_in_the_upper_layer_and_not_in_the_source() {
    let rig = Rig::new();
    let spec = rig.spec();
    let mounts = host_mounts();
    rig.launch(&spec).await;
    assert_eq!(
        rig.shell(&spec, "id -u; pwd; cat readme; echo new > readme; cat readme; touch made; ls")
            .await,
        format!("1000\n{}\noldnew\nmade\nreadme\nsrc\n", spec.workspace_path)
    );
    assert_eq!(read(rig.source().join("readme")), "old");
    assert_eq!(read(spec.dir.0.join("upper/readme")), "new\n");
    assert_eq!(host_mounts(), mounts, "nothing enters the host's mount table");
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_report_says_is_what_the_kernel_says() {
    let rig = Rig::new();
    let spec = rig.spec();
    let launched = rig.launch(&spec).await;
    let (report, pid) = (&launched.isolation, launched.supervisor_pid);
    assert_eq!(report.level, IsolationLevel::Full, "{:?}", report.weaknesses);
    assert_eq!(status(pid, "Seccomp").unwrap(), "2");
    assert_eq!(status(pid, "NoNewPrivs").unwrap(), "1");
    assert_eq!(status(pid, "CapEff").unwrap(), report.supervisor_capabilities);
    assert_eq!(status(pid, "CapBnd").unwrap(), "0000000000000000");
    let base = launched.uid_base.unwrap();
    assert_eq!(report.uid_map, [format!("0 {base} 65535")]);
    assert!(report.landlock_abi > 0);
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_host_is_inside_that_was_not_listed() {
    let rig = Rig::new();
    std::fs::write(rig.dir.path().join("canary"), "canary").unwrap();
    let spec = rig.spec();
    rig.launch(&spec).await;
    let around = rig.dir.path().display();
    assert_eq!(
        rig.shell(
            &spec,
            &format!(
                "ls {around}; ls -A / | tr '\\n' ' '; ls /sys /boot /root /var 2>&1 | tr '\\n' ' '"
            )
        )
        .await,
        "shop\nbin dev etc home lib lib64 proc run sbin tmp usr var ls: cannot access '/sys': No such file or directory ls: cannot access '/boot': No such file or directory ls: cannot access '/root': No such file or directory /var: tmp "
    );
    assert_eq!(
        rig.shell(
            &spec,
            "cat /etc/shadow /etc/machine-id /proc/cmdline /proc/kallsyms 2>&1 | grep -vc 'No such file'"
        ).await,
        "0\n"
    );
    assert_eq!(
        rig.shell(
            &spec,
            &format!("grep -c '{}' /proc/self/mountinfo; true", rig.config.data_dir.display())
        )
        .await,
        "0\n"
    );
    assert_eq!(
        rig.shell(&spec, "hostname; cat /proc/sys/kernel/random/boot_id | wc -c").await,
        "shop\n37\n"
    );
    assert_ne!(
        rig.shell(&spec, "cat /proc/sys/kernel/random/boot_id").await,
        read("/proc/sys/kernel/random/boot_id")
    );
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usual_ways_out_are_shut() {
    let rig = Rig::new();
    let spec = rig.spec();
    rig.launch(&spec).await;
    for attempt in [
        "unshare -U true",
        "unshare -r true",
        "mount -t tmpfs none /tmp",
        "touch /etc/x",
        "touch /usr/x",
        "touch /x",
        "touch /dev/x",
        "mknod n c 1 3",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo 1 > /proc/sysrq-trigger",
        "kill -9 1",
        "cat /proc/1/environ",
        "ls /proc/1/root/",
        "echo 5 > /proc/sys/user/max_user_namespaces",
        "chroot / true",
    ] {
        assert_eq!(
            rig.shell(&spec, &format!("({attempt}) >/dev/null 2>&1 && echo done || echo refused"))
                .await,
            "refused\n",
            "{attempt}"
        );
    }
    // Signals of its own are lost on process 1; it still answers.
    assert_eq!(rig.shell(&spec, "echo here").await, "here\n");
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn setuid_bits_give_nothing_and_belong_to_nobody_outside() {
    let rig = Rig::new();
    let spec = rig.spec();
    let launched = rig.launch(&spec).await;
    rig.shell(&spec, "cp /bin/sh mine; chmod 4755 mine").await;
    let made = std::fs::metadata(spec.dir.0.join("upper/mine")).unwrap();
    assert_eq!(made.uid(), launched.uid_base.unwrap() + 1000);
    assert_eq!(std::fs::metadata(&spec.dir.0).unwrap().permissions().mode() & 0o777, 0o700);
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_the_scope_nothing_can_be_written() {
    let rig = Rig::new();
    let mut spec = rig.spec();
    spec.scope = Some(WorkspacePath::parse("src").unwrap());
    rig.launch(&spec).await;
    assert_eq!(
        rig.shell(
            &spec,
            "touch src/a && echo src; (touch b) 2>/dev/null || echo refused; cat readme"
        )
        .await,
        "src\nrefused\nold"
    );
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_may_hold_the_workspace_and_the_workspace_the_home() {
    let rig = Rig::new();
    let mut below = rig.spec();
    below.workspace_path = HostPath::parse("/home/ada/code/shop").unwrap();
    rig.launch(&below).await;
    assert_eq!(
        rig.shell(&below, "pwd; cat readme; touch ~/kept ~/code/beside && ls ~ ~/code").await,
        "/home/ada/code/shop\nold/home/ada:\ncode\nkept\n\n/home/ada/code:\nbeside\nshop\n"
    );
    assert!(below.dir.0.join("home/kept").exists());
    rig.stop(&below).await;
    let mut above = rig.spec();
    above.workspace_path = HostPath::parse("/home/ada").unwrap();
    above.caller.home = above.workspace_path.clone();
    rig.launch(&above).await;
    assert_eq!(rig.shell(&above, "pwd; cat ~/readme").await, "/home/ada\nold");
    rig.stop(&above).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_without_a_source_begins_empty() {
    let rig = Rig::new();
    let mut spec = rig.spec();
    spec.source = None;
    spec.workspace_path = HostPath::parse("/workspace").unwrap();
    rig.launch(&spec).await;
    assert_eq!(rig.shell(&spec, "ls -A; touch a && ls").await, "a\n");
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_a_user_is_the_agents_inside() {
    let rig = Rig::new();
    for path in ["shop", "shop/readme", "shop/src"] {
        std::os::unix::fs::chown(rig.dir.path().join(path), Some(4321), Some(4321)).unwrap();
    }
    std::fs::write(rig.source().join("roots"), "").unwrap();
    let spec = rig.spec();
    rig.launch(&spec).await;
    assert_eq!(
        rig.shell(&spec, "stat -c '%n %u %g' . readme roots; echo more >> readme && cat readme")
            .await,
        ". 1000 1000\nreadme 1000 1000\nroots 0 0\noldmore\n"
    );
    assert_eq!(read(rig.source().join("readme")), "old");
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_source_is_refused_with_the_reason() {
    let rig = Rig::with_pool(0);
    for (source, reason) in [
        ("/proc/sys".to_owned(), "proc"),
        (rig.dir.path().join("absent").display().to_string(), "No such file"),
        (rig.dir.path().display().to_string(), "server's own data"),
        (rig.source().join("readme").display().to_string(), "Not a directory"),
    ] {
        let mut spec = rig.spec();
        spec.source = Some(HostPath::parse(&source).unwrap());
        let Err(LaunchError::Source { what }) = rig.runtime().launch(spec).await else {
            panic!("{source} was taken")
        };
        assert!(what.contains(reason), "{what}");
    }
    for place in ["/", "/etc", "/proc/1", "/dev/shm"] {
        let mut spec = rig.spec();
        spec.workspace_path = HostPath::parse(place).unwrap();
        assert!(
            matches!(rig.runtime().launch(spec).await, Err(LaunchError::Source { .. })),
            "{place}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sandboxes_share_nothing_and_both_have_every_port() {
    let rig = Rig::with_pool(2);
    let (one, two) = (rig.spec(), rig.spec());
    let (launched_one, launched_two) = (rig.launch(&one).await, rig.launch(&two).await);
    assert_ne!(launched_one.uid_base, launched_two.uid_base);
    let serve = "python3 -c 'import socket,time; s=socket.socket(); s.bind((\"127.0.0.1\",80)); s.listen(); print(\"bound\", flush=True)' & echo x > /dev/shm/f; wait; ls /dev/shm; ls";
    for spec in [&one, &two] {
        assert_eq!(rig.shell(spec, serve).await, "bound\nf\nreadme\nsrc\n");
    }
    rig.shell(&one, "touch mine").await;
    assert_eq!(rig.shell(&two, "ls").await, "readme\nsrc\n");
    rig.stop(&one).await;
    rig.stop(&two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn toolchains_of_the_home_are_there_and_the_host_never_sees_a_write() {
    let rig = Rig::new();
    let home = rig.dir.path().join("home");
    std::fs::create_dir_all(home.join(".cargo/bin")).unwrap();
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    std::fs::write(home.join(".ssh/id"), "canary").unwrap();
    let tool = home.join(".cargo/bin/hello");
    std::fs::write(&tool, "#!/bin/sh\necho hello").unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = rig.spec();
    spec.toolchains = ToolchainPolicy::Known;
    spec.caller.home = HostPath::parse(&home).unwrap();
    spec.caller.path = format!("{}/.cargo/bin:/usr/bin", home.display());
    let launched = rig.launch(&spec).await;
    assert_eq!(
        rig.shell(
            &spec,
            "hello; ls -A ~; ls ~/.ssh 2>&1 | grep -c id; stat -c %u ~/.cargo/bin/hello"
        )
        .await,
        "hello\n.cargo\n0\n1000\n"
    );
    rig.shell(&spec, "echo changed > ~/.cargo/bin/hello; rm -rf ~/.cargo/bin").await;
    assert_eq!(read(&tool), "#!/bin/sh\necho hello");
    rig.stop(&spec).await;
    spec.uid_base = launched.uid_base;
    rig.launch(&spec).await;
    rig.stop(&spec).await;
}
