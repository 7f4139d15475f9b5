//! Fills an empty directory with a starter.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
};

use sandbar_presets::{Seeding, StarterFile, plan, preset};
use sandbar_types::PresetName;

use super::{Outcome, create};
use crate::{
    failure::{Code, Failure},
    output::{Output, units::counted},
};

pub(super) fn run(dir: &Path, name: PresetName, out: Output) -> Result<u8, Failure> {
    let preset = preset(name);
    let failed = |error: &io::Error| {
        Failure::unexpected(format!("cannot fill {}", dir.display())).caused_by(error)
    };
    fs::create_dir_all(dir).map_err(|error| failed(&error))?;
    let names = names(dir).map_err(|error| failed(&error))?;
    let seeding = plan(preset, names.iter().map(|name| name.as_bytes()));
    let files = match &seeding {
        Seeding::Everything(files) => *files,
        Seeding::ManifestOnly(_) | Seeding::Nothing => {
            return Err(Failure::new(Code::Refused, format!("{} is not empty", dir.display()))
                .hint("a starter goes into an empty directory; for a project that is there, leave --preset out"));
        }
    };
    for file in files {
        write(dir, file).map_err(|error| {
            Failure::unexpected(format!("cannot write {}", dir.join(file.path).display()))
                .caused_by(&error)
        })?;
    }
    if out.is_json() {
        out.json(&Outcome {
            written: files.iter().map(|file| file.path).collect(),
            preset: Some(name),
            suggestion: None,
            others: &[],
            manifest: preset.manifest(),
        })?;
        return Ok(0);
    }
    out.say(&format!("{}: {}", preset.label, preset.description));
    out.say(&format!("wrote {}; begin with README.md", counted(files.len(), "file")));
    Ok(0)
}

fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
}

fn write(dir: &Path, file: &StarterFile) -> io::Result<()> {
    let path = dir.join(file.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    create(&path, file.content)?;
    if file.is_executable {
        let mut permissions = fs::metadata(&path)?.permissions();
        // Whoever may read it may run it, as the umask left it.
        let mode = permissions.mode();
        permissions.set_mode(mode | ((mode & 0o444) >> 2));
        fs::set_permissions(&path, permissions)?;
    }
    Ok(())
}
