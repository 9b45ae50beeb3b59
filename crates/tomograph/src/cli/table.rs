//! Small tables on a terminal.

use std::io::{self, Write};

/// Rows of cells, the first row the heading. The first column is set to the left, the others to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

const GAP: usize = 2;

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(ToString::to_string).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints as many of the columns as fit `width`, the first ones first; the first column always, cut if it must be.
    pub(crate) fn print(&self, width: usize, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let length = |cell: &String| cell.chars().count();
        let widths: Vec<usize> =
            (0..columns).map(|c| self.rows.iter().filter_map(|r| r.get(c)).map(length).max().unwrap_or(0)).collect();
        let mut fitting = 0;
        let mut used = 0;
        for column in &widths {
            used += column + if fitting > 0 { GAP } else { 0 };
            if used > width && fitting > 0 {
                break;
            }
            fitting += 1;
        }
        for row in &self.rows {
            let mut line = String::new();
            for (at, (cell, room)) in row.iter().zip(&widths).take(fitting).enumerate() {
                match at {
                    0 => line.push_str(&format!("{cell:<room$}")),
                    _ => line.push_str(&format!("{:GAP$}{cell:>room$}", "")),
                }
            }
            let line: String = line.trim_end().chars().take(width).collect();
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_are_left_out() {
        let mut table = Table::new(&["metric", "rho", "cells"]);
        table.row(vec!["rms".into(), ".93".into(), "196".into()]);
        let printed = |width| {
            let mut out = Vec::new();
            table.print(width, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(printed(80), "metric  rho  cells\nrms     .93    196\n");
        assert_eq!(printed(17), "metric  rho\nrms     .93\n");
        assert_eq!(printed(4), "metr\nrms\n");
    }
}
