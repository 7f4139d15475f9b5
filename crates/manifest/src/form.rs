//! What a field may hold. The validator and the JSON Schema both read it here, so they cannot disagree.

use crate::finding::Code;

/// The fields that a map may have.
#[derive(Debug)]
pub(crate) struct Table {
    /// How messages call the map, for example "`web`".
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) fields: &'static [Field],
    /// Keys that people write here and that are no fields.
    pub(crate) strangers: &'static [Stranger],
}

impl Table {
    pub(crate) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// One field of a map.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) form: Form,
    pub(crate) need: Need,
    /// What it means, in a sentence or two.
    pub(crate) about: &'static str,
    /// What holds without it, in words.
    pub(crate) default: &'static str,
    /// As it is written, for the documentation and for editors.
    pub(crate) example: &'static str,
}

/// Whether a field may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Optional,
    /// The finding when it is missing, and what to do.
    Required(Code, &'static str),
}

/// A key that is no field, and what is meant instead.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) key: &'static str,
    pub(crate) code: Code,
    pub(crate) hint: &'static str,
}

/// What 0 means in a field of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zero {
    /// As if the field were left out: other readers of version 1 take it so.
    Unset,
    /// A number like others, in its range or not.
    Number,
}

/// The form of a value.
#[derive(Debug)]
pub(crate) enum Form {
    /// The number 1.
    Version,
    Text(Text),
    Whole {
        min: u64,
        max: u64,
        zero: Zero,
    },
    Port(Zero),
    /// `true` or `false`.
    Flag,
    Word(&'static [&'static str]),
    /// A text such as `1m30s`; bounds in milliseconds.
    Duration {
        min_ms: u64,
        max_ms: u64,
    },
    /// A text such as `64k`, or a number of bytes.
    Bytes {
        min: u64,
        max: u64,
    },
    /// Names of variables, and texts.
    Env,
    /// A list of names of processes.
    Names,
    /// A list of ports.
    Ports,
    Map(&'static Table),
    /// A map, or the word `none`.
    MapOrNone(&'static Table),
    /// A list of maps.
    Maps(&'static Table),
}

/// The rules of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// A command line; an empty one counts as left out.
    Command,
    /// A command line; an empty one says that there is to be none.
    CommandOrNone,
    /// The name of a process.
    Name,
    /// The path of a URL.
    UrlPath,
    /// A directory inside.
    Directory,
}

/// The word for "there is to be none".
pub(crate) const NONE: &str = "none";

/// As regular expressions of JSON Schema, for editors.
pub(crate) mod pattern {
    pub(crate) const NAME: &str = "^[A-Za-z0-9_-]{1,64}$";
    pub(crate) const ENV_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]{0,255}$";
    pub(crate) const URL_PATH: &str = "^/[!-~]*$";
    /// Absolute, or parts that are not `..`: empty, `.`, or what begins with less or more than two dots.
    pub(crate) const DIRECTORY: &str = "^(/|(\\.?|[^/.][^/]*|\\.[^/.][^/]*|\\.\\.[^/]+)(/(\\.?|[^/.][^/]*|\\.[^/.][^/]*|\\.\\.[^/]+))*$)";
    pub(crate) const DURATION: &str = "^([0-9]+(ms|s|m|h))+$";
    pub(crate) const BYTES: &str = "^[0-9]+(B|k|K|KiB|M|MiB|G|GiB)?$";
    pub(crate) const NOT_BLANK: &str = "\\S";
}
