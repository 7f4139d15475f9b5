//! What will be sent, before it is.

use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};
use sandbar_types::{Part, Side};

use crate::{
    output::{units::counted, visible},
    review::{
        choice::Verdict,
        draw::{Theme, put},
        layout::wrapped,
        state::{State, Summary, path_text},
        words,
    },
};

/// LIMIT: paths of a list that are named; the rest is counted.
const NAMED_MAX: usize = 12;

pub(super) fn draw(
    state: &State,
    summary: &Summary,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let lines = lines(state, summary, theme, area.width);
    let top = summary.top.min(lines.len().saturating_sub(usize::from(area.height)));
    for (row, line) in (0..area.height).zip(lines.iter().skip(top)) {
        put(buffer, area, row, line);
    }
}

fn lines(state: &State, summary: &Summary, theme: Theme, cols: u16) -> Vec<Line<'static>> {
    let orders = &summary.orders;
    let mut out = Vec::new();
    // What went wrong comes first: it must not be scrolled away.
    for line in wrapped(&summary.trouble, cols) {
        out.push(Line::styled(format!(" {line}"), theme.error()));
    }
    asked(summary, theme, &mut out);
    let place = format!("Write to {}", state.source);
    parts(state, &place, &orders.approve, Verdict::Approve, theme, &mut out);
    parts(state, "Reject", &orders.reject, Verdict::Reject, theme, &mut out);
    if !orders.reject.is_empty() {
        let reason = visible::line(&summary.reason);
        let shown = match (summary.is_typing, reason.is_empty()) {
            (true, _) => format!("   reason: {reason}▏"),
            (false, true) => "   reason: none (i writes one; the agent can read it)".to_owned(),
            (false, false) => format!("   reason: {reason}"),
        };
        out.push(Line::raw(shown));
    }
    let left = orders.pending + orders.partly + orders.held_back.len();
    if left > 0 {
        let mut facts = Vec::new();
        if orders.pending > 0 {
            facts.push(format!("{} undecided", counted(orders.pending, "change")));
        }
        if orders.partly > 0 {
            facts.push(format!("the rest of {}", counted(orders.partly, "file")));
        }
        out.push(Line::styled(format!(" Left pending: {}", facts.join(", ")), theme.strong()));
        out.extend(orders.held_back.iter().map(|path| {
            Line::raw(format!("   {}: what is below it is decided otherwise", path_text(path)))
        }));
    }
    out
}

/// The flags that want an explicit yes.
fn asked(summary: &Summary, theme: Theme, out: &mut Vec<Line<'static>>) {
    if summary.orders.needs_yes.is_empty() {
        return;
    }
    out.push(Line::styled(" These want an explicit yes", theme.warning().patch(theme.strong())));
    for (index, (flag, paths)) in summary.orders.needs_yes.iter().enumerate() {
        let cross = if summary.said_yes.contains(flag) { "[yes]" } else { "[   ]" };
        let arrow = if index == summary.at { ">" } else { " " };
        out.push(Line::from(vec![
            Span::styled(format!(" {arrow} {cross} "), theme.strong()),
            Span::raw(format!("{} ({})", words::sentence(*flag), counted(paths.len(), "path"))),
        ]));
        for path in paths.iter().take(NAMED_MAX) {
            out.push(Line::styled(format!("           {}", path_text(path)), theme.warning()));
        }
        if paths.len() > NAMED_MAX {
            out.push(Line::raw(format!("           … and {} more", paths.len() - NAMED_MAX)));
        }
    }
}

fn parts(
    state: &State,
    title: &str,
    parts: &[Part],
    verdict: Verdict,
    theme: Theme,
    out: &mut Vec<Line<'static>>,
) {
    if parts.is_empty() {
        return;
    }
    let title = format!(" {title}: {}", counted(parts.len(), "path"));
    out.push(Line::styled(title, theme.verdict(verdict)));
    for part in parts.iter().take(NAMED_MAX) {
        let mut text = format!("   {}", path_text(&part.path));
        if !part.hunks.is_empty() {
            let lines: usize =
                part.hunks.iter().filter_map(|pick| pick.lines.as_ref()).map(Vec::len).sum();
            text = format!("{text}  ({}", counted(part.hunks.len(), "hunk"));
            text = match lines {
                0 => format!("{text})"),
                lines => format!("{text}, {} picked)", counted(lines, "line")),
            };
        }
        match state.resolutions.get(&part.path) {
            Some(Side::Ours) => text.push_str("  (yours where both changed it)"),
            Some(Side::Theirs) => text.push_str("  (the sandbox's where both changed it)"),
            None => {}
        }
        out.push(Line::raw(text));
    }
    if parts.len() > NAMED_MAX {
        out.push(Line::raw(format!("   … and {} more", parts.len() - NAMED_MAX)));
    }
}
