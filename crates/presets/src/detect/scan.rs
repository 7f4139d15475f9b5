//! Facts in source text, found without understanding it: a number after a word, a path in quotes.

/// LIMIT: characters between a word and its number.
const GAP_MAX: usize = 12;

/// The port that follows one of `words` in `text`, as in `PORT || 4000`, `listen(4000`, `port: 4000`, `--port=4000`.
pub(super) fn port_after(text: &str, words: &[&str]) -> Option<u16> {
    words.iter().find_map(|word| {
        text.match_indices(word).find_map(|(at, _)| number_in(&text[at + word.len()..]))
    })
}

/// The number at the beginning of `rest`, after nothing but what joins it to a name.
fn number_in(rest: &str) -> Option<u16> {
    let joins = |c: char| c.is_whitespace() || "=:(|?,\"'+)[]".contains(c);
    let gap = rest.chars().take_while(|c| joins(*c)).count();
    if gap == 0 || gap > GAP_MAX {
        return None;
    }
    port(&rest.chars().skip(gap).take_while(char::is_ascii_digit).collect::<String>())
}

/// The port of an address in quotes, as in `":8080"` and `"0.0.0.0:8080"`.
pub(super) fn port_of_address(text: &str) -> Option<u16> {
    text.match_indices(':').find_map(|(at, _)| {
        let digits: String = text[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        let ends = text[at + 1 + digits.len()..].starts_with(['"', '\'', '`']);
        let before = text[..at].rsplit(['"', '\'', '`']).next().unwrap_or_default();
        let is_host = before.len() <= 64
            && before.bytes().all(|b| b.is_ascii_alphanumeric() || b".[]:{}".contains(&b));
        port(&digits).filter(|_| ends && is_host)
    })
}

/// The first of `paths` that stands in `text` in quotes.
pub(super) fn quoted_path<'a>(text: &str, paths: &[&'a str]) -> Option<&'a str> {
    paths.iter().copied().find(|path| {
        ['"', '\'', '`'].iter().any(|quote| text.contains(&format!("{quote}{path}{quote}")))
    })
}

/// The name that `= call` is assigned to, as `app` in `app = Flask(__name__)`.
pub(super) fn assigned(text: &str, call: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (left, right) = line.split_once('=')?;
        let name = left.split(':').next()?.trim_end();
        let is_name = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let right = right.trim_start();
        let calls = right.starts_with(call)
            || right.split_once('.').is_some_and(|(_, rest)| rest.starts_with(call));
        (is_name && calls).then(|| name.to_owned())
    })
}

/// A number that a server of a project listens on.
pub(super) fn port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|port| *port >= 80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ports_are_found_where_programs_write_them() {
        for (text, expected) in [
            ("const port = process.env.PORT || 4000;", Some(4000)),
            ("app.listen(process.env.PORT ?? 8081)", Some(8081)),
            ("server: { port: 5175 }", Some(5175)),
            ("vite --port 4001 --host", Some(4001)),
            ("vite --port=4002", Some(4002)),
            ("listen(8080, () => {})", Some(8080)),
            ("support 99999", None),
            ("port: 0", None),
            ("transport5000", None),
            ("port: somewhere(4000)", None),
        ] {
            assert_eq!(port_after(text, &["PORT", "port", "listen"]), expected, "{text}");
        }
    }

    #[test]
    fn an_address_in_quotes_has_a_port() {
        for (text, expected) in [
            (r#"http.ListenAndServe(":8080", nil)"#, Some(8080)),
            (r#"TcpListener::bind("0.0.0.0:3000")"#, Some(3000)),
            (r#"bind("[::1]:3001")"#, Some(3001)),
            (r#"get("http://example.com:9000")"#, None),
            ("a ? 1 : 8080", None),
        ] {
            assert_eq!(port_of_address(text), expected, "{text}");
        }
    }

    #[test]
    fn an_app_is_known_by_the_name_it_is_given() {
        for (text, expected) in [
            ("app = Flask(__name__)", Some("app")),
            ("api: FastAPI = FastAPI()", Some("api")),
            ("x = flask.Flask(__name__)", Some("x")),
            ("a.b = Flask()", None),
            ("    app = Flask()", None),
            ("# app = Flask()", None),
        ] {
            let call = if text.contains("FastAPI") { "FastAPI(" } else { "Flask(" };
            assert_eq!(assigned(text, call).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_scanned(text in "(PORT|port|listen|[:=\"'|? ]|[0-9]{1,6}|\\PC){0,40}") {
            port_after(&text, &["PORT", "port", "listen"]);
            port_of_address(&text);
            assigned(&text, "Flask(");
            quoted_path(&text, &["/health"]);
        }
    }
}
