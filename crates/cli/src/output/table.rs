//! Rows for people and for programs: aligned columns on a terminal, tabs and no heading in a pipe.

use std::fmt::Write;

use crate::output::visible;

/// Cells by row. Cells are escaped when they are rendered, so callers pass text as it is.
#[derive(Debug)]
pub(crate) struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are headings.
    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        let row: Vec<_> = cells.into_iter().map(|cell| visible::line(cell)).collect();
        assert_eq!(row.len(), self.headings.len(), "a row has a cell for each heading");
        self.rows.push(row);
    }

    /// One line a row, cells apart by a tab, nothing else: for `cut`, `awk` and `while read`.
    pub(crate) fn plain(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            out.push_str(&row.join("\t"));
            out.push('\n');
        }
        out
    }

    /// Columns two spaces apart under a heading.
    pub(crate) fn aligned(&self) -> String {
        let headings: Vec<_> = self.headings.iter().map(|&h| h.to_owned()).collect();
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let widths: Vec<_> = (0..headings.len())
            .map(|column| lines().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in lines() {
            let mut line = String::new();
            for (cell, &width) in row.iter().zip(&widths) {
                write!(line, "{cell:width$}  ").expect("a String takes every write");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.push(["calm-bay", "running"]);
        table.push(["x\x1b[31m\ty", "stopped"]);
        table
    }

    #[test]
    fn columns_align_and_cells_cannot_move_the_cursor() {
        assert_eq!(
            sample().aligned(),
            "NAME          STATE\ncalm-bay      running\nx\\x1b[31m\\ty  stopped\n"
        );
    }

    #[test]
    fn a_pipe_gets_tabs_and_no_heading() {
        assert_eq!(sample().plain(), "calm-bay\trunning\nx\\x1b[31m\\ty\tstopped\n");
    }
}
