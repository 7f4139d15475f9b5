use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use sandbar_types::{HealthCheck, Probe, ProcessKind, ReadyCheck, StopPolicy};

use super::*;

const S: Duration = Duration::from_secs(1);

fn spec() -> ProcessSpec {
    ProcessSpec {
        name: "web".parse().unwrap(),
        kind: ProcessKind::Web,
        command: "serve".to_owned(),
        cwd: None,
        env: BTreeMap::new(),
        ports: vec![3000],
        after: Vec::new(),
        ready: None,
        health: None,
        stop: StopPolicy::default(),
        restart: RestartPolicy::Always,
        restart_after_task: false,
        log_bytes_max: 1 << 20,
    }
}

fn tcp() -> Probe {
    Probe::Tcp { port: 3000 }
}

fn with_ready() -> ProcessSpec {
    let ready =
        ReadyCheck { probe: tcp(), interval_ms: 1000, timeout_ms: 5000, deadline_ms: 90_000 };
    ProcessSpec { ready: Some(ready), ..spec() }
}

fn with_health(restart: bool) -> ProcessSpec {
    let health =
        HealthCheck { probe: tcp(), interval_ms: 10_000, timeout_ms: 5000, failures: 3, restart };
    ProcessSpec { health: Some(health), ..with_ready() }
}

/// A life and a process that does what it is told, in simulated time.
struct Simulation {
    spec: ProcessSpec,
    life: Life,
    now: Moment,
    is_running: bool,
    is_asked: bool,
    notes: Vec<String>,
}

impl Simulation {
    fn new(spec: ProcessSpec) -> Self {
        let life = Life::new();
        Self { spec, life, now: S, is_running: false, is_asked: false, notes: Vec::new() }
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let (life, effects) = step(self.life.clone(), &self.spec, event, self.now);
        self.life = life;
        for effect in &effects {
            match effect {
                Effect::Start => {
                    assert!(!self.is_running, "never two at once");
                    self.is_running = true;
                }
                Effect::Ask(_) => {
                    assert!(
                        self.is_running && !self.is_asked,
                        "one question at a time, to somebody"
                    );
                    self.is_asked = true;
                }
                Effect::Forget => self.is_asked = false,
                Effect::Terminate | Effect::Kill => assert!(self.is_running, "somebody to tell"),
                Effect::Note(note) => self.notes.push(note.clone()),
            }
        }
        effects
    }

    fn turn(&mut self) -> Vec<Effect> {
        self.on(Event::Turn(Gate::Open))
    }

    /// Lets time pass to the next deadline.
    fn pass(&mut self) -> Vec<Effect> {
        self.now = self.life.deadline(&self.spec).expect("a deadline").max(self.now);
        self.turn()
    }

    fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn end(&mut self, code: u8) -> Vec<Effect> {
        self.is_running = false;
        self.on(Event::Ended(ExitStatus::Exited { code }))
    }

    fn answer(&mut self, answer: Result<(), &str>) -> Vec<Effect> {
        self.is_asked = false;
        self.on(Event::Answered(answer.map_err(str::to_owned)))
    }

    fn wait_for_question(&mut self) {
        while !self.is_asked {
            self.pass();
        }
    }

    fn stage(&self) -> &Stage {
        let State::Up(run) = &self.life.state else { panic!("not up: {:?}", self.life) };
        &run.stage
    }

    fn backoff(&self) -> Duration {
        let State::BackingOff { until, .. } = &self.life.state else {
            panic!("not backing off: {:?}", self.life)
        };
        *until - self.now
    }
}

#[test]
fn nothing_starts_before_those_that_it_waits_for() {
    let mut life = Simulation::new(spec());
    assert!(life.on(Event::Turn(Gate::Closed)).is_empty());
    assert_eq!(life.life.state, State::Waiting);
    assert_eq!(life.turn(), [Effect::Start]);
    assert_eq!(*life.stage(), Stage::Running);
    assert_eq!(life.life.deadline(&life.spec), None, "nothing ticks");
}

#[test]
fn waits_double_up_to_thirty_seconds_and_a_steady_run_that_was_ready_resets_them() {
    let mut life = Simulation::new(with_ready());
    let mut waits = Vec::new();
    for _ in 0..7 {
        life.turn();
        // Long enough not to be fast, and never ready.
        life.after(11 * S).end(1);
        waits.push(life.backoff().as_secs());
        life.pass();
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    life.wait_for_question();
    life.answer(Ok(()));
    life.after(11 * S).end(1);
    assert_eq!(life.backoff(), S);
}

#[test]
fn a7_five_fast_failures_in_a_row_are_given_up_with_a_reason() {
    let mut life = Simulation::new(spec());
    life.turn();
    for _ in 0..4 {
        life.after(9 * S).end(3);
        assert!(matches!(life.life.state, State::BackingOff { .. }));
        life.pass();
    }
    life.after(9 * S).end(3);
    let State::GivenUp { reason } = &life.life.state else { panic!("{:?}", life.life) };
    assert!(reason.starts_with("exited with code 3; "), "{reason}");
    assert_eq!(life.life.deadline(&life.spec), None);
    assert!(life.turn().is_empty());
    life.on(Event::Start);
    assert_eq!(life.turn(), [Effect::Start]);
    assert_eq!(life.life.restarts(), 0);
    // The row begins again.
    life.after(S).end(3);
    assert_eq!(life.backoff(), S);
}

#[test]
fn a_steady_run_breaks_the_row_of_fast_failures() {
    let mut life = Simulation::new(spec());
    life.turn();
    for round in 0..20 {
        let length = if round % 5 == 4 { 10 * S } else { S };
        life.after(length).end(1);
        assert!(matches!(life.life.state, State::BackingOff { .. }), "{round}");
        life.pass();
    }
}

#[test]
fn i6_a_process_that_never_gets_ready_fails_at_its_deadline_and_says_why() {
    let mut life = Simulation::new(with_ready());
    life.turn();
    let begun = life.now;
    loop {
        let effects = life.pass();
        if life.is_asked {
            life.answer(Err("listening on 5173, the manifest says 3000"));
        }
        if effects.contains(&Effect::Terminate) {
            break;
        }
    }
    assert_eq!(life.now - begun, 90 * S);
    life.end(0);
    let State::BackingOff { reason, .. } = &life.life.state else { panic!("{:?}", life.life) };
    let expected = "not ready within 90 s; listening on 5173, the manifest says 3000";
    assert_eq!(reason, expected);
    assert_eq!(life.notes[0], format!("{expected}; it is ended"));
}

#[test]
fn i6_a_checker_that_hangs_is_a_no_each_time_and_cannot_be_lost() {
    let mut life = Simulation::new(with_ready());
    life.turn();
    let mut asked = 0;
    while !matches!(life.life.state, State::Stopping { .. }) {
        // Nobody ever answers.
        asked += life.pass().iter().filter(|effect| matches!(effect, Effect::Ask(_))).count();
    }
    assert!((10..=18).contains(&asked), "{asked}");
    assert!(!life.is_asked, "the last one is forgotten");
    life.end(0);
    let State::BackingOff { reason, .. } = &life.life.state else { panic!("{:?}", life.life) };
    assert_eq!(reason, "not ready within 90 s; no answer within 5 s");
}

#[test]
fn what_starts_fast_is_seen_ready_at_once() {
    let mut life = Simulation::new(with_ready());
    life.turn();
    let begun = life.now;
    let mut last = begun;
    while life.now - begun < 60 * S {
        life.wait_for_question();
        let pause = life.now - last;
        let limit = ((last - begun) / 10).clamp(Duration::from_millis(20), S);
        assert!(pause <= limit, "{pause:?} after {:?}", last - begun);
        last = life.now;
        life.answer(Err("no"));
    }
    life.wait_for_question();
    life.answer(Ok(()));
    assert_eq!(*life.stage(), Stage::Ready);
}

#[test]
fn some_noes_in_a_row_make_it_unhealthy_and_one_yes_healthy() {
    let mut life = Simulation::new(with_health(false));
    life.turn();
    life.wait_for_question();
    life.answer(Ok(()));
    for answers in [&[false, false, true][..], &[false, false, false], &[false], &[true]] {
        for is_yes in answers {
            life.wait_for_question();
            life.answer(if *is_yes { Ok(()) } else { Err("answered 500") });
        }
        let is_unhealthy = matches!(life.stage(), Stage::Unhealthy { .. });
        assert_eq!(is_unhealthy, answers.ends_with(&[false]), "{answers:?}");
    }
    assert_eq!(life.notes, ["unhealthy: answered 500", "healthy again"]);
}

#[test]
fn an_unhealthy_process_is_restarted_where_its_check_says_so() {
    let mut life = Simulation::new(with_health(true));
    life.turn();
    life.wait_for_question();
    life.answer(Ok(()));
    while matches!(life.life.state, State::Up(_)) {
        life.pass();
    }
    life.end(0);
    let State::BackingOff { reason, .. } = &life.life.state else { panic!("{:?}", life.life) };
    assert_eq!(reason, "unhealthy: no answer within 5 s");
    assert_eq!(life.backoff(), S);
}

#[test]
fn the_policy_decides_what_an_end_means() {
    for (policy, code, is_over) in [
        (RestartPolicy::Always, 0, false),
        (RestartPolicy::Always, 1, false),
        (RestartPolicy::OnFailure, 0, true),
        (RestartPolicy::OnFailure, 1, false),
        (RestartPolicy::Never, 0, true),
        (RestartPolicy::Never, 1, true),
    ] {
        let mut life = Simulation::new(ProcessSpec { restart: policy, ..spec() });
        life.turn();
        life.after(20 * S).end(code);
        assert_eq!(life.life.state == State::Exited, is_over, "{policy:?} {code}");
    }
}

#[test]
fn a_stop_asks_waits_and_kills() {
    let mut life = Simulation::new(spec());
    life.turn();
    assert_eq!(life.on(Event::Stop), [Effect::Terminate]);
    assert!(life.after(4 * S).turn().is_empty());
    assert!(life.on(Event::Stop).is_empty(), "asked already");
    assert_eq!(life.after(S).turn(), [Effect::Kill]);
    assert!(life.after(S).turn().is_empty(), "killed already");
    life.end(0);
    assert_eq!(life.life.state, State::Stopped);
    assert!(life.turn().is_empty());
}

#[test]
fn a_restart_waits_for_the_end_and_counts() {
    let mut life = Simulation::new(spec());
    life.turn();
    assert_eq!(life.on(Event::Restart), [Effect::Terminate]);
    assert!(life.turn().is_empty(), "the old one still runs");
    life.end(0);
    assert_eq!(life.turn(), [Effect::Start]);
    assert_eq!(life.life.restarts(), 1);
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Turn(Gate::Open)),
        2 => Just(Event::Turn(Gate::Closed)),
        3 => Just(Event::Answered(Ok(()))),
        3 => Just(Event::Answered(Err("no".to_owned()))),
        1 => Just(Event::Notified),
        3 => Just(Event::Ended(ExitStatus::Exited { code: 1 })),
        1 => Just(Event::Ended(ExitStatus::Exited { code: 0 })),
        1 => Just(Event::Start),
        1 => Just(Event::Stop),
        1 => Just(Event::Restart),
    ]
}

fn any_spec() -> impl Strategy<Value = ProcessSpec> {
    let policy = prop_oneof![
        Just(RestartPolicy::Always),
        Just(RestartPolicy::OnFailure),
        Just(RestartPolicy::Never)
    ];
    (any::<bool>(), any::<bool>(), any::<bool>(), policy).prop_map(
        |(has_ready, has_health, restarts, restart)| {
            let full = with_health(restarts);
            ProcessSpec {
                ready: full.ready.filter(|_| has_ready),
                health: full.health.filter(|_| has_health),
                restart,
                ..spec()
            }
        },
    )
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_lost(
        spec in any_spec(),
        events in vec((event(), 0_u64..20_000), 0..300),
    ) {
        let mut life = Simulation::new(spec);
        let mut started = None;
        let mut fast = 0;
        for (event, ms) in events {
            // Time passes, but no deadline is slept through.
            let until = life.now + Duration::from_millis(ms);
            while life.life.deadline(&life.spec).is_some_and(|at| at <= until) {
                life.pass();
                if life.is_running && started.is_none() {
                    started = Some(life.now);
                }
            }
            life.now = until;
            let happens = match &event {
                Event::Ended(_) | Event::Notified => life.is_running,
                Event::Answered(_) => life.is_asked,
                Event::Turn(_) | Event::Start | Event::Stop | Event::Restart => true,
            };
            if !happens {
                continue;
            }
            if let Event::Answered(_) = &event {
                life.is_asked = false;
            }
            let is_end = matches!(event, Event::Ended(_));
            if is_end {
                life.is_running = false;
            }
            let before = life.life.clone();
            life.on(event);
            if let State::GivenUp { .. } = life.life.state
                && !matches!(before.state, State::GivenUp { .. })
            {
                prop_assert!(is_end, "only the end of a run gives up");
                prop_assert_eq!(before.fast_failures, FAST_FAILURES_MAX - 1);
            }
            fast = fast.max(life.life.fast_failures);
            prop_assert!(fast <= FAST_FAILURES_MAX);
            prop_assert_eq!(life.life.has_process(), life.is_running);
            prop_assert!(!life.is_asked || life.is_running, "a question has somebody to answer it");
            let has_deadline = life.life.deadline(&life.spec).is_some();
            match &life.life.state {
                State::BackingOff { .. } => prop_assert!(has_deadline),
                State::Up(run) if run.stage == Stage::Starting => prop_assert!(has_deadline),
                State::Up(_) => prop_assert!(has_deadline || life.spec.health.is_none()),
                State::Stopping { kill_at, .. } => prop_assert!(kill_at.is_some() || life.is_running),
                State::Waiting | State::GivenUp { .. } | State::Stopped | State::Exited => {
                    prop_assert!(!has_deadline);
                }
            }
        }
    }

    #[test]
    fn whatever_happened_a_stop_leads_to_rest(
        spec in any_spec(),
        events in vec((event(), 0_u64..20_000), 0..60),
    ) {
        let mut life = Simulation::new(spec);
        for (event, ms) in events {
            life.now += Duration::from_millis(ms);
            match event {
                Event::Ended(_) if !life.is_running => continue,
                Event::Answered(_) if !life.is_asked => continue,
                Event::Ended(_) => life.is_running = false,
                Event::Answered(_) => life.is_asked = false,
                Event::Turn(_) | Event::Notified | Event::Start | Event::Stop | Event::Restart => {}
            }
            life.on(event);
        }
        life.on(Event::Stop);
        if life.is_running {
            // It is deaf, and ends by being killed.
            while !life.turn().contains(&Effect::Kill) {
                let killed = matches!(life.life.state, State::Stopping { kill_at: None, .. });
                if killed { break; }
                life.now = life.life.deadline(&life.spec).unwrap();
            }
            life.end(9);
        }
        prop_assert_eq!(&life.life.state, &State::Stopped);
        life.now += 1000 * S;
        prop_assert!(life.turn().is_empty());
    }
}
