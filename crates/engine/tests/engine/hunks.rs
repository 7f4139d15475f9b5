//! Decisions about parts of files, and about files that the host changed meanwhile.

use std::time::Duration;

use sandbar_engine::{
    ApproveParams, Changes, Engine, ErrorKind, FileHunks, MergeState, RefreshParams, RejectParams,
    Resolutions,
};
use sandbar_types::{
    Confirmed, HunkPick, LineText, Part, Resolution, SandboxId, Selection, Side, Take,
    WorkspacePath,
};

use crate::support::{House, create};

const DRAIN: Duration = Duration::from_secs(5);

fn path(text: &str) -> WorkspacePath {
    WorkspacePath::parse(text).unwrap()
}

/// Thirty numbered lines, some of them replaced.
fn lines(edits: &[(u32, &str)]) -> String {
    let line = |at: u32| {
        let edit = edits.iter().find(|(line, _)| *line == at);
        edit.map_or_else(|| format!("{at}\n"), |(_, text)| format!("{text}\n"))
    };
    (1..=30).map(line).collect()
}

struct Room {
    house: House,
    engine: Engine,
    id: SandboxId,
}

impl Room {
    /// A sandbox over a file of thirty lines.
    async fn new() -> Self {
        let house = House::new();
        std::fs::write(house.source().join("f"), lines(&[])).unwrap();
        let engine = house.engine().await;
        let id = create(&engine, house.spec()).await.unwrap().id;
        Self { house, engine, id }
    }

    fn inside(&self, text: &str) {
        self.house.host.write(&self.house.sandbox_dir(self.id), "f", text.as_bytes()).unwrap();
    }

    fn seen_inside(&self) -> String {
        let dir = self.house.sandbox_dir(self.id).0;
        std::fs::read_to_string(dir.join("merged/f")).unwrap()
    }

    fn on_host(&self, text: &str) {
        std::fs::write(self.house.source().join("f"), text).unwrap();
    }

    fn host(&self) -> String {
        std::fs::read_to_string(self.house.source().join("f")).unwrap()
    }

    async fn changes(&self) -> Changes {
        self.engine.changes(self.id).await.unwrap()
    }

    async fn hunks(&self) -> FileHunks {
        self.engine.hunks(self.id, path("f")).await.unwrap()
    }

    async fn approve(&self, selection: Selection) -> sandbar_engine::Result<()> {
        self.resolve(selection, Resolutions::default()).await
    }

    async fn resolve(
        &self,
        selection: Selection,
        resolutions: Resolutions,
    ) -> sandbar_engine::Result<()> {
        let seen = self.changes().await;
        let params = ApproveParams {
            diff_id: seen.set.diff_id,
            selection,
            confirm: Confirmed::default(),
            resolutions,
            commit: None,
            generation: None,
        };
        self.engine.approve(self.id, params).await.map(drop)
    }

    async fn reject(&self, selection: Selection) -> sandbar_engine::Result<()> {
        let params = RejectParams { diff_id: None, selection, reason: None, generation: None };
        self.engine.reject(self.id, params).await.map(drop)
    }

    /// Approves the hunk at `index`.
    async fn approve_hunk(&self, index: usize) {
        let id = self.hunks().await.hunks[index].id;
        self.approve(picks(vec![HunkPick { id, lines: None }])).await.unwrap();
    }
}

fn picks(hunks: Vec<HunkPick>) -> Selection {
    Selection::Parts(vec![Part { path: path("f"), hunks }])
}

#[tokio::test]
async fn b12_a_hunk_is_approved_and_the_others_stay_pending_under_their_names() {
    let room = Room::new().await;
    room.inside(&lines(&[(2, "two"), (15, "fifteen"), (29, "nearly")]));
    let before = room.hunks().await;
    assert_eq!((before.hunks.len(), before.merge), (3, MergeState::None));
    room.approve_hunk(1).await;
    assert_eq!(room.host(), lines(&[(15, "fifteen")]));
    let after = room.hunks().await;
    let ids = |seen: &FileHunks| seen.hunks.iter().map(|hunk| hunk.id).collect::<Vec<_>>();
    assert_eq!(ids(&after), [before.hunks[0].id, before.hunks[2].id]);
    room.approve(Selection::All).await.unwrap();
    assert_eq!(room.host(), lines(&[(2, "two"), (15, "fifteen"), (29, "nearly")]));
    assert_eq!(room.changes().await.set.changes, []);
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_hunk_is_rejected_and_the_others_stay_pending() {
    let room = Room::new().await;
    room.inside(&lines(&[(2, "two"), (15, "fifteen")]));
    let id = room.hunks().await.hunks[0].id;
    room.reject(picks(vec![HunkPick { id, lines: None }])).await.unwrap();
    assert_eq!(room.seen_inside(), lines(&[(15, "fifteen")]));
    assert_eq!(room.host(), lines(&[]));
    let id = room.hunks().await.hunks[0].id;
    room.reject(picks(vec![HunkPick { id, lines: None }])).await.unwrap();
    assert_eq!(room.changes().await.set.changes, []);
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn picks_that_fit_nothing_are_refused_and_nothing_is_written() {
    let room = Room::new().await;
    room.inside(&lines(&[(2, "two")]));
    let id = room.hunks().await.hunks[0].id;
    let unknown = HunkPick { id: sandbar_types::HunkId(id.0 ^ 1), lines: None };
    let context = HunkPick { id, lines: Some(vec![0]) };
    for (hunks, code) in [(vec![unknown], "hunk_not_found"), (vec![context], "hunk_not_found")] {
        assert_eq!(room.approve(picks(hunks.clone())).await.unwrap_err().code(), code);
        assert_eq!(room.reject(picks(hunks)).await.unwrap_err().code(), code);
    }
    let whole = HunkPick { id, lines: None };
    let twice = Selection::Parts(vec![
        Part { path: path("f"), hunks: vec![whole.clone()] },
        Part { path: path("f"), hunks: Vec::new() },
    ]);
    assert_eq!(room.approve(twice).await.unwrap_err().code(), "invalid_value");
    room.inside("\0binary\n");
    assert_eq!(room.approve(picks(vec![whole])).await.unwrap_err().code(), "no_hunks");
    assert_eq!(room.host(), lines(&[]));
    room.engine.drain(DRAIN).await;
}

/// A room where host and sandbox have a text in common that is known: a hunk of it was approved.
async fn with_a_base() -> Room {
    let room = Room::new().await;
    room.inside(&lines(&[(2, "two"), (15, "fifteen")]));
    room.approve_hunk(0).await;
    room
}

#[tokio::test]
async fn b16_what_the_host_changed_elsewhere_is_merged_and_shown_so_before() {
    let room = with_a_base().await;
    room.on_host(&lines(&[(2, "two"), (29, "host")]));
    let seen = room.hunks().await;
    assert_eq!((seen.merge, seen.hunks.len()), (MergeState::Clean, 1), "{seen:?}");
    let patch = room.engine.diff(room.id, Selection::All).await.unwrap();
    let patch = String::from_utf8(patch).unwrap();
    assert!(patch.contains("+fifteen") && !patch.contains("-host"), "{patch}");
    room.approve(Selection::All).await.unwrap();
    let both = lines(&[(2, "two"), (15, "fifteen"), (29, "host")]);
    assert_eq!((room.host(), room.seen_inside()), (both.clone(), both));
    assert_eq!(room.changes().await.set.changes, []);
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn b16_overlapping_edits_are_a_conflict_with_all_three_sides_and_nothing_is_written() {
    let room = with_a_base().await;
    let host = lines(&[(2, "two"), (15, "host"), (29, "more")]);
    room.on_host(&host);
    let refused = room.approve(Selection::All).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "review_conflict"));
    let details = refused.details_value().unwrap();
    let text = &details["conflicts"][0]["text"][0];
    assert_eq!(
        (&text["base"][0], &text["ours"][0], &text["theirs"][0]),
        (&"15\n".into(), &"host\n".into(), &"fifteen\n".into())
    );
    let seen = room.hunks().await;
    assert_eq!((seen.merge, seen.conflicts.len()), (MergeState::Conflict, 1));
    assert_eq!(room.host(), host);
    assert_eq!(room.seen_inside(), lines(&[(2, "two"), (15, "fifteen")]), "nor inside");
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_conflict_is_resolved_by_a_side_or_by_a_text() {
    let edited = lines(&[(2, "two"), (15, "both"), (29, "more")]);
    let content = Take::Content(LineText(edited.clone().into_bytes()));
    for (take, fifteen) in [(Take::Ours, "host"), (Take::Theirs, "fifteen"), (content, "both")] {
        let room = with_a_base().await;
        room.on_host(&lines(&[(2, "two"), (15, "host"), (29, "more")]));
        let paths = vec![Resolution { path: path("f"), take }];
        let resolutions = Resolutions { paths, otherwise: None };
        room.resolve(Selection::All, resolutions).await.unwrap();
        let expected = lines(&[(2, "two"), (15, fifteen), (29, "more")]);
        assert_eq!((room.host(), room.seen_inside()), (expected.clone(), expected));
        assert_eq!(room.changes().await.set.changes, []);
        room.engine.drain(DRAIN).await;
    }
}

#[tokio::test]
async fn without_a_base_a_person_decides_and_marks_of_a_conflict_are_no_decision() {
    let room = Room::new().await;
    room.inside(&lines(&[(2, "two")]));
    room.on_host(&lines(&[(29, "host")]));
    assert_eq!(room.hunks().await.merge, MergeState::NoBase);
    assert_eq!(room.approve(Selection::All).await.unwrap_err().code(), "review_conflict");
    let marked = LineText(b"<<<<<<< host\na\n=======\nb\n>>>>>>> sandbox\n".to_vec());
    let paths = vec![Resolution { path: path("f"), take: Take::Content(marked) }];
    let resolutions = Resolutions { paths, otherwise: None };
    let refused = room.resolve(Selection::All, resolutions).await.unwrap_err();
    assert_eq!(refused.code(), "invalid_value");
    let theirs = Resolutions { paths: Vec::new(), otherwise: Some(Side::Theirs) };
    room.resolve(Selection::All, theirs).await.unwrap();
    assert_eq!(room.host(), lines(&[(2, "two")]));
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_hunk_of_a_merge_is_approved_alone_and_the_rest_follows() {
    let room = with_a_base().await;
    room.inside(&lines(&[(2, "two"), (8, "eight"), (15, "fifteen")]));
    room.on_host(&lines(&[(2, "two"), (29, "host")]));
    let seen = room.hunks().await;
    assert_eq!((seen.merge, seen.hunks.len()), (MergeState::Clean, 1), "one hunk: 8 and 15 touch");
    let eight = seen.hunks[0].lines.iter().enumerate().filter_map(|(at, line)| {
        let is_eight = matches!(line, sandbar_types::HunkLine::Added(text) if text.0 == b"eight\n")
            || matches!(line, sandbar_types::HunkLine::Removed(text) if text.0 == b"8\n");
        is_eight.then(|| u32::try_from(at).unwrap())
    });
    let pick = HunkPick { id: seen.hunks[0].id, lines: Some(eight.collect()) };
    room.approve(picks(vec![pick])).await.unwrap();
    assert_eq!(room.host(), lines(&[(2, "two"), (8, "eight"), (29, "host")]));
    assert_eq!(room.hunks().await.merge, MergeState::None, "the merge is inside now");
    room.approve(Selection::All).await.unwrap();
    assert_eq!(room.host(), lines(&[(2, "two"), (8, "eight"), (15, "fifteen"), (29, "host")]));
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_hunk_of_a_merge_is_rejected_and_the_hosts_edit_stays() {
    let room = with_a_base().await;
    room.on_host(&lines(&[(2, "two"), (29, "host")]));
    let id = room.hunks().await.hunks[0].id;
    room.reject(picks(vec![HunkPick { id, lines: None }])).await.unwrap();
    assert_eq!(room.host(), lines(&[(2, "two"), (29, "host")]));
    assert_eq!(room.changes().await.set.changes, []);
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn what_was_looked_at_has_a_base_from_then_on() {
    let room = Room::new().await;
    room.inside(&lines(&[(2, "two")]));
    assert_eq!(room.hunks().await.merge, MergeState::None);
    room.on_host(&lines(&[(29, "host")]));
    assert_eq!(room.hunks().await.merge, MergeState::Clean);
    room.approve(Selection::All).await.unwrap();
    assert_eq!(room.host(), lines(&[(2, "two"), (29, "host")]));
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn what_was_rejected_is_told_inside_and_is_no_change() {
    let room = Room::new().await;
    room.inside(&lines(&[(2, "two"), (15, "fifteen")]));
    let id = room.hunks().await.hunks[0].id;
    let params = RejectParams {
        diff_id: None,
        selection: picks(vec![HunkPick { id, lines: None }]),
        reason: Some("use numerals".to_owned()),
        generation: None,
    };
    room.engine.reject(room.id, params).await.unwrap();
    let declined = room.engine.declined(room.id).await.unwrap();
    assert_eq!((declined.len(), declined[0].reason.as_deref()), (1, Some("use numerals")));
    assert!(declined[0].patch.contains("+two") && !declined[0].patch.contains("fifteen"));
    let inside = room.house.sandbox_dir(room.id).0.join("merged/.sandbar-review/declined.md");
    let page = std::fs::read_to_string(inside).unwrap();
    assert!(page.contains("> use numerals") && page.contains("+two"), "{page}");
    let changes = room.changes().await.set.changes;
    assert_eq!(changes.len(), 1, "{changes:?}");
    room.engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_refresh_brings_the_hosts_edit_in_and_leaves_the_change_pending() {
    let room = with_a_base().await;
    room.on_host(&lines(&[(2, "two"), (29, "host")]));
    let everything =
        |resolutions| RefreshParams { selection: Selection::All, resolutions, generation: None };
    let outcome = room.engine.refresh(room.id, everything(Resolutions::default())).await.unwrap();
    assert_eq!(outcome.merged, [path("f")]);
    assert_eq!(room.seen_inside(), lines(&[(2, "two"), (15, "fifteen"), (29, "host")]));
    assert_eq!(room.host(), lines(&[(2, "two"), (29, "host")]), "the host is only read");
    let seen = room.hunks().await;
    assert_eq!((seen.merge, seen.hunks.len()), (MergeState::None, 1));
    room.on_host(&lines(&[(15, "host")]));
    let refused = room.engine.refresh(room.id, everything(Resolutions::default())).await;
    assert_eq!(refused.unwrap_err().code(), "review_conflict");
    let ours = Resolutions { paths: Vec::new(), otherwise: Some(Side::Ours) };
    room.engine.refresh(room.id, everything(ours)).await.unwrap();
    assert_eq!(room.seen_inside(), lines(&[(15, "host")]));
    room.engine.drain(DRAIN).await;
}
