//! The places of a file that host and sandbox both changed.

use ratatui_core::{buffer::Buffer, layout::Rect, style::Style, text::Line};
use sandbar_types::WorkspacePath;

use crate::{
    output::visible,
    review::{
        draw::{Theme, put},
        state::{State, path_text},
    },
};

pub(super) fn draw(
    state: &State,
    path: &WorkspacePath,
    top: usize,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let Some(text) = state.texts.text(path) else { return };
    let count = text.conflicts.len();
    let mut lines = vec![Line::styled(
        format!(" {}: you and the sandbox changed the same lines", path_text(path)),
        theme.strong(),
    )];
    for (number, region) in (1..).zip(&text.conflicts) {
        lines.push(Line::styled(format!(" {number} of {count}"), theme.heading()));
        let sides: [(&str, &[String], Style); 3] = [
            ("both began with", &region.base, theme.faint()),
            ("yours (o)", &region.ours, theme.removed()),
            ("the sandbox's (t)", &region.theirs, theme.added()),
        ];
        for (title, side, style) in sides {
            lines.push(Line::styled(format!("   {title}:"), theme.strong()));
            if side.is_empty() {
                lines.push(Line::styled("     (nothing)", theme.faint()));
            }
            lines.extend(side.iter().map(|line| {
                Line::styled(format!("     {}", visible::line(line.trim_end_matches('\n'))), style)
            }));
        }
    }
    let top = top.min(lines.len().saturating_sub(usize::from(area.height)));
    for (row, line) in (0..area.height).zip(lines.iter().skip(top)) {
        put(buffer, area, row, line);
    }
}
