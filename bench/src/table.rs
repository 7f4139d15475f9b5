//! Samples, and the table that they become.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::Result;

/// Durations of one thing that was done many times.
#[derive(Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Does `work` and adds how long it took.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = work()?;
        self.add(start.elapsed());
        Ok(done)
    }

    pub(crate) fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The sample that `percent` of all are not above, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = (sorted.len().saturating_sub(1) * percent).div_ceil(100);
        sorted.get(index).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1000.0)
    }
}

/// One line.
struct Row {
    what: String,
    figures: String,
    ratio: String,
}

/// What was measured, in order.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Adds durations, and their ratio to those of `reference`.
    pub(crate) fn add(
        &mut self,
        what: &str,
        samples: &Samples,
        reference: Option<(&str, &Samples)>,
    ) {
        let figures = format!(
            "{:>9.3} {:>9.3} {:>9.3}",
            samples.percentile(50),
            samples.percentile(99),
            samples.percentile(0)
        );
        let ratio = reference.map_or_else(String::new, |(name, reference)| {
            format!("{:.2}x {name}", samples.percentile(50) / reference.percentile(50))
        });
        self.0.push(Row { what: what.to_owned(), figures, ratio });
    }

    /// Adds a line that is not about time.
    pub(crate) fn note(&mut self, what: &str, figure: &str) {
        self.0.push(Row {
            what: what.to_owned(),
            figures: format!("{figure:>29}"),
            ratio: String::new(),
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<58} {:>9} {:>9} {:>9}  ratio of medians",
            "", "p50 ms", "p99 ms", "min ms"
        )?;
        self.0
            .iter()
            .try_for_each(|row| writeln!(f, "{:<58} {}  {}", row.what, row.figures, row.ratio))
    }
}
