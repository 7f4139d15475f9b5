//! Changes one app again and again, and checks whenever the server died that it kept what it had acknowledged.
//!
//! usage: `hammer <socket> <app> <name> <acknowledgements> <end>`
//!
//! `name` is that of its own settings and apps, so that it alone knows what they must be; the app itself, its sandbox and
//! the key of all secrets are everybody's. A line is added to the file `acknowledgements` for each change that the server
//! has acknowledged. It ends when the file `end` is there, with success where nothing was lost.

#![expect(clippy::print_stderr, reason = "who started it reads why it failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use sandbar_host_tests::{Reply, ask, eventually};
use serde_json::{Value, json};

/// Names of settings, so that each is made, changed and removed many times.
const KEYS: u64 = 6;
const APPS: u64 = 4;

struct Hammer {
    socket: PathBuf,
    app: String,
    name: String,
    log: File,
    random: u64,
    /// What each setting of ours is; a secret is here as the generation that it has.
    settings: BTreeMap<String, Value>,
    /// The apps of ours that are there.
    apps: BTreeSet<String>,
    /// The sandbox that we made last, where it must be there.
    sandbox: Option<String>,
    /// Generations of the app that a change of ours got.
    generations: BTreeSet<u64>,
    turn: u64,
}

impl Hammer {
    fn choose(&mut self, below: u64) -> u64 {
        // xorshift64*: the same run for the same name.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) % below
    }

    /// The answer, or `None` where nobody knows what became of the request.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Option<Reply> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = ask(&self.socket, method, path, &[], body.as_bytes()).ok()?;
        (reply.status != 0 && reply.status < 500).then_some(reply)
    }

    /// Looks until the server answers.
    fn look(&self, path: &str) -> Reply {
        eventually("the server is there again", Duration::from_mins(1), || {
            self.ask("GET", path, &Value::Null).ok_or(())
        })
    }

    fn acknowledged(&mut self, what: &str) {
        writeln!(self.log, "{what}").expect("the log can be written");
    }

    /// Makes, changes or removes a setting or a secret of ours.
    fn change_setting(&mut self) {
        let (which, value) = (self.choose(KEYS), self.turn);
        let key = format!("{}_{which}", self.name);
        let path = format!("/v1/apps/{}/config", self.app);
        let one = format!("{path}/{key}");
        let known = self.settings.get(&key).cloned();
        let is_removed = known.is_some() && self.choose(4) == 0;
        let body = json!({ "key": key, "value": format!("v{value}"), "is_sensitive": false });
        let reply = match &known {
            Some(_) if is_removed => self.ask("DELETE", &one, &Value::Null),
            Some(_) => self.ask("PATCH", &one, &json!({ "value": format!("v{value}") })),
            None => self.ask("POST", &path, &body),
        };
        let after = (!is_removed).then(|| json!(format!("v{value}")));
        if let Some(reply) = reply {
            assert!(reply.status < 300, "{key}: {reply:?}");
            self.settings.remove(&key);
            self.settings.extend(after.map(|value| (key.clone(), value)));
            self.acknowledged(&key);
            return;
        }
        // It was done, or it was not; nothing else.
        let found = self.look(&format!("{path}?limit=200")).expect(200);
        let items = found["items"].as_array().expect("a list");
        let found = items.iter().find(|item| item["key"] == *key).map(|item| item["value"].clone());
        assert!(found == known || found == after, "{key} was {known:?}, and is {found:?}");
        self.settings.remove(&key);
        self.settings.extend(found.map(|value| (key, value)));
    }

    /// Everything of ours is as it was acknowledged.
    fn check(&self) {
        let path = format!("/v1/apps/{}/config?limit=200", self.app);
        let found = self.look(&path).expect(200);
        let prefix = format!("{}_", self.name);
        let ours = found["items"].as_array().expect("a list").iter().filter_map(|item| {
            let key = item["key"].as_str()?.to_owned();
            key.starts_with(&prefix).then(|| (key, item["value"].clone()))
        });
        assert_eq!(ours.collect::<BTreeMap<_, _>>(), self.settings);
        let found = self.look("/v1/apps?limit=200").expect(200);
        let prefix = self.name.to_lowercase() + "-";
        let ours = found["items"].as_array().expect("a list").iter().filter_map(|item| {
            let name = item["name"].as_str()?.to_owned();
            name.starts_with(&prefix).then_some(name)
        });
        assert_eq!(ours.collect::<BTreeSet<_>>(), self.apps);
        if let Some(sandbox) = &self.sandbox {
            let found = self.look(&format!("/v1/sandboxes/{sandbox}"));
            assert_eq!(found.status, 200, "an acknowledged sandbox is gone: {found:?}");
        }
    }

    /// Makes or removes an app of ours.
    fn change_apps(&mut self) {
        let which = self.choose(APPS);
        let name = format!("{}-{which}", self.name.to_lowercase());
        let is_there = self.apps.contains(&name);
        let reply = if is_there {
            self.ask("DELETE", &format!("/v1/apps/{name}"), &Value::Null)
        } else {
            self.ask("POST", "/v1/apps", &json!({ "name": name }))
        };
        let is_there = if let Some(reply) = reply {
            assert!(reply.status < 300, "{name}: {reply:?}");
            self.acknowledged(&name);
            !is_there
        } else {
            self.look(&format!("/v1/apps/{name}")).status == 200
        };
        self.apps.remove(&name);
        self.apps.extend(is_there.then_some(name));
    }

    /// Changes the description that both have, if nobody did since it was looked at.
    fn describe(&mut self) {
        let path = format!("/v1/apps/{}", self.app);
        let seen = self.look(&path).expect(200)["generation"].as_u64().expect("a number");
        let body = json!({ "description": format!("{} {}", self.name, self.turn) }).to_string();
        let tag = format!("\"{seen}\"");
        let headers = [("If-Match", tag.as_str())];
        let Ok(reply) = ask(&self.socket, "PATCH", &path, &headers, body.as_bytes()) else {
            return;
        };
        match reply.status {
            200 => {
                let got = reply.json()["generation"].as_u64().expect("a number");
                assert_eq!(got, seen + 1, "what another one changed was written over: {reply:?}");
                assert!(self.generations.insert(got));
                self.acknowledged(&format!("generation {got}"));
            }
            412 => assert_eq!(reply.code(), "stale_generation"),
            _ => assert!(reply.status == 0 || reply.status >= 500, "{reply:?}"),
        }
    }

    /// Gives the app another sandbox, and removes the one that we gave it before.
    fn replace_sandbox(&mut self) {
        let path = format!("/v1/apps/{}/sandbox", self.app);
        let name = format!("{}-sandbox-{}", self.name.to_lowercase(), self.turn);
        let body = json!({ "source": { "kind": "empty" }, "replace": true, "name": name });
        let Some(reply) = self.ask("POST", &path, &body) else { return };
        // Another one may just be at it, too.
        if reply.status == 409 {
            return;
        }
        let made = reply.expect(201)["id"].as_str().expect("an id").to_owned();
        self.acknowledged(&made);
        if let Some(before) = self.sandbox.replace(made) {
            let path = format!("/v1/sandboxes/{before}");
            if let Some(reply) = self.ask("DELETE", &path, &Value::Null) {
                assert!(reply.status < 300 || reply.status == 404, "{reply:?}");
            }
        }
    }

    fn rotate(&mut self) {
        if let Some(reply) = self.ask("POST", "/v1/secrets/rotate", &Value::Null) {
            // Another rotation may be under way.
            if reply.status != 409 {
                assert_eq!(reply.expect(200)["left"], 0, "a secret does not open");
                self.acknowledged("rotated");
            }
        }
    }

    /// A secret of ours that is made once, and opens whenever the key was changed.
    fn keep_secret(&mut self) {
        let path = format!("/v1/apps/{}/config", self.app);
        let key = format!("SECRET_OF_{}", self.name);
        let body = json!({ "key": key, "value": format!("s{}", self.turn) });
        let made = self.ask("POST", &path, &body);
        if made.is_none_or(|reply| reply.status == 409) {
            let body = json!({ "value": format!("s{}", self.turn) });
            drop(self.ask("PATCH", &format!("{path}/{key}"), &body));
        }
    }

    fn step(&mut self) {
        self.turn += 1;
        match self.choose(20) {
            0..10 => self.change_setting(),
            10..14 => self.describe(),
            14..17 => self.change_apps(),
            17 => self.replace_sandbox(),
            18 => self.rotate(),
            _ => self.keep_secret(),
        }
        if self.turn.is_multiple_of(25) {
            self.check();
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let [_, socket, app, name, log, end] = &args[..] else {
        eprintln!("usage: hammer <socket> <app> <name> <acknowledgements> <end>");
        return ExitCode::from(2);
    };
    let log = OpenOptions::new().create(true).append(true).open(log).expect("the log can be made");
    let mut hammer = Hammer {
        socket: PathBuf::from(socket),
        app: app.clone(),
        name: name.clone(),
        log,
        random: name.bytes().fold(0x9E37_79B9, |sum, byte| sum * 31 + u64::from(byte)),
        settings: BTreeMap::new(),
        apps: BTreeSet::new(),
        sandbox: None,
        generations: BTreeSet::new(),
        turn: 0,
    };
    while !Path::new(end).exists() {
        hammer.step();
    }
    hammer.check();
    ExitCode::SUCCESS
}
