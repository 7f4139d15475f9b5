//! Reads server-sent events, as the WHATWG's HTML standard defines them, out of bytes that come in pieces.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `event:`; empty when it is not said.
    pub(crate) kind: String,
    /// `data:`, lines joined.
    pub(crate) data: String,
}

/// Keeps what is not a whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    rest: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl Reader {
    /// Returns the events that `bytes` complete.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else {
            return events;
        };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        for line in lines[..end].split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(event) = self.line(&String::from_utf8_lossy(line)) {
                events.push(event);
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.kind),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // Ids, retry times and comments (heartbeats) are not needed here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_wherever_they_are_cut() {
        let text = b": ping\n\nid: 7\nevent: stdout\ndata: {\"text\":\"a\"}\n\nevent: end\ndata: 1\ndata: 2\r\n\r\nevent: cut";
        for at in 0..text.len() {
            let mut reader = Reader::default();
            let mut events = reader.read(&text[..at]);
            events.extend(reader.read(&text[at..]));
            let expected = [("stdout", "{\"text\":\"a\"}"), ("end", "1\n2")]
                .map(|(kind, data)| Event { kind: kind.to_owned(), data: data.to_owned() });
            assert_eq!(events, expected, "{at}");
        }
    }
}
