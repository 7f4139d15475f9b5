//! Every Java of the host believes what the other programs of a sandbox believe: where a key is put in, and where not.

use std::{fs, path::PathBuf};

use sandbar_host_tests::{Planted, Project, ServedModel};

/// Asks for each address, and says with which status it was answered.
const ASK: &str = r#"
import java.net.URI;
import javax.net.ssl.HttpsURLConnection;

class Ask {
    public static void main(String[] addresses) throws Exception {
        for (String address : addresses) {
            var connection = (HttpsURLConnection) URI.create(address).toURL().openConnection();
            connection.setRequestProperty("x-api-key", System.getenv("ANTHROPIC_API_KEY"));
            System.out.println(connection.getResponseCode());
        }
    }
}
"#;

/// Those that can run a source as it is.
fn javas() -> Vec<PathBuf> {
    let dirs = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let dirs = dirs.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let dirs = dirs.map(|entry| entry.path().join("bin"));
    dirs.filter(|dir| dir.join("javac").exists()).map(|dir| dir.join("java")).collect()
}

#[test]
fn java_believes_who_puts_a_key_in_and_everybody_else_as_before() {
    let javas = javas();
    if javas.is_empty() {
        eprintln!(
            "SKIPPED: no Java is installed that runs a source (apt-get install default-jdk-headless)"
        );
        return;
    }
    let model = ServedModel::start();
    let server = model.server(&[]);
    let project = Project::new().file("Ask.java", ASK);
    let key = Planted("planted-java-0c8e41b7d5f2".to_owned());
    let file = project.path().join("key");
    fs::write(&file, &key.0).expect("a file");
    let mut connect = server.cli(project.path(), &["agents", "connect", "claude-code"]);
    let connect = connect.arg("--key-stdin").stdin(fs::File::open(&file).expect("it is ours"));
    let connected = connect.output().expect("the binary is built");
    assert!(connected.status.success(), "{connected:?}");
    fs::remove_file(file).expect("it is ours");
    let sandbox = server.create(&project);
    let allowed = server.sandbar(project.path(), &["net", "allow", &sandbox, "api.openai.com"]);
    assert!(allowed.status.success(), "{allowed:?}");
    for java in javas {
        let java = java.display();
        let asked = "https://api.anthropic.com/v1/models https://api.openai.com/v1/models";
        let said = server.exec(&sandbox, &["sh", "-c", &format!("{java} Ask.java {asked}")]);
        assert_eq!(said["stdout"]["text"], "200\n200\n", "{java}: {said}");
        assert_eq!(said["stderr"]["text"], "", "nothing is said about it: {java}");
        let listed = format!(
            "{java} -version 2>/dev/null && keytool=$(dirname {java})/keytool && \
             $keytool -list -cacerts -storepass changeit 2>/dev/null | grep -c trustedCertEntry"
        );
        let count = server.sh(&sandbox, &listed);
        assert!(count.trim().parse::<u32>().is_ok_and(|count| count >= 2), "{java}: {count}");
    }
    let got = model.requests();
    let keys = got.iter().filter(|request| request.header("x-api-key") == Some(&key.0));
    assert!(keys.count() > 0, "the upstream got the key: {got:?}");
}
