//! A grid of text, aligned for a terminal or as markdown.

/// Draws rows under a header; the first column is left-aligned, all others right.
pub(crate) fn draw(header: &[String], rows: &[Vec<String>], markdown: bool) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(header.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let rule: Vec<String> =
        widths.iter().enumerate().map(|(column, width)| rule(column, *width, markdown)).collect();
    let mut lines = vec![line(header, &widths, markdown), line(&rule, &widths, markdown)];
    lines.extend(rows.iter().map(|row| line(row, &widths, markdown)));
    lines.join("\n")
}

fn rule(column: usize, width: usize, markdown: bool) -> String {
    let end = if markdown && column > 0 { ":" } else { "-" };
    "-".repeat(width.max(3) - 1) + end
}

fn line(cells: &[String], widths: &[usize], markdown: bool) -> String {
    let pad = |(column, (cell, width)): (usize, (&String, &usize))| {
        if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    };
    let padded: Vec<String> = cells.iter().zip(widths).enumerate().map(pad).collect();
    if markdown { format!("| {} |", padded.join(" | ")) } else { padded.join("  ").trim_end().to_owned() }
}
