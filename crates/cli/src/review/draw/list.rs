//! The list of changed paths.

use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};
use sandbar_types::Change;

use crate::{
    output::changes::{letter, lines},
    review::{
        choice::{Standing, Verdict},
        draw::{Theme, fill, put, theme::HasKeys},
        state::{Focus, State, path_text},
        words,
    },
};

pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    if state.list.shown.is_empty() {
        let text = match (&state.set, state.changes().is_empty(), state.busy) {
            (None, _, Some(_)) => "looking at the changes …",
            (None, _, None) => "the changes could not be read: r tries again",
            (Some(_), true, _) => "no changes: the sandbox has what your directory has",
            (Some(_), false, _) => "nothing passes the filter: Esc shows everything",
        };
        return put(buffer, area, 0, &Line::styled(format!(" {text}"), theme.faint()));
    }
    for row in 0..area.height {
        let at = state.list.top + usize::from(row);
        let Some(change) = state.shown(at) else { break };
        put(buffer, area, row, &line(state, change, theme, usize::from(area.width)));
        if at == state.list.at {
            let has_keys = if state.focus == Focus::Files { HasKeys::Yes } else { HasKeys::No };
            fill(buffer, area, row, theme.cursor(has_keys));
        }
    }
}

/// `✓ M src/main.rs  +2 -1 ⚑ executable`: the end of a path matters more than its beginning.
fn line(state: &State, change: &Change, theme: Theme, width: usize) -> Line<'static> {
    let (mark, style) = mark(state.choices.standing(&change.path), theme);
    let kind = letter(change.kind);
    let counts = lines(change);
    let flags = flags(change, width / 3);
    let mut tail = String::new();
    if !counts.is_empty() {
        tail = format!("  {counts}");
    }
    let taken = 5 + tail.chars().count() + flags.chars().count();
    let path = shortened(&path_text(&change.path), width.saturating_sub(taken).max(12));
    Line::from(vec![
        Span::styled(format!("{mark} "), style),
        Span::styled(format!("{kind} "), theme.heading()),
        Span::raw(path),
        Span::styled(tail, theme.faint()),
        Span::styled(flags, theme.warning()),
    ])
}

pub(super) fn mark(standing: Standing, theme: Theme) -> (&'static str, ratatui_core::style::Style) {
    match standing {
        Standing::Undecided => (" ·", theme.faint()),
        Standing::Approved => (" ✓", theme.verdict(Verdict::Approve)),
        Standing::Rejected => (" ✗", theme.verdict(Verdict::Reject)),
        Standing::Partly => (" ~", theme.warning()),
    }
}

/// The flags in words, as many as fit; what is left out is counted.
fn flags(change: &Change, room: usize) -> String {
    let words: Vec<_> = change.flags.iter().map(|flag| words::short(*flag)).collect();
    let (Some(first), count) = (words.first(), words.len()) else { return String::new() };
    let all = format!("  ! {}", words.join(", "));
    if all.chars().count() <= room {
        return all;
    }
    match count {
        1 => format!("  ! {first}"),
        more => format!("  ! {first} +{}", more - 1),
    }
}

/// Cuts the beginning of a path.
fn shortened(path: &str, width: usize) -> String {
    if Span::raw(path).width() <= width {
        return path.to_owned();
    }
    let mut rest = path.chars();
    while Span::raw(rest.as_str()).width() + 1 > width {
        if rest.next().is_none() {
            break;
        }
    }
    format!("…{}", rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_keeps_its_end() {
        assert_eq!(shortened("src/very/long/name.rs", 10), "…g/name.rs");
        assert_eq!(shortened("短い/名前", 6), "…/名前");
        assert_eq!(shortened("a", 6), "a");
    }
}
