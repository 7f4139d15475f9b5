//! Texts that are checked once, where they come in.

/// Gives a type around a `String` everything that a text has, for those that `$fits` takes; the others are `$error`.
macro_rules! word {
    ($name:ident, $fits:ident, $Error:ty, $error:expr) => {
        impl $name {
            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $Error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                $fits(&text).then_some(Self(text)).ok_or($error)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

pub(crate) use word;
