//! Prometheus' text format, version 0.0.4.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use sandbar_engine::{DURATION_BOUNDS_US, DurationCounts};

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

impl Kind {
    /// As the format has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    /// The names of its labels, in the order in which values are given.
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

/// A page of metrics on its way.
#[derive(Debug, Default)]
pub(crate) struct Text {
    out: String,
    /// What was begun, in order.
    families: Vec<Family>,
}

impl Text {
    /// Begins a metric; its samples follow. One without samples is named all the same, so that a reader sees that it is.
    pub(crate) fn begin(&mut self, family: Family) -> Samples<'_> {
        let Family { kind, name, help, .. } = family;
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {}", kind.as_str()));
        self.families.push(family);
        Samples { text: self, family }
    }

    /// What was written, and which metrics.
    pub(crate) fn finish(self) -> (String, Vec<Family>) {
        (self.out, self.families)
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        writeln!(self.out, "{text}").expect("a String takes all that is written to it");
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub(crate) struct Samples<'text> {
    text: &'text mut Text,
    family: Family,
}

impl Samples<'_> {
    /// One value.
    pub(crate) fn value(&mut self, labels: &[&str], value: impl fmt::Display) {
        let (name, labels) = (self.family.name, self.braced(labels, None));
        self.text.line(format_args!("{name}{labels} {value}"));
    }

    /// A value for each value of the one label.
    pub(crate) fn values<'label>(&mut self, values: impl IntoIterator<Item = (&'label str, u64)>) {
        for (label, value) in values {
            self.value(&[label], value);
        }
    }

    /// A sum of seconds, and of how many.
    pub(crate) fn sum(&mut self, labels: &[&str], sum: Duration, count: u64) {
        let (name, labels) = (self.family.name, self.braced(labels, None));
        self.text.line(format_args!("{name}_sum{labels} {}", sum.as_secs_f64()));
        self.text.line(format_args!("{name}_count{labels} {count}"));
    }

    /// A histogram of seconds.
    pub(crate) fn durations(&mut self, labels: &[&str], counts: &DurationCounts) {
        let name = self.family.name;
        for (count, bound) in counts.buckets.iter().zip(DURATION_BOUNDS_US) {
            let le = Duration::from_micros(bound).as_secs_f64().to_string();
            let labels = self.braced(labels, Some(&le));
            self.text.line(format_args!("{name}_bucket{labels} {count}"));
        }
        let all = self.braced(labels, Some("+Inf"));
        self.text.line(format_args!("{name}_bucket{all} {}", counts.count));
        self.sum(labels, Duration::from_micros(counts.sum_us), counts.count);
    }

    fn braced(&self, labels: &[&str], le: Option<&str>) -> String {
        assert_eq!(labels.len(), self.family.labels.len(), "a value for each label");
        let pairs = self.family.labels.iter().copied().zip(labels.iter().copied());
        let pairs: Vec<_> = pairs
            .chain(le.map(|le| ("le", le)))
            .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
            .collect();
        if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Family = Family {
        kind: Kind::Histogram,
        name: "asked_seconds",
        labels: &["route"],
        help: "How long.",
    };

    #[test]
    fn a_histogram_is_cumulative_and_in_seconds() {
        let mut counts = DurationCounts::default();
        counts.add(Duration::from_millis(3));
        let mut text = Text::default();
        text.begin(ASKED).durations(&["/v1"], &counts);
        let (text, families) = text.finish();
        assert_eq!(families, [ASKED]);
        for line in [
            "# TYPE asked_seconds histogram",
            "asked_seconds_bucket{route=\"/v1\",le=\"0.0025\"} 0",
            "asked_seconds_bucket{route=\"/v1\",le=\"0.005\"} 1",
            "asked_seconds_bucket{route=\"/v1\",le=\"+Inf\"} 1",
            "asked_seconds_sum{route=\"/v1\"} 0.003",
            "asked_seconds_count{route=\"/v1\"} 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_value_of_a_label_cannot_end_it() {
        let mut text = Text::default();
        text.begin(ASKED).value(&["a\"b\\\n"], 1);
        assert!(text.finish().0.ends_with("asked_seconds{route=\"a\\\"b\\\\\\n\"} 1\n"));
    }
}
