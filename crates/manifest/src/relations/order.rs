//! `after`: names that exist, and no circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    app::Placed,
    finding::{Code, Findings, Position},
    shape::nearest,
};

/// Indices of processes, for each process that it waits for; with the place of its name there.
type Waits = Vec<Vec<(usize, usize)>>;

pub(crate) fn check(processes: &[Placed], findings: &mut Findings) {
    // Of two with the same name the first counts; the second has its own finding.
    let mut by_name = BTreeMap::new();
    for (index, process) in processes.iter().enumerate() {
        by_name.entry(&process.spec.name).or_insert(index);
    }
    let mut waits: Waits = vec![Vec::new(); processes.len()];
    for (index, process) in processes.iter().enumerate() {
        let mut named = BTreeSet::new();
        for (place, name) in process.spec.after.iter().enumerate() {
            let at = process.after_at[place];
            if !named.insert(name) {
                findings.add(Code::AfterTwice, at, format!("`{name}` is named twice"));
                continue;
            }
            match by_name.get(name) {
                Some(other) => waits[index].push((*other, place)),
                None => unknown(name.as_str(), processes, at, findings),
            }
        }
    }
    let state = vec![Seen::Never; processes.len()];
    let mut walk = Walk { processes, waits: &waits, state, path: Vec::new() };
    for index in 0..processes.len() {
        walk.visit(index, findings);
    }
}

fn unknown(name: &str, processes: &[Placed], at: Position, findings: &mut Findings) {
    let known: Vec<&str> = processes.iter().map(|process| process.spec.name.as_str()).collect();
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`after` takes names of `workers`, and `web`".to_owned(),
    };
    findings.add(Code::AfterUnknown, at, format!("no process is called `{name}`")).hint(hint);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    OnPath,
    Done,
}

/// A walk in depth; an edge to who is on the path closes a circle. As deep as there are processes, which is not deep.
struct Walk<'a> {
    processes: &'a [Placed],
    waits: &'a Waits,
    state: Vec<Seen>,
    path: Vec<usize>,
}

impl Walk<'_> {
    fn visit(&mut self, index: usize, findings: &mut Findings) {
        if self.state[index] != Seen::Never {
            return;
        }
        self.state[index] = Seen::OnPath;
        self.path.push(index);
        for (next, place) in &self.waits[index] {
            if self.state[*next] == Seen::OnPath {
                self.circle(*next, self.processes[index].after_at[*place], findings);
            } else {
                self.visit(*next, findings);
            }
        }
        self.path.pop();
        self.state[index] = Seen::Done;
    }

    fn circle(&self, closed_at: usize, at: Position, findings: &mut Findings) {
        let circle = self.path.iter().skip_while(|index| **index != closed_at);
        let names: Vec<&str> = circle
            .chain([&closed_at])
            .map(|index| self.processes[*index].spec.name.as_str())
            .collect();
        findings
            .add(Code::AfterCycle, at, format!("they wait for each other: {}", names.join(" → ")))
            .hint("one of them must start without the other");
    }
}
