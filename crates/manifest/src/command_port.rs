//! The ports that a command line names, as far as they can be told from outside.

/// Ports that the command asks a server to listen on: `--port 5173`, `-p 5173`, `PORT=5173`, `0.0.0.0:5173`.
pub(crate) fn stated_ports(command: &str) -> Vec<u16> {
    let mut ports = Vec::new();
    let is_break = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')');
    let mut before = "";
    for word in command.split(is_break) {
        let word = word.trim_matches(['"', '\'']);
        ports.extend(stated(before, word));
        before = word;
    }
    ports
}

fn stated(before: &str, word: &str) -> Option<u16> {
    if matches!(before, "--port" | "-p" | "-P") {
        return port(word);
    }
    for flag in ["--port=", "PORT=", "-p="] {
        if let Some(number) = word.strip_prefix(flag) {
            return port(number.trim_matches(['"', '\'']));
        }
    }
    if let Some(number) = word.strip_prefix("-p")
        && let Some(port) = port(number)
    {
        return Some(port);
    }
    // `--bind=0.0.0.0:8000` as well as `0.0.0.0:8000`; an address elsewhere is one that is called, not served.
    let address = word.rsplit('=').next().unwrap_or(word);
    let (host, number) = address.rsplit_once(':')?;
    matches!(host, "" | "*" | "0.0.0.0" | "127.0.0.1" | "localhost" | "[::]" | "[::1]")
        .then(|| port(number))
        .flatten()
}

fn port(number: &str) -> Option<u16> {
    number.parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_where_servers_are_told_them() {
        for (command, ports) in [
            ("vite --port 5173", &[5173][..]),
            ("vite --port=5173 --host", &[5173]),
            ("next dev -p 4000", &[4000]),
            ("next dev -p4000", &[4000]),
            ("PORT=8080 node server.js", &[8080]),
            ("export PORT='8080'; node server.js", &[8080]),
            ("python manage.py runserver 0.0.0.0:8000", &[8000]),
            ("python manage.py runserver :8000", &[8000]),
            ("gunicorn --bind=127.0.0.1:8000 app", &[8000]),
            ("(a --port 1)&&b --port 2", &[1, 2]),
            ("pnpm dev", &[]),
            ("node server.js --api http://localhost:9000/api", &[]),
            ("node server.js --database db.example.org:5432", &[]),
            ("PORT=$PORT node server.js", &[]),
            ("mkdir -p dist && vite", &[]),
            ("x --port 99999", &[]),
        ] {
            assert_eq!(stated_ports(command), ports, "{command}");
        }
    }
}
