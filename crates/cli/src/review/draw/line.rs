//! One line of code as spans: safe to show, colored, with what changed in it marked.

use std::ops::Range;

use ratatui_core::{
    style::{Modifier, Style},
    text::Span,
};

use crate::{
    output::visible,
    review::{draw::Theme, syntax::Class},
};

/// Columns between tab stops.
const TAB_COLS: usize = 4;

/// What to know about a line to paint it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint<'a> {
    pub(crate) base: Style,
    pub(crate) classes: &'a [(Range<usize>, Class)],
    pub(crate) changed: &'a [Range<usize>],
}

/// The columns of `text` from `left` on that fit `width`; a `›` at the end says that there is more.
pub(crate) fn spans(
    text: &str,
    left: usize,
    width: usize,
    paint: Paint<'_>,
    theme: Theme,
) -> Vec<Span<'static>> {
    let mut out = Spans { spans: Vec::new(), column: 0, left, width };
    let mut classes = paint.classes.iter().peekable();
    let mut changed = paint.changed.iter().peekable();
    for (at, c) in text.char_indices() {
        while classes.next_if(|(range, _class)| range.end <= at).is_some() {}
        while changed.next_if(|range| range.end <= at).is_some() {}
        let mut style = match classes.peek() {
            Some((range, class)) if range.contains(&at) => theme.class(*class, paint.base),
            Some(_) | None => paint.base,
        };
        if changed.peek().is_some_and(|range| range.contains(&at)) {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let is_room = match c {
            '\t' => out.push(&" ".repeat(TAB_COLS - out.column % TAB_COLS), style),
            c if visible::is_deceptive(c) => {
                let mut bytes = [0; 4];
                out.push(&visible::line(c.encode_utf8(&mut bytes)), theme.written_out())
            }
            c => out.push(c.encode_utf8(&mut [0; 4]), style),
        };
        if !is_room {
            out.cut(theme.warning());
            break;
        }
    }
    out.spans
}

struct Spans {
    spans: Vec<Span<'static>>,
    column: usize,
    left: usize,
    width: usize,
}

impl Spans {
    /// Adds a character, or what is written for one; whether it was on the screen or to the left of it.
    fn push(&mut self, text: &str, style: Style) -> bool {
        let cols = Span::raw(text).width();
        let (begin, end) = (self.column, self.column + cols);
        if end > self.left + self.width {
            return false;
        }
        self.column = end;
        if begin < self.left {
            // A wide character that is cut by the edge leaves its rest blank.
            let rest = end.saturating_sub(self.left.max(begin));
            return rest == 0 || self.add(&" ".repeat(rest), style);
        }
        self.add(text, style)
    }

    fn add(&mut self, text: &str, style: Style) -> bool {
        match self.spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push_str(text),
            Some(_) | None => self.spans.push(Span::styled(text.to_owned(), style)),
        }
        true
    }

    /// Makes room for the mark of a cut, and sets it.
    fn cut(&mut self, style: Style) {
        let mut cols: usize = self.spans.iter().map(Span::width).sum();
        while cols + 1 > self.width {
            let Some(last) = self.spans.last_mut() else { return };
            let popped = last.content.to_mut().pop();
            if popped.is_none() {
                self.spans.pop();
            }
            cols = self.spans.iter().map(Span::width).sum();
        }
        self.spans.push(Span::styled("›", style.add_modifier(Modifier::BOLD)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, left: usize, width: usize) -> String {
        let paint = Paint { base: Style::new(), classes: &[], changed: &[] };
        spans(text, left, width, paint, Theme::Plain)
            .iter()
            .map(|span| span.content.as_ref())
            .collect()
    }

    #[test]
    fn a_line_is_cut_visibly() {
        for (text, left, width, expected) in [
            ("abc", 0, 3, "abc"),
            ("abcd", 0, 3, "ab›"),
            ("abcd", 2, 3, "cd"),
            ("a\tb", 0, 9, "a   b"),
            ("文字文", 0, 5, "文字›"),
            ("文字文", 0, 6, "文字文"),
            ("文字", 1, 6, " 字"),
            ("a\x1b[2Jb\u{202e}", 0, 40, "a\\x1b[2Jb\\u{202e}"),
            ("", 0, 3, ""),
        ] {
            assert_eq!(shown(text, left, width), expected, "{text:?} {left} {width}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_wider_than_its_room(text in ".{0,60}", left in 0_usize..30, width in 1_usize..40) {
            let shown = shown(&text, left, width);
            proptest::prop_assert!(Span::raw(shown.as_str()).width() <= width, "{:?}", shown);
            proptest::prop_assert!(!shown.chars().any(visible::is_deceptive));
        }
    }
}
