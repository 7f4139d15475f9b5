//! The diff of the path under the cursor: only the rows that are on the screen are looked at.

use std::ops::Range;

use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use sandbar_api::{Hunk, HunkLine, LineKind, MergeState};
use sandbar_types::Change;

use crate::{
    output::{changes::letter, units::counted},
    review::{
        choice::{HunkChoice, Verdict},
        draw::{
            Theme, fill,
            line::{Paint, spans},
            list, put,
            theme::HasKeys,
        },
        emphasis,
        layout::{FLAG_ROWS_MAX, Layout},
        state::{Focus, State, path_text},
        syntax::Inside,
        text::{Loaded, Row, Text},
        words,
    },
};

/// LIMIT: lines above the screen that are read for the state of a comment.
const LINES_ABOVE_MAX: usize = 200;
/// LIMIT: removed and added lines in a row that are compared word by word.
const RUN_LINES_MAX: usize = 60;

pub(super) fn draw(state: &State, theme: Theme, parts: &Layout, buffer: &mut Buffer) {
    if let Some(rule) = parts.rule {
        for row in 0..rule.height {
            put(buffer, rule, row, &Line::styled("│", theme.faint()));
        }
    }
    let Some(change) = state.current() else { return };
    heading(state, change, theme, parts.heading, buffer);
    match state.texts.of(&change.path) {
        Some(Loaded::Failed(lines)) => {
            for (row, line) in (0..).zip(lines) {
                put(buffer, parts.diff, row, &Line::styled(line.as_str(), theme.error()));
            }
        }
        Some(Loaded::Text(text)) if !text.rows.is_empty() => {
            rows(state, change, text, theme, parts.diff, buffer);
        }
        None if change.lines.is_some() => {
            put(buffer, parts.diff, 0, &Line::styled(" reading …", theme.faint()));
        }
        Some(Loaded::Text(_)) | None => {
            for (row, line) in (0..).zip(words::sides(change)) {
                put(buffer, parts.diff, row, &Line::raw(format!(" {line}")));
            }
        }
    }
}

/// The path, what happened to it, and what to know before saying yes.
fn heading(state: &State, change: &Change, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut facts = words::kind(change.kind).to_owned();
    if let Some(from) = &change.renamed_from {
        facts = format!("{facts}, probably was {}", path_text(from));
    }
    if let Some(text) = state.texts.text(&change.path).filter(|text| text.hunks.len() > 1) {
        facts = format!("{facts}, {}", counted(text.hunks.len(), "hunk"));
    }
    let (mark, style) = list::mark(state.choices.standing(&change.path), theme);
    let line = Line::from(vec![
        Span::styled(mark, style),
        Span::styled(
            format!(" {} {}", letter(change.kind), path_text(&change.path)),
            theme.strong(),
        ),
        Span::raw(format!("  {facts}")),
    ]);
    put(buffer, area, 0, &line);
    fill(buffer, area, 0, theme.bar());
    let mut sentences: Vec<_> = change
        .flags
        .iter()
        .take(FLAG_ROWS_MAX)
        .map(|flag| format!(" ! {}", words::sentence(*flag)))
        .collect();
    if change.flags.len() > FLAG_ROWS_MAX
        && let Some(last) = sentences.last_mut()
    {
        let all: Vec<_> =
            change.flags.iter().skip(FLAG_ROWS_MAX - 1).map(|flag| words::short(*flag)).collect();
        *last = format!(" ! {}", all.join(", "));
    }
    let merge = state.texts.text(&change.path).map_or(MergeState::None, |text| text.merge);
    sentences.extend(
        match merge {
            MergeState::None => None,
            MergeState::Clean => Some(" ± you changed it elsewhere: both are merged"),
            MergeState::Conflict => {
                Some(" ! you and the sandbox changed the same lines: c decides whose stand")
            }
            MergeState::NoBase => {
                Some(" ! you changed it too, and it cannot be merged: c decides whose counts")
            }
        }
        .map(str::to_owned),
    );
    for (row, sentence) in (1..).zip(&sentences) {
        put(buffer, area, row, &Line::styled(sentence.as_str(), theme.warning()));
    }
}

fn rows(
    state: &State,
    change: &Change,
    text: &Text,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let digits = text
        .hunks
        .last()
        .map_or(1, |hunk| (hunk.old_start + hunk.old_lines).max(hunk.new_start + hunk.new_lines))
        .to_string()
        .len();
    let gutter = digits + 4;
    let mut coloring = Coloring::before(text, state.diff.top);
    let is_picking = state.diff.pick.is_some();
    for row in 0..area.height {
        let at = state.diff.top + usize::from(row);
        let Some(shown) = text.rows.get(at).copied() else { break };
        let Some(hunk) = text.hunks.get(shown.hunk()) else { break };
        let choice = state.choices.hunk(&change.path, hunk.id);
        match shown {
            Row::Heading { hunk: index } => {
                coloring = Coloring::default();
                let line = hunk_heading(text, index, hunk, choice.as_ref(), theme);
                put(buffer, area, row, &line);
            }
            Row::Line { hunk: index, line, number } => {
                let Some(content) = text.line(index, line) else { break };
                let (mark, mark_style) =
                    line_mark(state, hunk, line, content, choice.as_ref(), theme);
                let (sign, base) = sign(content.kind, theme);
                let mut all = vec![
                    Span::styled(mark, mark_style),
                    Span::styled(format!("{number:>digits$} "), theme.faint()),
                    Span::styled(sign, base),
                ];
                let classes = coloring.pieces(text, content);
                let changed = changed_words(hunk, line);
                let paint = Paint { base, classes: &classes, changed: &changed };
                let room = usize::from(area.width).saturating_sub(gutter + 1);
                all.extend(spans(&content.text, state.diff.left, room, paint, theme));
                if !content.has_newline {
                    all.push(Span::styled(" (no newline at the end)", theme.faint()));
                }
                put(buffer, area, row, &Line::from(all));
            }
        }
        if at == state.diff.at {
            let has_keys = if state.focus == Focus::Diff { HasKeys::Yes } else { HasKeys::No };
            let cells =
                Rect { width: u16::try_from(gutter - 1).unwrap_or(1).min(area.width), ..area };
            let is_heading = matches!(shown, Row::Heading { .. });
            let cells = if is_heading && !is_picking { area } else { cells };
            if state.focus == Focus::Diff {
                fill(buffer, cells, row, theme.cursor(has_keys));
            }
        }
    }
}

fn hunk_heading(
    text: &Text,
    index: usize,
    hunk: &Hunk,
    choice: Option<&HunkChoice>,
    theme: Theme,
) -> Line<'static> {
    let Hunk { old_start, old_lines, new_start, new_lines, .. } = hunk;
    let range = format!(
        " hunk {}/{} @@ -{old_start},{old_lines} +{new_start},{new_lines} @@",
        index + 1,
        text.hunks.len()
    );
    let mut spans = vec![Span::styled(range, theme.heading())];
    if let Some(HunkChoice { verdict, lines }) = choice {
        let what = match verdict {
            Verdict::Approve => "✓ approve",
            Verdict::Reject => "✗ reject",
        };
        let what = match lines {
            None => format!("  {what}"),
            Some(lines) => format!("  {what} {}", counted(lines.len(), "line")),
        };
        spans.push(Span::styled(what, theme.verdict(*verdict)));
    }
    Line::from(spans)
}

/// How a line stands: picked, or decided with its hunk.
fn line_mark(
    state: &State,
    hunk: &Hunk,
    line: usize,
    content: &HunkLine,
    choice: Option<&HunkChoice>,
    theme: Theme,
) -> (&'static str, Style) {
    if content.kind == LineKind::Context {
        return ("  ", Style::new());
    }
    let number = u32::try_from(line).unwrap_or(u32::MAX);
    if let Some(pick) = state.diff.pick.as_ref().filter(|pick| pick.hunk == hunk.id) {
        return if pick.lines.contains(&number) {
            ("● ", theme.strong())
        } else {
            ("○ ", theme.faint())
        };
    }
    match choice {
        Some(HunkChoice { verdict, lines })
            if lines.as_ref().is_none_or(|lines| lines.contains(&number)) =>
        {
            match verdict {
                Verdict::Approve => ("✓ ", theme.verdict(Verdict::Approve)),
                Verdict::Reject => ("✗ ", theme.verdict(Verdict::Reject)),
            }
        }
        Some(_) | None => ("  ", Style::new()),
    }
}

fn sign(kind: LineKind, theme: Theme) -> (&'static str, Style) {
    match kind {
        LineKind::Context => (" ", Style::new()),
        LineKind::Added => ("+", theme.added()),
        LineKind::Removed => ("-", theme.removed()),
    }
}

/// Where comments stand, in the text of either side.
#[derive(Debug, Clone, Copy, Default)]
struct Coloring {
    old: Inside,
    new: Inside,
}

impl Coloring {
    /// As it is above row `top`, read from the beginning of its hunk or a little above.
    fn before(text: &Text, top: usize) -> Self {
        let mut coloring = Self::default();
        for row in text.rows.iter().take(top).skip(top.saturating_sub(LINES_ABOVE_MAX)) {
            match row {
                Row::Heading { .. } => coloring = Self::default(),
                Row::Line { hunk, line, .. } => {
                    if let Some(content) = text.line(*hunk, *line) {
                        drop(coloring.pieces(text, content));
                    }
                }
            }
        }
        coloring
    }

    fn pieces(
        &mut self,
        text: &Text,
        line: &HunkLine,
    ) -> Vec<(Range<usize>, crate::review::syntax::Class)> {
        let inside = if line.kind == LineKind::Removed { self.old } else { self.new };
        let (pieces, after) = text.language.pieces(&line.text, inside);
        match line.kind {
            LineKind::Context => (self.old, self.new) = (after, after),
            LineKind::Added => self.new = after,
            LineKind::Removed => self.old = after,
        }
        pieces
    }
}

/// What changed within a line, against the one that it stands for: the n-th removed line and the n-th added one.
fn changed_words(hunk: &Hunk, line: usize) -> Vec<Range<usize>> {
    let Some(partner) = partner(&hunk.lines, line) else { return Vec::new() };
    let (mine, other) = (&hunk.lines[line], &hunk.lines[partner]);
    let (old, new) = match mine.kind {
        LineKind::Removed => (mine, other),
        LineKind::Added | LineKind::Context => (other, mine),
    };
    match (emphasis::differences(&old.text, &new.text), mine.kind) {
        (Some((removed, _added)), LineKind::Removed) => removed,
        (Some((_removed, added)), LineKind::Added | LineKind::Context) => added,
        (None, _) => Vec::new(),
    }
}

/// The line that `line` stands for, when as many lines came as went.
fn partner(lines: &[HunkLine], line: usize) -> Option<usize> {
    let kind = lines.get(line)?.kind;
    let run = |from: usize, kind: LineKind| {
        lines.iter().skip(from).take(RUN_LINES_MAX + 1).take_while(|line| line.kind == kind).count()
    };
    let back = |from: usize, kind: LineKind| {
        let before = &lines[..from];
        before.iter().rev().take(RUN_LINES_MAX + 1).take_while(|line| line.kind == kind).count()
    };
    let (first_removed, first_added) = match kind {
        LineKind::Context => return None,
        LineKind::Removed => {
            let first = line - back(line, LineKind::Removed);
            (first, first + run(first, LineKind::Removed))
        }
        LineKind::Added => {
            let first = line - back(line, LineKind::Added);
            (first - back(first, LineKind::Removed), first)
        }
    };
    let (removed, added) = (first_added - first_removed, run(first_added, LineKind::Added));
    if removed != added || removed > RUN_LINES_MAX {
        return None;
    }
    match kind {
        LineKind::Context => None,
        LineKind::Removed => Some(first_added + (line - first_removed)),
        LineKind::Added => Some(first_removed + (line - first_added)),
    }
}
