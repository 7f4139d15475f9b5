//! What is looked at of a project.

/// The file that says how an app is run, in the project's root.
pub const MANIFEST: &str = "sandbox.yaml";

/// The files of a project, by paths relative to its root, such as `config/routes.rb`.
///
/// What is in them is data of strangers: nothing here trusts a word of it, and a file that cannot be read is not there.
pub trait ProjectFiles {
    /// Whether there is a regular file at `path`.
    fn has(&self, path: &str) -> bool;

    /// The text of the file at `path`; `None` where there is none, where it is no text, and where it is too large to be
    /// written by a person.
    fn read(&self, path: &str) -> Option<String>;
}

/// The first of `paths` that is there.
pub(crate) fn first_of<'a>(
    files: &dyn ProjectFiles,
    paths: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    paths.into_iter().find(|path| files.has(path))
}

#[cfg(test)]
pub(crate) mod memory {
    use std::collections::BTreeMap;

    use super::ProjectFiles;

    /// A project that is written in a test.
    #[derive(Debug, Default, Clone)]
    pub(crate) struct Memory(pub(crate) BTreeMap<String, String>);

    impl<const N: usize> From<[(&str, &str); N]> for Memory {
        fn from(files: [(&str, &str); N]) -> Self {
            Self(files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
        }
    }

    impl ProjectFiles for Memory {
        fn has(&self, path: &str) -> bool {
            self.0.contains_key(path)
        }

        fn read(&self, path: &str) -> Option<String> {
            self.0.get(path).cloned()
        }
    }
}
