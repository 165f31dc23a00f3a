//! Tables in plain text.

/// Rows of cells under a head; the first column is flush left, and the others flush right.
#[derive(Debug)]
pub(crate) struct Table(Vec<Vec<String>>);

/// A number with three digits that matter, and all of those before the point.
pub(crate) fn number(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The share of all requests that failed.
pub(crate) fn failed(failures: f64, all: f64) -> String {
    match failures {
        0.0 => "0".to_owned(),
        _ => format!("{:.3} %", failures / all * 100.0),
    }
}

impl Table {
    pub(crate) fn new<H: ToString>(head: impl IntoIterator<Item = H>) -> Self {
        Self(vec![
            head.into_iter().map(|cell| cell.to_string()).collect(),
        ])
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    pub(crate) fn print(&self) {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.0 {
            let mut line = String::from(" ");
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                line += &match column {
                    0 => format!(" {cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                };
            }
            println!("{}", line.trim_end());
        }
    }
}
