//! What of a preset goes into a workspace.

use crate::{MANIFEST, Preset, StarterFile};

/// What a preset adds to a workspace. It never replaces anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seeding {
    /// The workspace is empty: all of the starter.
    Everything(&'static [StarterFile]),
    /// There is something: only how it is run, which nothing says yet.
    ManifestOnly(&'static StarterFile),
    /// There is something, and it says how it is run.
    Nothing,
}

impl Seeding {
    /// The files to write.
    #[must_use]
    pub fn files(&self) -> &[StarterFile] {
        match self {
            Self::Everything(files) => files,
            Self::ManifestOnly(manifest) => std::slice::from_ref(*manifest),
            Self::Nothing => &[],
        }
    }
}

/// Decides what `preset` adds to a workspace with these names in its root.
///
/// One that holds nothing but `.gitkeep` or `.git` counts as empty: somebody made a repository and nothing in it.
pub fn plan<'a>(preset: &Preset, names: impl IntoIterator<Item = &'a [u8]>) -> Seeding {
    let mut is_empty = true;
    let mut has_manifest = false;
    for name in names {
        is_empty &= matches!(name, b".gitkeep" | b".git");
        has_manifest |= name == MANIFEST.as_bytes();
    }
    if is_empty {
        return Seeding::Everything(preset.files);
    }
    let manifest = preset.files.iter().find(|file| file.path == MANIFEST);
    manifest.filter(|_| !has_manifest).map_or(Seeding::Nothing, Seeding::ManifestOnly)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;

    fn planned(preset: &Preset, names: &[&str]) -> Seeding {
        plan(preset, names.iter().map(|name| name.as_bytes()))
    }

    #[test]
    fn a_starter_goes_into_an_empty_workspace_only() {
        for preset in presets() {
            for empty in [&[][..], &[".gitkeep"], &[".git"], &[".git", ".gitkeep"]] {
                assert_eq!(planned(preset, empty), Seeding::Everything(preset.files), "{empty:?}");
            }
            let Seeding::ManifestOnly(manifest) = planned(preset, &["README.md"]) else {
                panic!("only the manifest is missing");
            };
            assert_eq!(manifest.path, MANIFEST);
            for full in [&["sandbox.yaml"][..], &["README.md", "sandbox.yaml"]] {
                assert!(planned(preset, full).files().is_empty(), "{full:?}");
            }
        }
    }
}
