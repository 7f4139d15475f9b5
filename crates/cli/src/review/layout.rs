//! What stands where on the terminal.

use ratatui_core::layout::Rect;

use crate::review::state::{Notice, Size, State};

/// LIMIT: below these a review cannot be read.
const COLS_MIN: u16 = 40;
const ROWS_MIN: u16 = 10;
/// From here on list and diff stand side by side.
const COLS_WIDE: u16 = 100;
/// LIMIT: rows of a notice; a longer one ends with how much is left out.
pub(crate) const NOTICE_ROWS_MAX: usize = 6;
/// LIMIT: sentences about flags above a diff.
pub(crate) const FLAG_ROWS_MAX: usize = 3;

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) title: Rect,
    pub(crate) list: Rect,
    /// The rows of the diff pane above the rows of the diff: a heading, and the flags.
    pub(crate) heading: Rect,
    pub(crate) diff: Rect,
    /// Between list and diff, when they stand side by side.
    pub(crate) rule: Option<Rect>,
    pub(crate) notice: Rect,
    pub(crate) keys: Rect,
    /// Everything between title and keys.
    pub(crate) body: Rect,
}

/// Whether there is room for anything.
pub(crate) fn is_too_small(size: Size) -> bool {
    size.cols < COLS_MIN || size.rows < ROWS_MIN
}

/// The parts of the screen for `state`.
pub(crate) fn layout(state: &State) -> Layout {
    let Size { cols, rows } = state.size;
    let wanted = notice_lines(state).len().min(NOTICE_ROWS_MAX);
    let notice_rows = u16::try_from(wanted).unwrap_or(0).min(rows.saturating_sub(6));
    let body = Rect::new(0, 1, cols, rows.saturating_sub(2 + notice_rows));
    let flags = state.current().map_or(0, |change| change.flags.len().min(FLAG_ROWS_MAX));
    let merge =
        usize::from(state.text().is_some_and(|text| text.merge != sandbar_api::MergeState::None));
    let heading_rows = u16::try_from(1 + flags + merge).unwrap_or(1).min(body.height / 2);
    let (list, rule, pane) = if cols >= COLS_WIDE {
        let width = (cols * 7 / 20).clamp(34, 56);
        let list = Rect { width, ..body };
        let rule = Rect { x: width, width: 1, ..body };
        (list, Some(rule), Rect { x: width + 1, width: cols - width - 1, ..body })
    } else {
        let height = (body.height / 3).clamp(2, 8);
        let below = body.height.saturating_sub(height);
        (Rect { height, ..body }, None, Rect { y: body.y + height, height: below, ..body })
    };
    Layout {
        title: Rect::new(0, 0, cols, 1.min(rows)),
        list,
        heading: Rect { height: heading_rows, ..pane },
        diff: Rect {
            y: pane.y + heading_rows,
            height: pane.height.saturating_sub(heading_rows),
            ..pane
        },
        rule,
        notice: Rect::new(0, body.bottom(), cols, notice_rows),
        keys: Rect::new(0, rows.saturating_sub(1), cols, 1.min(rows)),
        body,
    }
}

/// The lines of the notice, cut to the width of the screen.
pub(crate) fn notice_lines(state: &State) -> Vec<String> {
    match &state.notice {
        None => Vec::new(),
        Some(Notice::Info(line)) => wrapped(std::slice::from_ref(line), state.size.cols),
        Some(Notice::Bad(lines)) => wrapped(lines, state.size.cols),
    }
}

/// Breaks lines at blanks so that they fit; a longer word is broken where the width ends.
pub(crate) fn wrapped(lines: &[String], cols: u16) -> Vec<String> {
    use ratatui_core::text::Span;

    let width = usize::from(cols.max(10)) - 1;
    let mut out = Vec::new();
    for line in lines.iter().flat_map(|line| line.split('\n')) {
        let mut rest = String::new();
        for word in line.split_inclusive(' ') {
            if Span::raw(format!("{rest}{}", word.trim_end())).width() > width && !rest.is_empty() {
                out.push(std::mem::take(&mut rest));
            }
            rest.push_str(word);
            while Span::raw(rest.as_str()).width() > width + 1 {
                let mut head = String::new();
                let mut tail = rest.chars();
                for c in tail.by_ref() {
                    head.push(c);
                    if Span::raw(head.as_str()).width() >= width {
                        break;
                    }
                }
                rest = tail.collect();
                out.push(head);
            }
        }
        out.push(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_to_the_width() {
        let lines =
            ["one two three four".to_owned(), "x".repeat(25), "文字文字文字文字".to_owned()];
        let out = wrapped(&lines, 11);
        assert!(
            out.iter().all(|line| ratatui_core::text::Span::raw(line.trim_end()).width() <= 11),
            "{out:?}"
        );
        assert_eq!(out.concat().replace(' ', ""), lines.concat().replace(' ', ""));
    }

    #[test]
    fn every_part_is_on_the_screen() {
        for cols in [40, 80, 99, 100, 120, 400] {
            for rows in [10, 11, 24, 40, 200] {
                let mut state = State::new(String::new(), String::new(), Size { cols, rows });
                for lines in 0..9 {
                    state.notice = Some(Notice::Bad(vec!["x".to_owned(); lines]));
                    let all = layout(&state);
                    let screen = Rect::new(0, 0, cols, rows);
                    for part in [all.title, all.list, all.heading, all.diff, all.notice, all.keys] {
                        assert_eq!(part.intersection(screen), part, "{cols}x{rows}: {all:?}");
                    }
                    assert!(all.list.height >= 1 && all.diff.height >= 1, "{cols}x{rows}: {all:?}");
                }
            }
        }
    }
}
