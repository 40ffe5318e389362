//! Text in columns. Follows Go's `text/tabwriter`, for blanks as padding.
//!
//! A cell ends with a tab; the last cell of a line belongs to no column. A column is a run of consecutive lines that have
//! a cell there, so that a line without it parts two columns of different width. In a table the later one is at least as
//! wide as the one before (`RememberWidths` of `github.com/liggitt/tabwriter`).

/// How cells are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct TabWriter {
    /// The least width of a cell, padding included.
    width_min: usize,
    /// What is added to the longest text of a column.
    padding: usize,
    /// Whether a column is never narrower than another in its place was before.
    remembers: bool,
}

impl TabWriter {
    /// As tables are printed: `printers.GetNewTabWriter`.
    pub(super) const TABLE: Self = Self { width_min: 6, padding: 3, remembers: true };
    /// As descriptions are printed: `describe.NewPrefixWriter` over `tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)`.
    pub(super) const DESCRIPTION: Self = Self { width_min: 0, padding: 2, remembers: false };

    /// Lays out a text of lines with tabs.
    pub(super) fn format(self, text: &str) -> String {
        self.format_after(text, &mut Vec::new())
    }

    /// The same for lines that follow others, whose widths `widest` holds.
    pub(super) fn format_after(self, text: &str, widest: &mut Vec<usize>) -> String {
        let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
        let mut widths: Vec<Vec<usize>> = lines.iter().map(|_| Vec::new()).collect();
        self.measure(&lines, 0, lines.len(), widest, 0, &mut widths);
        let mut laid_out = String::with_capacity(text.len() * 2);
        for (at, (cells, widths)) in lines.iter().zip(&widths).enumerate() {
            if at > 0 {
                laid_out.push('\n');
            }
            for (column, cell) in cells.iter().enumerate() {
                laid_out.push_str(cell);
                if let Some(width) = widths.get(column) {
                    let blanks = width.saturating_sub(cell.chars().count());
                    laid_out.extend(std::iter::repeat_n(' ', blanks));
                }
            }
        }
        laid_out
    }

    /// Finds the widths of the columns from `column` on in the lines `from..to`, block by block. `widest` has the widths of
    /// the columns before.
    fn measure(
        self,
        lines: &[Vec<&str>],
        from: usize,
        to: usize,
        widest: &mut Vec<usize>,
        column: usize,
        widths: &mut [Vec<usize>],
    ) {
        let has_cell = |line: usize| lines[line].len() > column + 1;
        let mut line = from;
        while line < to {
            if !has_cell(line) {
                line += 1;
                continue;
            }
            let end = (line..to).find(|&line| !has_cell(line)).unwrap_or(to);
            let longest = (line..end).map(|line| lines[line][column].chars().count()).max().unwrap_or(0);
            let mut width = (longest + self.padding).max(self.width_min);
            if self.remembers {
                widest.resize(widest.len().max(column + 1), 0);
                width = width.max(widest[column]);
                widest[column] = width;
            }
            for widths in &mut widths[line..end] {
                widths.push(width);
            }
            self.measure(lines, line, end, widest, column + 1, widths);
            line = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TabWriter;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell_and_end_where_a_line_has_none() {
        let text = "NAME\tA\tB\nlonger-name\t1\tx\nplain\na\tb\tc\n";
        let expected = "NAME         A  B\nlonger-name  1  x\nplain\na  b  c\n";
        assert_eq!(TabWriter::DESCRIPTION.format(text), expected);
    }

    #[test]
    fn a_table_remembers_how_wide_its_columns_were() {
        let text = "NAME\tA\tB\nlonger-name\t1\tx\n\na\tb\tc\n";
        let expected = "NAME          A     B\nlonger-name   1     x\n\na             b     c\n";
        assert_eq!(TabWriter::TABLE.format(text), expected);
    }
}
