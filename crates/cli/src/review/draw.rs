//! The state as cells. Looks, and changes nothing.

mod bars;
mod conflict;
mod diff;
mod help;
mod line;
mod list;
mod summary;
mod theme;

use ratatui_core::{buffer::Buffer, layout::Rect, style::Style, text::Line};
pub(crate) use theme::Theme;

use crate::review::{
    layout::{is_too_small, layout},
    state::{Screen, State},
};

/// Paints the whole screen.
pub(crate) fn draw(state: &State, theme: Theme, buffer: &mut Buffer) {
    if is_too_small(state.size) {
        let lines = ["too small for a review", "at least 40 by 10 is needed", "q quits"];
        for (row, text) in (0..).zip(lines) {
            put(buffer, buffer.area, row, &Line::raw(text));
        }
        return;
    }
    let parts = layout(state);
    bars::title(state, theme, parts.title, buffer);
    match &state.screen {
        Screen::Help => help::draw(theme, parts.body, buffer),
        Screen::Summary(summary) => summary::draw(state, summary, theme, parts.body, buffer),
        Screen::Conflict { path, top } => {
            conflict::draw(state, path, *top, theme, parts.body, buffer);
        }
        Screen::Review | Screen::Search | Screen::Every | Screen::Undo(_) | Screen::Quit => {
            list::draw(state, theme, parts.list, buffer);
            diff::draw(state, theme, &parts, buffer);
        }
    }
    bars::notice(state, theme, parts.notice, buffer);
    bars::keys(state, theme, parts.keys, buffer);
}

/// Writes a line into a row of `area`, cut at its end.
fn put(buffer: &mut Buffer, area: Rect, row: u16, line: &Line<'_>) {
    if row < area.height && area.y + row < buffer.area.bottom() {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}

/// Gives a whole row a style.
fn fill(buffer: &mut Buffer, area: Rect, row: u16, style: Style) {
    if row < area.height {
        buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, style);
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
