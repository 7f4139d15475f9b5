//! What things look like: with sixteen colors of the person's own terminal, or with none.

use ratatui_core::style::{Color, Modifier, Style};

use crate::review::{choice::Verdict, syntax::Class};

/// Whether there are colors. Without, everything still has a sign, a word or a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Colored,
    Plain,
}

impl Theme {
    fn color(self, color: Color) -> Style {
        match self {
            Self::Colored => Style::new().fg(color),
            Self::Plain => Style::new(),
        }
    }

    pub(crate) fn added(self) -> Style {
        self.color(Color::Green)
    }

    pub(crate) fn removed(self) -> Style {
        self.color(Color::Red)
    }

    pub(crate) fn heading(self) -> Style {
        self.color(Color::Cyan)
    }

    pub(crate) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(crate) fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(crate) fn warning(self) -> Style {
        self.color(Color::Yellow)
    }

    pub(crate) fn error(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Something that was written out because a terminal would have obeyed or hidden it.
    pub(crate) fn written_out(self) -> Style {
        self.color(Color::Magenta).add_modifier(Modifier::REVERSED)
    }

    pub(crate) fn verdict(self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::Approve => self.added().add_modifier(Modifier::BOLD),
            Verdict::Reject => self.removed().add_modifier(Modifier::BOLD),
        }
    }

    /// Code of a class on a line of `base`.
    pub(crate) fn class(self, class: Class, base: Style) -> Style {
        match (self, class) {
            (Self::Plain, Class::Keyword) => base.add_modifier(Modifier::BOLD),
            (Self::Plain, Class::Text | Class::Number | Class::Comment) => base,
            (Self::Colored, Class::Keyword) => base.fg(Color::Blue).add_modifier(Modifier::BOLD),
            (Self::Colored, Class::Text) => base.fg(Color::Yellow),
            (Self::Colored, Class::Number) => base.fg(Color::Cyan),
            (Self::Colored, Class::Comment) => base.add_modifier(Modifier::DIM | Modifier::ITALIC),
        }
    }

    /// The cursor, where the keys go (`true`) or not.
    pub(crate) fn cursor(self, has_keys: HasKeys) -> Style {
        match has_keys {
            HasKeys::Yes => Style::new().add_modifier(Modifier::REVERSED),
            HasKeys::No => Style::new().add_modifier(Modifier::UNDERLINED),
        }
    }
}

/// Whether keys go to the pane that is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HasKeys {
    Yes,
    No,
}
