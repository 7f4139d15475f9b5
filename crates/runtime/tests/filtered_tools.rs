//! The tools of a toolchain, under the filter that sandboxes get. What is not installed is left out, and said.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that starts itself, puts the filter on, and starts the tools"
)]

use std::{env, path::Path, process::Command};

use sandbar_linux::capabilities::forbid_new_privileges;
use sandbar_runtime::native::seccomp_policy::default_program;

const DIR: &str = "SANDBAR_TEST_DIR";

/// Each a program that must be there, and a script of the shell.
const TOOLS: &[(&str, &str)] = &[
    (
        "sh",
        "set -e; for i in 1 2 3; do sleep 0 & done; wait; mkfifo pipe; ulimit -n 256; umask 077; kill -0 $$",
    ),
    (
        "bash",
        "bash -c 'set -m; (sleep 0) & wait; exec 3<>/dev/null; read -t 0.01 <<<x; diff <(echo a) <(echo a)'",
    ),
    (
        "git",
        "git init -q repo && cd repo && echo a > a && git add a && git -c user.name=a -c user.email=a@b commit -qm a \
        && git mv a b && git status --short && git gc -q && git fsck",
    ),
    (
        "cc",
        "printf '#include <stdio.h>\\nint main(void){return puts(\"x\")<0;}' > a.c && cc -O1 -pipe a.c -o a && ./a",
    ),
    ("make", "printf 'all: a b\\na b:\\n\\ttouch $@\\n' > Makefile && make -j2"),
    (
        "rustc",
        "echo 'fn main(){std::thread::spawn(||println!(\"x\")).join().unwrap()}' > r.rs && rustc r.rs && ./r",
    ),
    ("cargo", "cargo init -q --vcs none --name probe crate && cd crate && cargo test -q --offline"),
    (
        "python3",
        "python3 -c 'import asyncio, multiprocessing as m, sqlite3, subprocess, tempfile, socket; \
        m.get_context(\"fork\").Pool(2).map(abs, [1]); asyncio.run(asyncio.sleep(0)); sqlite3.connect(\"db\").execute(\"create table t(a)\"); \
        subprocess.run([\"true\"], check=True); socket.create_server((\"127.0.0.1\", 0)); socket.socketpair()'",
    ),
    (
        "node",
        "node -e 'const {Worker}=require(\"worker_threads\"),fs=require(\"fs\"),cp=require(\"child_process\"); \
        const w=fs.watch(\".\",()=>{}); cp.execFileSync(\"true\"); \
        require(\"http\").createServer().listen(0,\"127.0.0.1\",function(){this.close()}); \
        new Worker(\"1\",{eval:true}).on(\"exit\",()=>w.close())'",
    ),
    ("npm", "npm --version"),
    (
        "perl",
        "perl -e 'use Socket; socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die; fork // die; '",
    ),
    (
        "tar",
        "mkdir -p t && echo x > t/x && tar czf t.tgz t && tar xzf t.tgz -C /tmp --to-stdout > out && cmp out t/x",
    ),
    ("ps", "ps aux > out"),
    ("gdb", "gdb -batch -ex run --args /bin/true > out 2>&1 && ! grep 'Error disabling' out"),
    ("strace", "strace -f -o out /bin/true"),
    ("setpriv", "setpriv --dump"),
    ("openssl", "openssl genrsa -out key 1024"),
    ("java", "java -version"),
    ("go", "go version"),
];

/// What must not work, whoever tries.
const REFUSED: &[(&str, &str)] = &[
    ("unshare", "unshare -U true"),
    ("mount", "mount -t tmpfs none ."),
    ("chroot", "chroot / true"),
    ("keyctl", "keyctl show"),
];

fn is_installed(name: &str) -> bool {
    env::split_paths(&env::var_os("PATH").unwrap()).any(|dir| dir.join(name).is_file())
}

fn shell(dir: &Path, script: &str) -> std::process::Output {
    Command::new("/bin/sh").args(["-c", script]).current_dir(dir).output().unwrap()
}

#[test]
#[ignore = "the body of the test below, in a process of its own"]
fn under_the_filter() {
    let dir = std::path::PathBuf::from(env::var_os(DIR).unwrap());
    forbid_new_privileges().unwrap();
    default_program().install().unwrap();
    for (name, script) in TOOLS.iter().filter(|(name, _)| is_installed(name)) {
        let work = dir.join(name);
        std::fs::create_dir(&work).unwrap();
        let output = shell(&work, script);
        assert!(output.status.success(), "{name}: {output:?}");
        eprintln!("{name} works");
    }
    for (name, script) in REFUSED.iter().filter(|(name, _)| is_installed(name)) {
        assert!(!shell(&dir, script).status.success(), "{name} works");
    }
}

#[test]
fn the_tools_of_this_host_work_under_the_filter() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "under_the_filter", "--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("sh works"), "{said}");
    for (name, _) in TOOLS.iter().filter(|(name, _)| !is_installed(name)) {
        eprintln!("not installed, so not tried: {name}");
    }
}
