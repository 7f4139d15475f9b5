//! The hosts that a sandbox reaches unless somebody says otherwise: those that installs need.

use super::pattern::HostPattern;

const REGISTRIES: &str = include_str!("registries.txt");

/// Returns the public package registries and git hosts of `registries.txt`.
///
/// # Panics
/// The file, which is part of the program, has a line that is no pattern; a test reads it.
pub(in crate::egress) fn default_patterns() -> Vec<HostPattern> {
    patterns(REGISTRIES).map(|line| line.parse().expect("a test parses every line")).collect()
}

fn patterns(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_pattern_and_none_is_there_twice() {
        let mut parsed: Vec<String> = patterns(REGISTRIES)
            .map(|line| {
                line.parse::<HostPattern>()
                    .unwrap_or_else(|error| panic!("{line}: {error}"))
                    .to_string()
            })
            .collect();
        assert_eq!(parsed, patterns(REGISTRIES).collect::<Vec<_>>());
        parsed.sort();
        let count = parsed.len();
        parsed.dedup();
        assert_eq!(parsed.len(), count);
    }
}
