//! Screens, as a person sees them.

use ratatui_core::{backend::TestBackend, terminal::Terminal};

use super::*;
use crate::review::{
    key::Key,
    sample,
    state::{Event, Notice, Size},
    update::update,
};

fn screen(state: &State) -> String {
    let Size { cols, rows } = state.size;
    let mut terminal = Terminal::new(TestBackend::new(cols, rows)).unwrap();
    terminal.draw(|frame| draw(state, Theme::Plain, frame.buffer_mut())).unwrap();
    terminal.backend().to_string()
}

fn after(keys: &str, cols: u16, rows: u16) -> State {
    let (mut state, _effects) = update(sample::loaded(), Event::Size(Size { cols, rows }));
    for c in keys.chars() {
        let key = match c {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            c => Key::Char(c),
        };
        state = update(state, Event::Key(key)).0;
    }
    state
}

#[test]
fn screens_are_as_they_were_looked_at() {
    for (cols, rows) in [(80, 24), (120, 40)] {
        for (name, keys) in [
            ("files", "ajjx"),
            ("hunks", "G\ta"),
            ("lines", "G\tv "),
            ("sides", "j"),
            ("summary", "aG\taxw"),
            ("help", "?"),
            ("every", "e"),
            ("quit", "aq"),
            ("search", "/cart"),
        ] {
            let name = format!("{name}_{cols}x{rows}");
            insta::assert_snapshot!(name, screen(&after(keys, cols, rows)));
        }
    }
}

#[test]
fn a_collision_is_shown_side_by_side() {
    let mut state = after("G", 80, 24);
    sample::collide(&mut state);
    insta::assert_snapshot!("collision_80x24", screen(&state));
    let (state, _effects) = update(state, Event::Key(Key::Char('c')));
    insta::assert_snapshot!("collision_sides_80x24", screen(&state));
}

#[test]
fn an_error_is_shown_with_its_hint() {
    let mut state = after("", 80, 24);
    let lines = (1..10).map(|n| format!("error {n} \u{2026} of many"));
    state.notice = Some(Notice::Bad(lines.collect()));
    insta::assert_snapshot!("error_80x24", screen(&state));
}

#[test]
fn a_tiny_terminal_says_so() {
    assert!(screen(&after("", 39, 24)).contains("too small"));
    assert!(screen(&after("", 80, 9)).contains("too small"));
    assert!(!screen(&after("", 40, 10)).contains("too small"));
}

#[test]
fn nothing_deceptive_reaches_the_terminal() {
    let mut state = after("", 120, 40);
    for _file in 0..state.changes().len() {
        let shown = screen(&state);
        let is_bad = |c: char| c != '\n' && crate::output::visible::is_deceptive(c);
        assert!(!shown.chars().any(is_bad), "{shown}");
        state = update(state, Event::Key(Key::Char('j'))).0;
    }
}

#[test]
fn colors_say_nothing_that_signs_do_not() {
    let state = after("G\ta", 80, 24);
    let paint = |theme| {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
        draw(&state, theme, &mut buffer);
        buffer
    };
    let symbols = |buffer: &Buffer| -> Vec<String> {
        buffer.content().iter().map(|cell| cell.symbol().to_owned()).collect()
    };
    let (plain, colored) = (paint(Theme::Plain), paint(Theme::Colored));
    assert_eq!(symbols(&plain), symbols(&colored));
    let is_colorless = |cell: &ratatui_core::buffer::Cell| {
        cell.fg == ratatui_core::style::Color::Reset && cell.bg == ratatui_core::style::Color::Reset
    };
    assert!(plain.content().iter().all(is_colorless));
    assert!(!colored.content().iter().all(is_colorless));
}
