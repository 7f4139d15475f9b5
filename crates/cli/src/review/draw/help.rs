//! The keys, all of them.

use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use crate::review::draw::{Theme, put};

/// Keys and what they do; an empty key begins a group.
const KEYS: &[(&str, &str)] = &[
    ("a  x", "approve, reject: the file, or in the diff the hunk under the cursor"),
    ("s space", "skip: leave it, or make it, undecided"),
    ("A  X  S", "the same for the whole file, from within the diff"),
    ("e", "everything shown: then a, x or s"),
    ("v l", "pick lines of the hunk: space picks, a or x decides about the picked"),
    ("c", "where you and the sandbox changed the same lines: whose stand"),
    ("Enter w", "summary of what was decided, and send it"),
    ("u", "undo: take back the last approve"),
    ("r", "read the changes again; decisions about what stayed the same are kept"),
    ("Tab", "between the files and the diff"),
    ("j k g G", "down, up, first, last (arrows, Home and End too)"),
    ("] [", "next hunk, the one before (also J and K)"),
    ("PgUp PgDn", "scroll the diff (also Ctrl-U and Ctrl-D)"),
    ("< >", "scroll the diff to the side; › marks a line that goes on"),
    ("n", "next that is undecided"),
    ("/  f", "filter by text; by undecided and by each flag.  Esc shows everything"),
    ("q", "quit; asks when decisions are not sent.  Ctrl-Z pauses, Ctrl-L repaints"),
    ("marks", "· undecided  ✓ approve  ✗ reject  ~ in part  ! look twice"),
];

pub(super) fn draw(theme: Theme, area: Rect, buffer: &mut Buffer) {
    for (row, (key, what)) in (0..).zip(KEYS) {
        let line = Line::from(vec![
            Span::styled(format!(" {key:<10} "), theme.strong()),
            Span::raw(*what),
        ]);
        put(buffer, area, row, &line);
    }
}
