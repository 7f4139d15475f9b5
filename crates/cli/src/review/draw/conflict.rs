//! The places of a file that host and sandbox both changed.

use ratatui_core::{buffer::Buffer, layout::Rect, style::Style, text::Line};
use sandbar_types::{LineText, MergeConflict, WorkspacePath};

use crate::{
    output::visible,
    review::{
        choice::find,
        draw::{Theme, put},
        state::{State, path_text},
        words,
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
    let conflicts = state.texts.text(path).map_or(&[][..], |text| &text.conflicts);
    let what = if conflicts.is_empty() {
        "you changed it too, and it cannot be merged"
    } else {
        "you and the sandbox changed the same lines; everything else is merged"
    };
    let mut lines = vec![
        Line::styled(format!(" {}", path_text(path)), theme.strong()),
        Line::raw(format!(" {what}.")),
    ];
    if conflicts.is_empty()
        && let Some(change) = find(state.changes(), path)
    {
        lines.extend(words::sides(change).map(|side| Line::raw(format!("   {side}"))));
    }
    for (number, region) in (1..).zip(conflicts) {
        lines.push(Line::styled(
            format!(" {number} of {}, at your line {}", conflicts.len(), region.ours_start),
            theme.heading(),
        ));
        self::region(region, theme, &mut lines);
    }
    let top = top.min(lines.len().saturating_sub(usize::from(area.height)));
    for (row, line) in (0..area.height).zip(lines.iter().skip(top)) {
        put(buffer, area, row, line);
    }
}

fn region(region: &MergeConflict, theme: Theme, lines: &mut Vec<Line<'static>>) {
    let sides: [(&str, &[LineText], Style); 3] = [
        ("both began with", &region.base, theme.faint()),
        ("o  yours", &region.ours, theme.removed()),
        ("t  the sandbox's", &region.theirs, theme.added()),
    ];
    for (title, side, style) in sides {
        lines.push(Line::styled(format!("   {title}:"), theme.strong()));
        if side.is_empty() {
            lines.push(Line::styled("     (nothing)", theme.faint()));
        }
        lines.extend(side.iter().map(|line| {
            let text = line.0.strip_suffix(b"\n").unwrap_or(&line.0);
            Line::styled(format!("     {}", visible::line(text)), style)
        }));
    }
}
