//! Rows of text under each other, each column as wide as its widest cell.

/// Which way the cells of a column lean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lean {
    /// Words.
    Left,
    /// Figures, which are compared digit by digit.
    Right,
}

/// The lines of a table, without blanks at their ends. Every row has as many cells as there are columns.
pub fn lines<const COLUMNS: usize>(leans: [Lean; COLUMNS], rows: &[[String; COLUMNS]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).zip(leans).map(|((cell, width), lean)| match lean {
            Lean::Left => format!("{cell:<width$}"),
            Lean::Right => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Lean, lines};

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["a", "size", ""], ["größe", "1", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(lines([Lean::Left, Lean::Right, Lean::Left], &rows), ["a      size", "größe     1  x"]);
    }
}
