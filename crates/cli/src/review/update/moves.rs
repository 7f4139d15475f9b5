//! Moving the cursors, and keeping them on the screen.

use crate::review::{
    choice::Standing,
    key::Key,
    layout,
    state::{DiffView, Focus, State},
    update::diff_rows,
};

/// Columns of a step to the side.
const STEP_COLS: usize = 8;

/// Keys that move.
pub(super) fn keys(state: &mut State, key: Key) {
    match (key, state.focus) {
        (Key::Tab, Focus::Files) => state.focus = Focus::Diff,
        (Key::Tab, Focus::Diff) => state.focus = Focus::Files,
        (Key::Char('n'), _) => to_undecided(state),
        (Key::Char(']' | 'J'), _) => by_hunk(state, 1),
        (Key::Char('[' | 'K'), _) => by_hunk(state, -1),
        (Key::Right, Focus::Files) => state.focus = Focus::Diff,
        (Key::Left, Focus::Diff) if state.diff.left == 0 => state.focus = Focus::Files,
        (Key::Left | Key::Char('<'), _) => {
            state.diff.left = state.diff.left.saturating_sub(STEP_COLS);
        }
        (Key::Right | Key::Char('>'), _) => state.diff.left += STEP_COLS,
        (Key::PageDown | Key::Ctrl('d' | 'f'), _) => by_row(state, page(state)),
        (Key::PageUp | Key::Ctrl('u' | 'b'), _) => by_row(state, -page(state)),
        (Key::Down | Key::Char('j'), Focus::Files) => to_file(state, state.list.at + 1),
        (Key::Up | Key::Char('k'), Focus::Files) => to_file(state, state.list.at.saturating_sub(1)),
        (Key::Home | Key::Char('g'), Focus::Files) => to_file(state, 0),
        (Key::End | Key::Char('G'), Focus::Files) => to_file(state, usize::MAX),
        (Key::Down | Key::Char('j'), Focus::Diff) => by_row(state, 1),
        (Key::Up | Key::Char('k'), Focus::Diff) => by_row(state, -1),
        (Key::Home | Key::Char('g'), Focus::Diff) => state.diff.at = 0,
        (Key::End | Key::Char('G'), Focus::Diff) => state.diff.at = usize::MAX,
        _ => {}
    }
}

fn page(state: &State) -> isize {
    isize::try_from(diff_rows(state).saturating_sub(1).max(1)).unwrap_or(1)
}

/// Puts the cursor on a row of the list.
pub(super) fn to_file(state: &mut State, row: usize) {
    let row = row.min(state.list.shown.len().saturating_sub(1));
    if row != state.list.at {
        state.list.at = row;
        state.diff = DiffView::default();
    }
}

pub(super) fn by_row(state: &mut State, rows: isize) {
    let last = state.text().map_or(0, |text| text.rows.len().saturating_sub(1));
    state.diff.at = state.diff.at.saturating_add_signed(rows).min(last);
}

fn by_hunk(state: &mut State, hunks: isize) {
    let Some(text) = state.text() else { return };
    let Some((index, _hunk)) = text.hunk_at(state.diff.at) else { return };
    let last = text.hunks.len().saturating_sub(1);
    // Back goes to the beginning of this one first.
    let is_inside = hunks < 0 && state.diff.at > text.heading(index);
    let next = if is_inside { index } else { index.saturating_add_signed(hunks).min(last) };
    state.diff.at = text.heading(next);
    show_whole_hunk(state);
}

/// Scrolls so that the hunk under the cursor is on the screen, as far as it fits.
pub(super) fn show_whole_hunk(state: &mut State) {
    let height = diff_rows(state);
    let Some(text) = state.text() else { return };
    let Some((index, hunk)) = text.hunk_at(state.diff.at) else { return };
    let begin = text.heading(index);
    let end = begin + hunk.lines.len() + 1;
    if begin < state.diff.top || end > state.diff.top + height {
        // At the bottom if it fits, so that what was read stays; else its beginning at the top.
        state.diff.top = end.saturating_sub(height).min(begin);
    }
}

/// Puts the cursor on the next path that is undecided, from here around.
pub(super) fn to_undecided(state: &mut State) {
    let rows = state.list.shown.len();
    let next = (1..=rows).map(|step| (state.list.at + step) % rows.max(1)).find(|row| {
        state.shown(*row).is_some_and(|change| {
            matches!(state.choices.standing(&change.path), Standing::Undecided | Standing::Partly)
        })
    });
    if let Some(row) = next {
        to_file(state, row);
    }
}

/// Makes the list again after another filter or other changes, with the cursor on the same path if it still is there.
pub(super) fn refilter(state: &mut State) {
    let path = state.current().map(|change| change.path.clone());
    state.list.shown = state.filtered();
    let row = path.as_ref().and_then(|path| {
        state.list.shown.iter().position(|index| state.changes()[*index].path == *path)
    });
    match row {
        Some(row) => state.list.at = row,
        None => {
            state.list.at = 0;
            state.diff = DiffView::default();
        }
    }
}

/// Keeps both cursors on what there is, and what is under them on the screen.
pub(super) fn settle(state: &mut State) {
    let rows = state.list.shown.len();
    state.list.at = state.list.at.min(rows.saturating_sub(1));
    let height = usize::from(layout::layout(state).list.height).max(1);
    state.list.top = scrolled(state.list.top, state.list.at, height, rows);
    let (rows, height) = (state.text().map_or(0, |text| text.rows.len()), diff_rows(state));
    // While the text is not here yet, the place in it is kept.
    if rows > 0 {
        state.diff.at = state.diff.at.min(rows - 1);
        state.diff.top = scrolled(state.diff.top, state.diff.at, height, rows);
    }
}

/// The first row on the screen, so that `at` is on it and no room is left over.
fn scrolled(top: usize, at: usize, height: usize, rows: usize) -> usize {
    top.min(at).max((at + 1).saturating_sub(height)).min(rows.saturating_sub(height)).min(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_always_on_the_screen() {
        for rows in 1..12 {
            for at in 0..rows {
                for top in 0..15 {
                    for height in 1..8 {
                        let top = scrolled(top, at, height, rows);
                        assert!(top <= at && at < top + height, "{rows} {at} {top} {height}");
                    }
                }
            }
        }
    }
}
