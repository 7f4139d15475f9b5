//! Refusals as people and programs read them. Pure.

use std::{fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, Response, header, request::Parts};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{body::PreviewBody, refusal::Refusal, upstreams::Progress};

/// LIMIT: lines of an app's log on a page.
const LIMIT_LINES: usize = 40;
/// LIMIT: characters of one of them.
const LIMIT_LINE: usize = 400;

const STYLE: &str = include_str!("page/style.css");

/// Nothing but our own style: no script, no image, nothing from elsewhere.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    HeaderValue::from_str(&format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
    ))
    .expect("base64 is fit for a header")
});

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A person, at a browser that goes to a page.
    Person,
    /// Anything else: a program, a script of a page, an image.
    Program,
}

impl Reader {
    pub(crate) fn of(parts: &Parts) -> Self {
        let says = |name: &str, wanted: &str| {
            parts
                .headers
                .get(name)
                .map(|value| value.as_bytes().eq_ignore_ascii_case(wanted.as_bytes()))
        };
        let takes_html = parts
            .headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
        let is_get = matches!(parts.method, Method::GET | Method::HEAD);
        // Browsers that do not say what they do are judged by what they take.
        let goes_there = says("sec-fetch-mode", "navigate").unwrap_or(true);
        if is_get && takes_html && goes_there { Self::Person } else { Self::Program }
    }
}

/// The answer for a refusal.
pub(crate) fn render(refusal: &Refusal, reader: Reader) -> Response<PreviewBody> {
    let (kind, body) = match reader {
        Reader::Person => ("text/html; charset=utf-8", html(refusal)),
        Reader::Program => ("application/problem+json", problem(refusal)),
    };
    let mut response = Response::new(PreviewBody::own(body));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
    }
    if matches!(refusal, Refusal::BadRequest(_)) {
        // Whoever sent it may not agree with us where the next request begins.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    quiet(headers);
    response
}

/// An answer of ours stays with whom it is for.
pub(crate) fn quiet(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn problem(refusal: &Refusal) -> String {
    let mut problem = json!({
        "type": format!("urn:sandbar:error:{}", refusal.code()),
        "title": refusal.title(),
        "status": refusal.status().as_u16(),
        "code": refusal.code(),
        "message": refusal.to_string(),
    });
    if let Some(hint) = refusal.hint() {
        problem["hint"] = hint.into();
    }
    match refusal {
        Refusal::NotListening { wanted, listening } => {
            problem["details"] = json!({ "wanted": wanted, "listening": listening });
        }
        Refusal::Starting(progress) | Refusal::StartTimeout(progress) => {
            problem["details"] = json!({ "step": progress.step, "last_lines": lines(refusal) });
        }
        Refusal::Failed { .. } => problem["details"] = json!({ "last_lines": lines(refusal) }),
        Refusal::BadRequest(_)
        | Refusal::Method
        | Refusal::Misdirected
        | Refusal::Unknown
        | Refusal::Unauthorized(_)
        | Refusal::ForeignOrigin
        | Refusal::NoPreview
        | Refusal::Stopped
        | Refusal::App
        | Refusal::Internal => {}
    }
    problem.to_string()
}

fn html(refusal: &Refusal) -> String {
    let (reload, moving) = match refusal {
        Refusal::Starting(_) => {
            (r#"<meta http-equiv="refresh" content="1">"#, r#"<div class="bar"><i></i></div>"#)
        }
        Refusal::BadRequest(_)
        | Refusal::Method
        | Refusal::Misdirected
        | Refusal::Unknown
        | Refusal::Unauthorized(_)
        | Refusal::ForeignOrigin
        | Refusal::NoPreview
        | Refusal::StartTimeout(_)
        | Refusal::Stopped
        | Refusal::Failed { .. }
        | Refusal::NotListening { .. }
        | Refusal::App
        | Refusal::Internal => ("", ""),
    };
    let title = refusal.title();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">{reload}\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{moving}"
    );
    paragraph(&mut page, "what", &said(refusal));
    if let Some(hint) = refusal.hint() {
        paragraph(&mut page, "hint", hint);
    }
    let lines = lines(refusal);
    if !lines.is_empty() {
        page.push_str("<pre>");
        for line in lines {
            escape(&mut page, &line);
            page.push('\n');
        }
        page.push_str("</pre>");
    }
    writeln!(page, "<footer>{}</footer></main></body></html>", refusal.code())
        .expect("a String takes all that is written to it");
    page
}

fn said(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Starting(Progress { step, .. }) if !step.is_empty() => step.clone(),
        Refusal::Starting(_) => "The sandbox is starting. This page reloads by itself.".to_owned(),
        Refusal::BadRequest(_)
        | Refusal::Method
        | Refusal::Misdirected
        | Refusal::Unknown
        | Refusal::Unauthorized(_)
        | Refusal::ForeignOrigin
        | Refusal::NoPreview
        | Refusal::StartTimeout(_)
        | Refusal::Stopped
        | Refusal::Failed { .. }
        | Refusal::NotListening { .. }
        | Refusal::App
        | Refusal::Internal => refusal.to_string(),
    }
}

fn paragraph(page: &mut String, class: &str, text: &str) {
    page.push_str("<p class=\"");
    page.push_str(class);
    page.push_str("\">");
    escape(page, text);
    page.push_str("</p>");
}

/// The last lines that fit, without the colors and movements of a terminal.
fn lines(refusal: &Refusal) -> Vec<String> {
    let all = refusal.last_lines();
    all[all.len().saturating_sub(LIMIT_LINES)..].iter().map(|line| plain(line)).collect()
}

fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    let mut left = LIMIT_LINE;
    while let Some(char) = chars.next() {
        if left == 0 {
            out.push('…');
            break;
        }
        if char == '\u{1b}' {
            // `ESC [ parameters letter`; of another sequence only the ESC goes.
            if chars.as_str().starts_with('[') {
                chars.by_ref().skip(1).find(char::is_ascii_alphabetic);
            }
        } else if char == '\t' || !char.is_control() {
            out.push(char);
            left -= 1;
        }
    }
    out
}

fn escape(page: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            char => page.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};
    use proptest::prelude::*;

    use super::*;

    fn reader(method: Method, headers: &[(&str, &str)]) -> Reader {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reader::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_person_is_who_goes_to_a_page() {
        let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        assert_eq!(reader(Method::GET, &[html]), Reader::Person);
        assert_eq!(reader(Method::GET, &[html, ("sec-fetch-mode", "navigate")]), Reader::Person);
        assert_eq!(reader(Method::GET, &[html, ("sec-fetch-mode", "cors")]), Reader::Program);
        assert_eq!(reader(Method::POST, &[html]), Reader::Program);
        assert_eq!(reader(Method::GET, &[("accept", "*/*")]), Reader::Program);
        assert_eq!(reader(Method::GET, &[]), Reader::Program);
    }

    #[test]
    fn s3_the_page_of_a_sandbox_that_wakes_is_503_with_retry_after() {
        let refusal = Refusal::Starting(Progress::default());
        for reader in [Reader::Person, Reader::Program] {
            let response = render(&refusal, reader);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()["retry-after"], "1");
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
        assert!(html(&refusal).contains(r#"http-equiv="refresh""#));
    }

    #[test]
    fn what_an_app_wrote_is_text_and_nothing_else() {
        let last_lines = vec![
            "<script>alert(1)</script>".to_owned(),
            "\u{1b}[31mred\u{1b}[0m\u{7}".to_owned(),
            "x".repeat(1000),
        ];
        let page = html(&Refusal::Failed { reason: "\"<b>'".to_owned(), last_lines });
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;\nred\n"), "{page}");
        assert!(
            page.contains("&quot;&lt;b&gt;&#39;") && !page.contains(&"x".repeat(401)),
            "{page}"
        );
    }

    #[test]
    fn a_program_gets_what_it_can_act_on() {
        let refusal = Refusal::NotListening { wanted: 3000, listening: vec![5173] };
        let problem: serde_json::Value = serde_json::from_str(&problem(&refusal)).unwrap();
        assert_eq!(problem["code"], "preview_not_listening");
        assert_eq!(problem["message"], "nothing listens on port 3000; the app listens on 5173");
        assert_eq!(problem["details"], json!({ "wanted": 3000, "listening": [5173] }));
    }

    proptest! {
        #[test]
        fn no_line_opens_a_tag(line: String) {
            let mut page = String::new();
            escape(&mut page, &plain(&line));
            let is_bare = page.contains(['<', '>', '"', '\'', '\u{1b}']);
            prop_assert!(!is_bare);
        }
    }
}
