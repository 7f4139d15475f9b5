//! The title, the notice and the keys.

use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use crate::{
    output::units::counted,
    review::{
        draw::{Theme, fill, put},
        layout::{NOTICE_ROWS_MAX, notice_lines},
        state::{Busy, FilterKind, Focus, Notice, Screen, State},
        words,
    },
};

pub(super) fn title(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let [approved, rejected, partly, undecided] = state.counts();
    let mut text = format!(" {} → {}", state.sandbox, state.source);
    if state.set.is_some() {
        let mut facts = vec![counted(state.changes().len(), "change")];
        let marks = [
            ("approve", approved),
            ("reject", rejected),
            ("in part", partly),
            ("undecided", undecided),
        ];
        facts.extend(
            marks
                .iter()
                .filter(|(_word, count)| *count > 0)
                .map(|(word, count)| format!("{count} {word}")),
        );
        let facts = facts.join(", ");
        // The counts matter more than the end of a long path.
        let room = usize::from(area.width).saturating_sub(facts.chars().count() + 3);
        if text.chars().count() > room {
            text = text.chars().take(room.saturating_sub(1)).chain(['…']).collect();
        }
        let gap = room.saturating_sub(text.chars().count());
        text = format!("{text}{}  {facts} ", " ".repeat(gap));
    }
    put(buffer, area, 0, &Line::raw(text));
    fill(buffer, area, 0, theme.bar());
}

pub(super) fn notice(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let style = match &state.notice {
        None => return,
        Some(Notice::Info(_)) => theme.warning(),
        Some(Notice::Bad(_)) => theme.error(),
    };
    let lines = notice_lines(state);
    for (row, line) in (0..).zip(lines.iter().take(NOTICE_ROWS_MAX)) {
        put(buffer, area, row, &Line::styled(line.as_str(), style));
    }
    if lines.len() > usize::from(area.height) && area.height > 0 {
        let more = format!("… {} more lines", lines.len() + 1 - usize::from(area.height));
        fill(buffer, area, area.height - 1, theme.faint());
        let blank = " ".repeat(usize::from(area.width));
        put(buffer, area, area.height - 1, &Line::raw(blank));
        put(buffer, area, area.height - 1, &Line::styled(more, style));
    }
}

pub(super) fn keys(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    if let Screen::Search = state.screen {
        let line = format!("/{}▏", crate::output::visible::line(&state.filter.text));
        return put(buffer, area, 0, &Line::raw(line));
    }
    let question = question(state);
    let text = question.unwrap_or_else(|| hints(state).to_owned());
    let mut spans = Vec::new();
    // What a key is stands before its colon, and is strong.
    for (index, hint) in text.split("  ").enumerate() {
        if index > 0 {
            spans.push(Span::raw("  "));
        }
        let (key, what) = hint.split_once(' ').unwrap_or((hint, ""));
        spans.push(Span::styled(key.to_owned(), theme.strong()));
        spans.push(Span::styled(format!(" {what}"), theme.faint()));
    }
    put(buffer, area, 0, &Line::from(spans));
    if let Some(word) = status(state) {
        let width = u16::try_from(word.chars().count()).unwrap_or(0).min(area.width);
        let corner = Rect { x: area.right() - width, width, ..area };
        put(buffer, corner, 0, &Line::styled(word, theme.bar()));
    }
}

fn question(state: &State) -> Option<String> {
    match &state.screen {
        Screen::Every => Some(format!(
            "a approve  x reject  s undecide  Esc back — all {} shown",
            state.list.shown.len()
        )),
        Screen::Quit => Some(format!(
            "y quit, forgetting {}  w send them  Esc stay",
            counted(state.choices.len(), "decision")
        )),
        Screen::Undo(id) => Some(format!("y take back the last approve ({id})  Esc leave it")),
        Screen::Review | Screen::Search | Screen::Help => None,
        Screen::Summary(_) | Screen::Conflict { .. } => None,
    }
}

fn hints(state: &State) -> &'static str {
    match (&state.screen, state.focus) {
        (Screen::Help, _) => "any back",
        (Screen::Summary(summary), _) if summary.is_typing => "Enter done  Esc no reason",
        (Screen::Summary(summary), _) => {
            match (summary.orders.needs_yes.is_empty(), summary.orders.reject.is_empty()) {
                (true, true) => "Enter send  Esc back",
                (true, false) => "Enter send  i reason  Esc back",
                (false, true) => "space yes  Enter send  Esc back",
                (false, false) => "space yes  i reason  Enter send  Esc back",
            }
        }
        (Screen::Conflict { .. }, _) => {
            "o take yours  t take the sandbox's  s undecide  j/k scroll  Esc back"
        }
        _ if state.diff.pick.is_some() => {
            "space pick line  V all  a approve picked  x reject picked  Esc back"
        }
        (_, Focus::Files) => {
            "a approve  x reject  s skip  n next  Tab diff  / filter  w send  ? help  q quit"
        }
        (_, Focus::Diff) => {
            "a approve hunk  x reject  s skip  v lines  A/X file  Tab files  w send  ? help"
        }
    }
}

/// What is under way, or what is not shown.
fn status(state: &State) -> Option<String> {
    let filter = match (state.filter.text.is_empty(), state.filter.kind) {
        (true, FilterKind::All) => None,
        (false, FilterKind::All) => {
            Some(format!("/{}", crate::output::visible::line(&state.filter.text)))
        }
        (_, FilterKind::Undecided) => Some("undecided".to_owned()),
        (_, FilterKind::Flag(flag)) => Some(words::short(flag).to_owned()),
    };
    let word = match state.busy {
        Some(Busy::Loading) => "reading …".to_owned(),
        Some(Busy::Sending) => "sending …".to_owned(),
        Some(Busy::Undoing) => "taking back …".to_owned(),
        None => format!("only {}", filter?),
    };
    Some(format!(" {word} "))
}
