//! Lets the output of a sandbox reach a real terminal without letting it reach beyond the screen.
//!
//! Programs inside draw as they like: text, colors, cursor, alternate screen, mouse, bracketed paste.
//! What acts on something other than the screen is dropped: clipboard (OSC 52), links (OSC 8), titles and their
//! reports (OSC 0 to 2, `CSI 21 t`), notifications, device control strings and their answers, the answerback of
//! ENQ, printing (`CSI i`), window operations. Eight-bit controls (C1) are dropped too: some terminals obey them.
//!
//! The filter also remembers which modes were switched on, so that the terminal can be given back as it was.

use std::collections::BTreeSet;

/// LIMIT: bytes of one control sequence; a longer one is not a sequence that any program means.
const SEQUENCE_BYTES_MAX: usize = 256;

/// A filter with the state of a stream: a sequence may be cut anywhere between two calls.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    state: State,
    sequence: Vec<u8>,
    modes: Modes,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// Inside `CSI … final`.
    Csi,
    /// Inside `OSC … (BEL | ST)`.
    Osc,
    /// After ESC inside an OSC: a backslash ends it.
    OscEscape,
    /// Inside DCS, SOS, PM or APC, which are dropped whole.
    Ignored,
    /// After ESC inside one of those.
    IgnoredEscape,
    /// Inside a UTF-8 character that wants this many more bytes.
    Utf8(u8),
}

/// What a program switched on and may have left on.
#[derive(Debug, Default)]
struct Modes {
    private_set: BTreeSet<u16>,
    private_reset: BTreeSet<u16>,
    keyboard_pushes: u16,
    styled: bool,
}

impl Filter {
    /// Appends to `out` what of `bytes` may be shown.
    pub(crate) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.step(byte, out);
        }
    }

    /// Returns what gives the terminal back as it was: modes that are still switched, colors, a hidden cursor.
    pub(crate) fn restore(&mut self) -> Vec<u8> {
        self.state = State::Ground;
        self.sequence.clear();
        self.modes.restore()
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Ground => self.ground(byte, out),
            State::Utf8(missing) => self.utf8(byte, missing, out),
            State::Escape => self.escape(byte, out),
            State::Csi => self.csi(byte, out),
            State::Osc => match byte {
                0x07 | 0x18 | 0x1a => self.end_osc(out),
                0x1b => self.state = State::OscEscape,
                _ => self.keep(byte),
            },
            State::OscEscape => {
                self.end_osc(out);
                // ESC \ ends it; ESC and anything else ends it as well, and begins something new.
                if byte != b'\\' {
                    self.escape(byte, out);
                }
            }
            State::Ignored => match byte {
                0x18 | 0x1a => self.state = State::Ground,
                0x1b => self.state = State::IgnoredEscape,
                _ => {}
            },
            State::IgnoredEscape => match byte {
                b'\\' => self.state = State::Ground,
                0x1b => {}
                // A device control string may hold escapes (tmux passes whole sequences that way): still inside.
                _ => self.state = State::Ignored,
            },
        }
    }

    fn ground(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            0x1b => {
                self.sequence.clear();
                self.state = State::Escape;
            }
            // BS HT LF VT FF CR, BEL, SO, SI and printable ASCII.
            0x07..=0x0f | 0x20..=0x7e => out.push(byte),
            0xc2..=0xdf => self.begin_utf8(byte, 1),
            0xe0..=0xef => self.begin_utf8(byte, 2),
            0xf0..=0xf4 => self.begin_utf8(byte, 3),
            // ENQ asks the terminal to type; lone bytes from 0x80 on are C1 controls to some terminals.
            0x00..=0x06 | 0x10..=0x1a | 0x1c..=0x1f | 0x7f | 0x80..=0xc1 | 0xf5..=0xff => {}
        }
    }

    fn begin_utf8(&mut self, byte: u8, missing: u8) {
        self.sequence.clear();
        self.sequence.push(byte);
        self.state = State::Utf8(missing);
    }

    fn utf8(&mut self, byte: u8, missing: u8, out: &mut Vec<u8>) {
        if !(0x80..=0xbf).contains(&byte) {
            self.state = State::Ground;
            return self.ground(byte, out);
        }
        self.sequence.push(byte);
        if missing > 1 {
            self.state = State::Utf8(missing - 1);
            return;
        }
        self.state = State::Ground;
        // U+0080 to U+009F are the C1 controls once more: xterm obeys them in UTF-8 as well.
        if !matches!(self.sequence[..], [0xc2, 0x80..=0x9f]) {
            out.extend_from_slice(&self.sequence);
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = match byte {
            b'[' => State::Csi,
            b']' => State::Osc,
            b'P' | b'X' | b'^' | b'_' => State::Ignored,
            0x1b => State::Escape,
            // Intermediates, as in `ESC ( B`: the final byte comes after them.
            0x20..=0x2f if self.sequence.len() < SEQUENCE_BYTES_MAX => {
                self.sequence.push(byte);
                return self.state = State::Escape;
            }
            // A lone string terminator says nothing; the rest ends a two-byte escape.
            b'\\' => State::Ground,
            0x30..=0x7e => {
                out.push(0x1b);
                out.append(&mut self.sequence);
                out.push(byte);
                State::Ground
            }
            _ => State::Ground,
        };
        self.sequence.clear();
    }

    fn csi(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            0x20..=0x3f => self.keep(byte),
            0x40..=0x7e => {
                self.state = State::Ground;
                if csi_is_allowed(&self.sequence, byte) {
                    self.modes.note(&self.sequence, byte);
                    out.extend_from_slice(b"\x1b[");
                    out.append(&mut self.sequence);
                    out.push(byte);
                }
            }
            0x1b => {
                self.sequence.clear();
                self.state = State::Escape;
            }
            0x18 | 0x1a | 0x7f..=0xff => self.state = State::Ground,
            // Terminals carry out C0 controls in the middle of a sequence; nobody means it.
            0x00..=0x17 | 0x19 | 0x1c..=0x1f => {}
        }
    }

    fn end_osc(&mut self, out: &mut Vec<u8>) {
        self.state = State::Ground;
        if osc_is_allowed(&self.sequence) {
            out.extend_from_slice(b"\x1b]");
            out.append(&mut self.sequence);
            out.extend_from_slice(b"\x1b\\");
        }
        self.sequence.clear();
    }

    /// Keeps a byte of a sequence. One that grows too long is dropped whole, not shown as text.
    fn keep(&mut self, byte: u8) {
        if self.sequence.len() < SEQUENCE_BYTES_MAX {
            self.sequence.push(byte);
        } else {
            self.sequence.fill(0xff);
        }
    }
}

impl Modes {
    /// Remembers `CSI ? … h`, `CSI ? … l`, keyboard pushes and styles.
    fn note(&mut self, parameters: &[u8], last: u8) {
        match (parameters.first(), last) {
            (Some(b'?'), b'h' | b'l') => {
                for mode in numbers(&parameters[1..]) {
                    let (now, before) = match last {
                        b'h' => (&mut self.private_set, &mut self.private_reset),
                        _ => (&mut self.private_reset, &mut self.private_set),
                    };
                    before.remove(&mode);
                    now.insert(mode);
                }
            }
            (Some(b'>'), b'u') => self.keyboard_pushes = self.keyboard_pushes.saturating_add(1),
            (Some(b'<'), b'u') => {
                let pops = numbers(&parameters[1..]).next().unwrap_or(1).max(1);
                self.keyboard_pushes = self.keyboard_pushes.saturating_sub(pops);
            }
            (_, b'm') => self.styled = !matches!(parameters, b"" | b"0"),
            (_, _) => {}
        }
    }

    fn restore(&mut self) -> Vec<u8> {
        /// Modes that a terminal has on by itself: wrapping and a visible cursor.
        const ON_BY_DEFAULT: [u16; 2] = [7, 25];
        let mut out = Vec::new();
        if self.keyboard_pushes > 0 {
            out.extend(format!("\x1b[<{}u", self.keyboard_pushes).into_bytes());
        }
        for mode in self.private_set.iter().filter(|mode| !ON_BY_DEFAULT.contains(mode)) {
            out.extend(format!("\x1b[?{mode}l").into_bytes());
        }
        for mode in self.private_reset.iter().filter(|mode| ON_BY_DEFAULT.contains(mode)) {
            out.extend(format!("\x1b[?{mode}h").into_bytes());
        }
        if self.styled {
            out.extend_from_slice(b"\x1b[0m");
        }
        *self = Self::default();
        out
    }
}

fn numbers(parameters: &[u8]) -> impl Iterator<Item = u16> {
    parameters.split(|b| *b == b';').filter_map(|number| str::from_utf8(number).ok()?.parse().ok())
}

fn csi_is_allowed(parameters: &[u8], last: u8) -> bool {
    if parameters.contains(&0xff) {
        return false;
    }
    match last {
        // Window operations: only questions about sizes. 20 and 21 make the terminal type its title.
        b't' => matches!(numbers(parameters).next(), Some(14 | 16 | 18 | 19)),
        // Media copy prints, or sends the screen to the program.
        b'i' => false,
        // Rectangle checksums (`* y`) read the screen back.
        b'y' => !parameters.contains(&b'*'),
        _ => true,
    }
}

/// Colors and their resets. A program learns the background from the answer to OSC 11, which is digits only.
fn osc_is_allowed(text: &[u8]) -> bool {
    let is_plain = text.iter().all(|b| matches!(b, 0x20..=0x7e));
    let number = text.split(|b| *b == b';').next().unwrap_or(text);
    is_plain && matches!(number, b"4" | b"10" | b"11" | b"12" | b"104" | b"110" | b"111" | b"112")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Filter::default().write(bytes, &mut out);
        out
    }

    #[test]
    fn what_draws_passes() {
        for bytes in [
            &b"plain text\r\n\ttab\x08"[..],
            "größe ✓ 漢字 🦀".as_bytes(),
            b"\x1b[1;31mred\x1b[0m\x1b[2J\x1b[10;5H\x1b[K",
            b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1006h",
            b"\x1b(B\x1b7\x1b8\x1bM\x1b=",
            b"\x1b[6n\x1b[c\x1b[18t\x1b[>1u",
            b"\x1b]11;?\x1b\\",
        ] {
            assert_eq!(filtered(bytes), bytes, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_reaches_beyond_the_screen_is_dropped() {
        for bytes in [
            &b"\x1b]52;c;cm0gLXJmIC8=\x07"[..],
            b"\x1b]52;c;cm0=\x1b\\",
            b"\x1b]0;title\x07",
            b"\x1b]2;title\x1b\\",
            b"\x1b]8;;http://evil\x1b\\",
            b"\x1b]9;hello\x07",
            b"\x1b[21t",
            b"\x1b[20t",
            b"\x1b[22;0t",
            b"\x1b[5i",
            b"\x1bP$qm\x1b\\",
            b"\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\",
            b"\x1b_Gf=100;AAAA\x1b\\",
            b"\x1b^secret\x1b\\",
            b"\x05",
            b"\x9b\x9d\x90",
            "\u{9b}\u{9d}\u{90}".as_bytes(),
        ] {
            assert_eq!(filtered(bytes).escape_ascii().to_string(), "", "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_endless_sequence_is_dropped_whole() {
        let bytes = [b"\x1b]11;".to_vec(), vec![b'a'; 10_000], b"\x07ok".to_vec()].concat();
        assert_eq!(filtered(&bytes), b"ok");
    }

    #[test]
    fn modes_left_on_are_taken_back() {
        let mut filter = Filter::default();
        filter.write(
            b"\x1b[?1049h\x1b[?25l\x1b[?2004;1000h\x1b[?2004l\x1b[>1u\x1b[31m",
            &mut Vec::new(),
        );
        assert_eq!(
            filter.restore().escape_ascii().to_string(),
            "\\x1b[<1u\\x1b[?1000l\\x1b[?1049l\\x1b[?25h\\x1b[0m"
        );
        assert_eq!(filter.restore(), b"");
    }

    proptest::proptest! {
        #[test]
        fn a_cut_changes_nothing(bytes in proptest::collection::vec(proptest::sample::select(&b"\x1b]P[\\052;?hlt\x07a\xc2\x9b\xff"[..]), 0..80), at in 0_usize..80) {
            let at = at.min(bytes.len());
            let mut cut = Vec::new();
            let mut filter = Filter::default();
            filter.write(&bytes[..at], &mut cut);
            filter.write(&bytes[at..], &mut cut);
            proptest::prop_assert_eq!(&cut, &filtered(&bytes));
            // Nothing that is let through is dropped by a second pass.
            proptest::prop_assert_eq!(filtered(&cut), cut);
        }
    }
}
