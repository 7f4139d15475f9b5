use super::*;

#[test]
fn findings_read_back_as_they_were_written() {
    let finding = Finding::degraded("landlock", "none").hint("use another kernel");
    let text = serde_json::to_string(&finding).unwrap();
    assert_eq!(
        text,
        r#"{"code":"landlock","verdict":"degraded","message":"none","hint":"use another kernel"}"#
    );
    assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding);
}

#[test]
fn a_program_that_is_no_probe_is_a_finding_and_not_an_error() {
    let data = tempfile::tempdir().unwrap();
    for program in ["/bin/true", "/bin/false", "/no/such/program"] {
        let found = throwaway::run(Path::new(program), "seccomp", data.path());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].code.as_str(), found[0].verdict), ("seccomp", Verdict::Missing));
    }
}

#[test]
fn v10_commands_of_the_host_are_looked_up_and_never_needed() {
    let found = host::commands();
    assert_eq!(found.verdict, Verdict::Ok);
    assert!(found.message.contains("git") && found.message.contains("diff"), "{}", found.message);
}

#[test]
fn what_is_read_of_this_host_makes_sense() {
    let data = tempfile::tempdir().unwrap();
    let mut found = vec![host::kernel(), host::mode(), host::ids(), host::inotify(), host::fuse()];
    found.extend(host::file_system(data.path()));
    found.extend(host::file_system(Path::new("/no/such/directory")));
    for one in &found {
        assert!(!one.message.is_empty());
        assert!(
            one.verdict == Verdict::Ok || one.hint.is_some() || one.code == "data_file_system",
            "{one:?}"
        );
    }
    let instance = format!("doctor{}", std::process::id());
    let limits = limits::examine(&instance);
    assert!(limits.iter().any(|one| one.code == "cgroups"), "{limits:?}");
    crate::native::cgroup::Hierarchies::discover().unwrap().remove_instance(&instance).unwrap();
}
