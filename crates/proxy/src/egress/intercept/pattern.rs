//! Finds values in what comes back, in the forms that a program could read them in, over the borders of chunks.

use std::{collections::HashMap, fmt, sync::Arc};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use bytes::{Bytes, BytesMut};
use sandbar_types::escaped;
use zeroize::Zeroizing;

use super::credential::Credential;

/// A form that is shorter is in too much of what has nothing to do with it.
const FORM_BYTES_MIN: usize = 8;

/// What is looked for, and what is put in its place: as many bytes of the same form.
struct Form {
    found: Zeroizing<Vec<u8>>,
    put: Vec<u8>,
    /// Whose it is, by its place.
    of: usize,
}

/// Every form of every value.
pub(super) struct Patterns {
    automaton: Option<AhoCorasick>,
    forms: Vec<Form>,
    names: Vec<String>,
    longest: usize,
    /// Whether a form begins with this byte.
    begins: [bool; 256],
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patterns").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Default for Patterns {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Patterns {
    pub(super) fn new(credentials: &[Arc<Credential>]) -> Self {
        let mut by_bytes: HashMap<Vec<u8>, (Vec<u8>, usize)> = HashMap::new();
        for (of, credential) in credentials.iter().enumerate() {
            let Some(secret) = &credential.secret else { continue };
            let placeholder = fill(credential.placeholder.as_bytes(), secret.len());
            for (found, put) in forms(secret.as_bytes()).into_iter().zip(forms(&placeholder)) {
                if found.len() >= FORM_BYTES_MIN {
                    // Escaped, the placeholder can be shorter than the value.
                    let put = if put.len() == found.len() {
                        put
                    } else {
                        fill(credential.placeholder.as_bytes(), found.len())
                    };
                    by_bytes.entry(found).or_insert((put, of));
                }
            }
        }
        let forms: Vec<Form> = by_bytes
            .into_iter()
            .map(|(found, (put, of))| Form { found: Zeroizing::new(found), put, of })
            .collect();
        let mut begins = [false; 256];
        for form in &forms {
            begins[usize::from(form.found[0])] = true;
        }
        let automaton = (!forms.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(forms.iter().map(|form| form.found.as_slice()))
                .expect("a few short patterns fit into an automaton")
        });
        Self {
            automaton,
            longest: forms.iter().map(|form| form.found.len()).max().unwrap_or(0),
            names: credentials.iter().map(|credential| credential.name.clone()).collect(),
            forms,
            begins,
        }
    }

    /// Takes every form out of `bytes`, and returns whose they were. `None`: there was none, and nothing was copied.
    pub(super) fn clean(&self, bytes: &[u8]) -> Option<(BytesMut, Vec<&str>)> {
        let automaton = self.automaton.as_ref()?;
        let mut cleaned: Option<(BytesMut, Vec<&str>)> = None;
        for found in automaton.find_iter(bytes) {
            let (cleaned, whose) =
                cleaned.get_or_insert_with(|| (BytesMut::from(bytes), Vec::new()));
            let form = &self.forms[found.pattern().as_usize()];
            cleaned[found.range()].copy_from_slice(&form.put);
            let name = self.names[form.of].as_str();
            if !whose.contains(&name) {
                whose.push(name);
            }
        }
        cleaned
    }

    /// Returns where the end of `bytes` begins that more bytes could make a form of.
    fn undecided(&self, bytes: &[u8]) -> usize {
        let from = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (from..bytes.len())
            .find(|start| {
                let end = &bytes[*start..];
                self.begins[usize::from(end[0])]
                    && self.forms.iter().any(|form| form.found.starts_with(end))
            })
            .unwrap_or(bytes.len())
    }
}

/// Reads a stream, and holds back only what could be the beginning of a value.
#[derive(Debug)]
pub(super) struct Scanner {
    patterns: Arc<Patterns>,
    held: Bytes,
    /// Whose values were found since it was last asked.
    found: Vec<String>,
}

impl Scanner {
    pub(super) fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, held: Bytes::new(), found: Vec::new() }
    }

    /// Takes what came, and returns what may go on.
    pub(super) fn push(&mut self, chunk: Bytes) -> Bytes {
        let whole = if self.held.is_empty() {
            chunk
        } else {
            let mut whole = BytesMut::with_capacity(self.held.len() + chunk.len());
            whole.extend_from_slice(&self.held);
            whole.extend_from_slice(&chunk);
            whole.freeze()
        };
        let mut whole = self.clean(whole);
        self.held = whole.split_off(self.patterns.undecided(&whole));
        whole
    }

    /// Returns what was held back: nothing more comes.
    pub(super) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }

    /// Returns how much is held back.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Returns whose values were found since this was last asked.
    pub(super) fn found(&mut self) -> Vec<String> {
        std::mem::take(&mut self.found)
    }

    fn clean(&mut self, bytes: Bytes) -> Bytes {
        match self.patterns.clean(&bytes) {
            None => bytes,
            Some((cleaned, whose)) => {
                self.found.extend(whose.into_iter().map(str::to_owned));
                cleaned.freeze()
            }
        }
    }
}

/// Repeats `text` to `len` bytes.
fn fill(text: &[u8], len: usize) -> Vec<u8> {
    text.iter().copied().cycle().take(len).collect()
}

/// The forms of a value, in a fixed order: as it is, base64 wherever it begins, hexadecimal, escaped in addresses and in
/// JSON. Of base64 it is the part that no neighbor changes.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec()];
    for alphabet in [&STANDARD, &URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        for before in 0..3 {
            let shifted = Zeroizing::new([&[0; 3][..before], value].concat());
            let encoded = engine.encode(&*shifted);
            let (from, to) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
            forms.push(encoded.as_bytes()[from..to.max(from)].to_vec());
        }
    }
    let text = |escaped: String| escaped.into_bytes();
    forms.push(text(value.iter().map(|byte| format!("{byte:02x}")).collect()));
    forms.push(text(value.iter().map(|byte| format!("{byte:02X}")).collect()));
    let in_lower_case = |byte: &u8| {
        let one = escaped(&[*byte]);
        if one.len() == 1 { one } else { one.to_ascii_lowercase() }
    };
    forms.push(text(escaped(value)));
    forms.push(text(value.iter().map(in_lower_case).collect()));
    let json = String::from_utf8_lossy(value);
    forms.push(text(json.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/")));
    forms.push(text(json.replace('\\', "\\\\").replace('"', "\\\"")));
    forms
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "sk-live/9+Zq\"7d_Kw2PfTn";

    fn patterns() -> Arc<Patterns> {
        Arc::new(Patterns::new(&[Arc::new(Credential {
            name: "key".to_owned(),
            secret: Some(Zeroizing::new(SECRET.to_owned())),
            placeholder: "sbx-placeholder-0123456789".to_owned(),
            rules: Vec::new(),
            renewal: None,
        })]))
    }

    fn scan(text: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<String>) {
        let mut scanner = Scanner::new(patterns());
        let mut out = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().copied().chain([text.len()]) {
            let cut = cut.clamp(from, text.len());
            out.extend_from_slice(&scanner.push(Bytes::copy_from_slice(&text[from..cut])));
            from = cut;
        }
        out.extend_from_slice(&scanner.finish());
        (out, scanner.found())
    }

    fn written(how: usize, before: &[u8]) -> Vec<u8> {
        let value = [before, SECRET.as_bytes(), b"tail"].concat();
        match how {
            0 => value,
            1 => BASE64_STANDARD.encode(value).into_bytes(),
            2 => BASE64_URL_SAFE.encode(value).into_bytes(),
            3 => "sk-live%2F9%2BZq%227d_Kw2PfTn".to_owned().into_bytes(),
            _ => serde_json::to_vec(SECRET).unwrap(),
        }
    }

    #[test]
    fn what_cannot_be_a_value_is_not_held_back() {
        let mut scanner = Scanner::new(patterns());
        let event = Bytes::from_static(b"data: {\"text\":\"he\"}\n\n");
        assert_eq!(scanner.push(event.clone()), event);
        assert_eq!(scanner.push(Bytes::from_static(b"x sk-li")), "x ");
        assert_eq!(scanner.push(Bytes::from_static(b"on\n")), "sk-lion\n");
        assert_eq!(scanner.finish(), "");
    }

    #[test]
    fn a_placeholder_is_as_long_as_the_value_and_of_the_same_form() {
        let (out, found) = scan(format!("key={SECRET};").as_bytes(), &[]);
        assert_eq!(out, b"key=sbx-placeholder-0123456;");
        assert_eq!(found, ["key"]);
        let (out, _) = scan(BASE64_STANDARD.encode(SECRET).as_bytes(), &[]);
        let read = BASE64_STANDARD.decode(out).unwrap();
        assert!(read.starts_with(b"sbx-placeholder-01234"), "{}", String::from_utf8_lossy(&read));
    }

    proptest! {
        #[test]
        fn case_68_a_value_is_found_wherever_chunks_end_and_nothing_else_changes(
            how in 0_usize..5,
            before in proptest::collection::vec(any::<u8>(), 0..8),
            noise in "[a-zA-Z0-9+/=%\" ]{0,40}",
            mut cuts in proptest::collection::vec(0_usize..120, 0..6),
        ) {
            cuts.sort_unstable();
            let text = [noise.as_bytes(), &written(how, &before), noise.as_bytes()].concat();
            let (out, found) = scan(&text, &cuts);
            prop_assert_eq!(out.len(), text.len());
            prop_assert_eq!(found, vec!["key".to_owned()]);
            let core = b"9+Zq\"7d_Kw2Pf";
            prop_assert!(!out.windows(core.len()).any(|window| window == core));
            prop_assert!(out.starts_with(noise.as_bytes()) && out.ends_with(noise.as_bytes()));
            let (same, found) = scan(noise.as_bytes(), &cuts);
            prop_assert_eq!(same, noise.as_bytes());
            prop_assert!(found.is_empty());
        }
    }
}
