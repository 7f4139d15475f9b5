use http::Request;

use super::*;
use crate::preview::PreviewDomain;

const NOW: u64 = 1_800_000_000;
const ORIGIN: &str = "http://3000-shop.preview.localhost:7070";

struct Door {
    key: AccessKey,
    spent: Mutex<Spent>,
    sandbox: SandboxId,
    started: u64,
}

impl Door {
    fn new() -> Self {
        let sandbox = SandboxId::generate();
        Self { key: AccessKey::new([7; 32]), spent: Mutex::default(), sandbox, started: NOW - 100 }
    }

    fn names(scheme: Scheme) -> Names {
        let host = "3000-shop.preview.localhost:7070".parse().unwrap();
        Names::read(&host, scheme, &PreviewDomain::default()).unwrap()
    }

    fn pass(&self, kind: PassKind, expires: u64) -> String {
        let subject = Subject { host: "3000-shop.preview.localhost", sandbox: self.sandbox };
        self.key.sign(subject, Pass { kind, expires, nonce: [1; 16] })
    }

    fn ask(&self, now: u64, request: http::request::Builder) -> Result<Admission, Refusal> {
        self.ask_by(Scheme::Http, now, request)
    }

    fn ask_by(
        &self,
        scheme: Scheme,
        now: u64,
        request: http::request::Builder,
    ) -> Result<Admission, Refusal> {
        let gate = Gate {
            key: &self.key,
            spent: &self.spent,
            now,
            started: self.started,
            nonce: || [2; 16],
        };
        gate.admit(&request.body(()).unwrap().into_parts().0, &Self::names(scheme), self.sandbox)
    }
}

fn cookie_of(admission: Admission) -> (String, String) {
    let Admission::ComeAgain { location, cookie: Some(cookie) } = admission else {
        panic!("{admission:?}")
    };
    (location, cookie.to_str().unwrap().to_owned())
}

#[test]
fn a_ticket_is_exchanged_once_for_a_cookie() {
    let door = Door::new();
    let ticket = door.pass(PassKind::Ticket, NOW + 30);
    let url = format!("//evil.com/a?x=1&sandbar_ticket={ticket}&y=%20");
    let ask = || Request::get(format!("http://h{url}"));
    let (location, cookie) = cookie_of(door.ask(NOW, ask()).unwrap());
    assert_eq!(location, format!("{ORIGIN}//evil.com/a?x=1&y=%20"));
    let (pair, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; Max-Age=43200; HttpOnly; SameSite=Lax");
    assert_eq!(door.ask(NOW, ask()), Err(Refusal::Unauthorized(Some(PassError::Spent))));
    // Who has the cookie already may reload the link.
    let again =
        door.ask(NOW + 60, ask().header("cookie", format!("sandbar_preview=planted; {pair}")));
    assert!(matches!(again, Ok(Admission::ComeAgain { cookie: None, .. })), "{again:?}");
    let with_cookie = || Request::get("/").header("cookie", pair);
    assert_eq!(door.ask(NOW + 43_199, with_cookie()), Ok(Admission::Pass));
    assert_eq!(
        door.ask(NOW + 43_200, with_cookie()),
        Err(Refusal::Unauthorized(Some(PassError::Expired)))
    );
}

#[test]
fn a_ticket_is_good_for_thirty_seconds_and_not_after_a_restart() {
    let mut door = Door::new();
    let uri = format!("/?sandbar_ticket={}", door.pass(PassKind::Ticket, NOW + 30));
    assert_eq!(
        door.ask(NOW + 30, Request::get(&uri)),
        Err(Refusal::Unauthorized(Some(PassError::Expired)))
    );
    door.started = NOW + 1;
    assert_eq!(
        door.ask(NOW + 2, Request::get(&uri)),
        Err(Refusal::Unauthorized(Some(PassError::Spent)))
    );
    door.started = NOW;
    assert!(door.ask(NOW + 2, Request::get(&uri)).is_ok());
}

#[test]
fn a_share_link_works_until_it_expires_and_so_do_its_cookies() {
    let door = Door::new();
    let uri = format!("/?sandbar_ticket={}", door.pass(PassKind::Share, NOW + 600));
    for _ in 0..3 {
        let (location, cookie) = cookie_of(door.ask(NOW, Request::get(&uri)).unwrap());
        assert_eq!(location, format!("{ORIGIN}/"));
        assert!(cookie.contains("Max-Age=600;"), "{cookie}");
    }
    assert_eq!(
        door.ask(NOW + 600, Request::get(&uri)),
        Err(Refusal::Unauthorized(Some(PassError::Expired)))
    );
}

#[test]
fn behind_tls_the_cookie_is_of_this_host_and_no_other() {
    let door = Door::new();
    let uri = format!("/?sandbar_ticket={}", door.pass(PassKind::Share, NOW + 600));
    let (_, cookie) = cookie_of(door.ask_by(Scheme::Https, NOW, Request::get(&uri)).unwrap());
    assert!(
        cookie.starts_with("__Host-sandbar_preview=c.") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
}

#[test]
fn each_kind_opens_its_own_door_alone() {
    let door = Door::new();
    let cookie = door.pass(PassKind::Cookie, NOW + 600);
    let in_url = Request::get(format!("/?sandbar_ticket={cookie}"));
    assert_eq!(door.ask(NOW, in_url), Err(Refusal::Unauthorized(Some(PassError::Wrong))));
    let share = door.pass(PassKind::Share, NOW + 600);
    let in_cookie = Request::get("/").header("cookie", format!("sandbar_preview={share}"));
    assert_eq!(door.ask(NOW, in_cookie), Err(Refusal::Unauthorized(Some(PassError::Wrong))));
    let posted = Request::post(format!("/?sandbar_ticket={share}"));
    assert_eq!(door.ask(NOW, posted), Err(Refusal::Unauthorized(None)));
    assert_eq!(door.ask(NOW, Request::get("/")), Err(Refusal::Unauthorized(None)));
}

#[test]
fn another_site_changes_nothing_and_opens_no_web_socket() {
    let door = Door::new();
    let cookie = format!("sandbar_preview={}", door.pass(PassKind::Cookie, NOW + 600));
    let post = |origin: &str| Request::post("/").header("cookie", &cookie).header("origin", origin);
    let socket = |origin: &str| {
        let ask = Request::get("/").header("cookie", &cookie).header("origin", origin);
        ask.header("connection", "upgrade").header("upgrade", "websocket")
    };
    assert_eq!(door.ask(NOW, post(ORIGIN)), Ok(Admission::Pass));
    assert_eq!(door.ask(NOW, socket(ORIGIN)), Ok(Admission::Pass));
    let at_home = post("null").header("sec-fetch-site", "same-origin");
    assert_eq!(door.ask(NOW, at_home), Ok(Admission::Pass));
    assert_eq!(door.ask(NOW, Request::post("/").header("cookie", &cookie)), Ok(Admission::Pass));
    for foreign in ["http://evil.com", "null", "http://3001-shop.preview.localhost:7070"] {
        assert_eq!(door.ask(NOW, post(foreign)), Err(Refusal::ForeignOrigin), "{foreign}");
        assert_eq!(door.ask(NOW, socket(foreign)), Err(Refusal::ForeignOrigin), "{foreign}");
        let read = Request::get("/").header("cookie", &cookie).header("origin", foreign);
        assert_eq!(door.ask(NOW, read), Ok(Admission::Pass), "{foreign}");
    }
}
