//! Tables: `list` draws a horizontal one with rules, `llist` a vertical one (spec/04 §8.3).

use super::fmt::group_digits;

/// Widest column; longer values run over the frame.
const WIDTH_MAX: usize = 100;

/// How a column is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole numbers: to the right, with commas.
    Number,
    /// Everything else, sums among them: to the left, as it is.
    Text,
}

/// One column: name and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Heading.
    pub(crate) name: String,
    /// Alignment.
    pub(crate) kind: Kind,
}

/// A result to show. `None` in a cell is SQL's NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// Headings.
    pub(crate) columns: Vec<Column>,
    /// Rows, each as long as `columns`.
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// A table with columns given as `name` (number) or `name:t` (text).
    #[must_use]
    pub(crate) fn new(columns: &[(&str, Kind)]) -> Self {
        let columns = columns.iter().map(|&(name, kind)| Column { name: name.to_owned(), kind }).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Whether there is nothing to list.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn cell<'a>(&self, row: &'a [Option<String>], column: usize, plain: bool) -> std::borrow::Cow<'a, str> {
        match row.get(column) {
            Some(Some(value)) if !plain && self.columns[column].kind == Kind::Number => {
                group_digits(value).into()
            }
            Some(Some(value)) => value.as_str().into(),
            Some(None) | None => "".into(),
        }
    }

    /// The horizontal form. `plain` leaves out commas (`gui on`, api modes).
    #[must_use]
    pub(crate) fn horizontal(&self, plain: bool) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width(column, plain)).collect();
        let rule = rule(&widths);
        let mut out = rule.clone();
        out.push('|');
        for (column, width) in self.columns.iter().zip(&widths) {
            out.push_str(&format!(" {:<width$} |", column.name));
        }
        out.push('\n');
        out.push_str(&rule);
        for row in &self.rows {
            out.push('|');
            for (i, width) in widths.iter().enumerate() {
                let value = self.cell(row, i, plain);
                match self.columns[i].kind {
                    Kind::Number => out.push_str(&format!(" {value:>width$} |")),
                    Kind::Text => out.push_str(&format!(" {value:<width$} |")),
                }
            }
            out.push('\n');
        }
        out.push_str(&rule);
        out
    }

    fn width(&self, column: usize, plain: bool) -> usize {
        let longest = self.rows.iter().map(|row| self.cell(row, column, plain).chars().count()).max();
        longest.unwrap_or(0).max(self.columns[column].name.chars().count()).min(WIDTH_MAX)
    }

    /// The vertical form: names to the right, one line a column, an empty line behind each row.
    #[must_use]
    pub(crate) fn vertical(&self, plain: bool) -> String {
        let width = self.columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for row in &self.rows {
            for (i, column) in self.columns.iter().enumerate() {
                out.push_str(&format!(" {:>width$}: {}\n", column.name, self.cell(row, i, plain)));
            }
            out.push('\n');
        }
        out
    }

    /// Horizontal or vertical; `No results to list.` for no rows.
    #[must_use]
    pub(crate) fn render(&self, long: bool, plain: bool) -> String {
        match (self.is_empty(), long) {
            (true, _) => "No results to list.\n".to_owned(),
            (false, true) => self.vertical(plain),
            (false, false) => self.horizontal(plain),
        }
    }
}

fn rule(widths: &[usize]) -> String {
    let mut out = String::from("+");
    for width in widths {
        out.extend(std::iter::repeat_n('-', width + 2));
        out.push('+');
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Table {
        let mut table = Table::new(&[
            ("jobid", Kind::Number),
            ("name", Kind::Text),
            ("starttime", Kind::Text),
            ("type", Kind::Text),
            ("level", Kind::Text),
            ("jobfiles", Kind::Number),
            ("jobbytes", Kind::Number),
            ("jobstatus", Kind::Text),
        ]);
        let row = ["1", "NightlySave", "2026-11-23 15:07:27", "B", "F", "12", "275263", "T"];
        table.rows.push(row.iter().map(|v| Some((*v).to_owned())).collect());
        table
    }

    #[test]
    fn a_job_list_is_as_recorded() {
        let expected = "\
+-------+-------------+---------------------+------+-------+----------+----------+-----------+
| jobid | name        | starttime           | type | level | jobfiles | jobbytes | jobstatus |
+-------+-------------+---------------------+------+-------+----------+----------+-----------+
|     1 | NightlySave | 2026-11-23 15:07:27 | B    | F     |       12 |  275,263 | T         |
+-------+-------------+---------------------+------+-------+----------+----------+-----------+
";
        assert_eq!(jobs().horizontal(false), expected);
        assert!(include_str!("../../fixtures/console/list-various.txt").contains(expected));
    }

    #[test]
    fn the_long_form_puts_names_to_the_right() {
        let mut table =
            Table::new(&[("clientid", Kind::Number), ("fileretention", Kind::Number), ("uname", Kind::Text)]);
        table.rows.push(vec![Some("2".into()), Some("5184000".into()), None]);
        assert_eq!(
            table.vertical(false),
            "      clientid: 2\n fileretention: 5,184,000\n         uname: \n\n"
        );
        assert_eq!(Table::default().render(true, false), "No results to list.\n");
    }

    #[test]
    fn a_long_value_runs_over_the_frame() {
        let mut table = Table::new(&[("logtext", Kind::Text)]);
        table.rows.push(vec![Some("x".repeat(120))]);
        let text = table.horizontal(false);
        assert_eq!(text.lines().next().map(str::len), Some(104));
        assert_eq!(text.lines().nth(3).map(str::len), Some(124));
    }
}
