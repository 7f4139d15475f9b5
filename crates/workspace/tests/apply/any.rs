//! Any tree against any other: an approve makes the one the other, a reject takes it back.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::{fd::AsFd, unix::fs::symlink},
    path::Path,
};

use proptest::prelude::*;
use sandbar_types::{Selection, WorkspacePath};
use sandbar_workspace::{apply::Refused, reject::reject};

use crate::scene::{Scene, Seen, memory, write};

/// What a generated path is; a directory where others lie below it, whatever it says.
type Recipe = BTreeMap<String, Seen>;

fn recipe() -> impl Strategy<Value = Recipe> {
    let name = "[abc](/[abc]){0,3}";
    let seen = prop_oneof![
        3 => (prop_oneof![Just(0o644), Just(0o755)], "[xy]{0,3}").prop_map(|(mode, content)| Seen::File(mode, content.into())),
        1 => Just(Seen::Directory(0o755)),
        1 => "[abc]".prop_map(|target| Seen::Link(target.into())),
    ];
    proptest::collection::btree_map(name, seen, 0..12)
}

fn build(root: &Path, recipe: &Recipe) {
    for (name, seen) in recipe {
        let full = root.join(name);
        // A path below something that is no directory is left out.
        if fs::create_dir_all(full.parent().unwrap()).is_err() || full.symlink_metadata().is_ok() {
            continue;
        }
        match seen {
            Seen::File(mode, content) => write(&full, content, *mode),
            Seen::Directory(_) | Seen::Special => fs::create_dir(full).unwrap(),
            Seen::Link(target) => symlink(String::from_utf8_lossy(target).as_ref(), full).unwrap(),
        }
    }
}

fn scene(root: &Path, source: &Recipe, merged: &Recipe) -> Scene {
    let scene = Scene::new(root);
    build(&scene.source(""), source);
    build(&scene.merged(""), merged);
    scene
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn approving_all_makes_the_source_what_the_workspace_is(source in recipe(), merged in recipe()) {
        let dir = memory();
        let scene = scene(dir.path(), &source, &merged);
        scene.approve_all();
        prop_assert_eq!(scene.snapshot("source"), scene.snapshot("merged"));
    }

    #[test]
    fn rejecting_all_makes_the_workspace_what_the_source_is(source in recipe(), merged in recipe()) {
        let dir = memory();
        let scene = scene(dir.path(), &source, &merged);
        let set = scene.changes();
        let (merged, source) = (File::open(scene.merged("")).unwrap(), File::open(scene.source("")).unwrap());
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let rejected = reject(merged.as_fd(), Some(source.as_fd()), &set, &Selection::All, owner).unwrap();
        prop_assert_eq!(rejected.left, []);
        prop_assert_eq!(scene.snapshot("merged"), scene.snapshot("source"));
    }

    #[test]
    fn approving_one_path_with_what_it_needs_touches_nothing_beside(
        source in recipe(), merged in recipe(), at in any::<prop::sample::Index>(),
    ) {
        let dir = memory();
        let scene = scene(dir.path(), &source, &merged);
        let (before, wanted) = (scene.snapshot("source"), scene.snapshot("merged"));
        let set = scene.changes();
        prop_assume!(!set.changes.is_empty());
        let mut selected = vec![set.changes[at.index(set.changes.len())].path.clone()];
        let plan = loop {
            match scene.plan(&Selection::Paths(selected.clone())) {
                Ok(plan) => break plan,
                Err(Refused::Requires { missing }) => selected.extend(missing),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            }
        };
        scene.apply_plan(&plan).unwrap();
        let approved = |name: &Vec<u8>| {
            let path = WorkspacePath::parse(name).unwrap();
            plan.approved.iter().any(|one| one.path == path)
        };
        let after = scene.snapshot("source");
        for name in before.keys().chain(wanted.keys()) {
            let expected = if approved(name) { wanted.get(name) } else { before.get(name) };
            prop_assert_eq!(after.get(name), expected, "{}", String::from_utf8_lossy(name));
        }
    }
}
