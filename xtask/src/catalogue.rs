//! The tables of `docs/testing.md` that say which test holds what: each name in them is that of a test.

use std::{collections::BTreeSet, fs, path::Path};

use crate::command::Failed;

const TABLES: &str = "docs/testing.md";

/// Fails on the name of a case that no test has.
pub(crate) fn check() -> Result<(), Failed> {
    let failed = |path: &Path, error| Failed(format!("{} cannot be read: {error}", path.display()));
    let path = Path::new(TABLES);
    let text = fs::read_to_string(path).map_err(|error| failed(path, error))?;
    let mut tests = BTreeSet::new();
    for root in ["crates", "tests"].map(Path::new) {
        functions(root, &mut tests).map_err(|error| failed(root, error))?;
    }
    let missing: Vec<&str> = names(&text).filter(|name| !tests.contains(*name)).collect();
    missing.is_empty().then_some(()).ok_or_else(|| {
        Failed(format!("{TABLES} names tests that are not there:\n  {}", missing.join("\n  ")))
    })
}

/// What stands between backticks in a row of a table and is the name of a test of a case.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    quoted.filter(|name| name.contains("case_") && name.chars().all(is_of_name))
}

fn is_of_name(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '_')
}

/// Adds the names of the functions of every source file below `dir`.
fn functions(dir: &Path, found: &mut BTreeSet<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            functions(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_cases_in_tables() {
        let text = "`case_1_x`\n| 1 | `a` | `case_2_y`, `k6_case_3_z` |\n";
        assert_eq!(names(text).collect::<Vec<_>>(), ["case_2_y", "k6_case_3_z"]);
    }
}
