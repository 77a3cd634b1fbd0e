//! The result of one measurement: a table whose columns may have goals.

use crate::context::Result;
use crate::goal::Goal;
use crate::stats::Number;
use crate::subject::Role;
use crate::table;

/// How a number is written.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Nanoseconds,
    Kib,
    Count,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            _ if value.is_nan() => "-".to_owned(),
            Self::Nanoseconds if value.abs() < 1e6 => format!("{:.1} us", value / 1e3),
            Self::Nanoseconds if value.abs() < 1e9 => format!("{:.2} ms", value / 1e6),
            Self::Nanoseconds => format!("{:.3} s", value / 1e9),
            Self::Kib => format!("{value:.1} KiB").replace(".0 KiB", " KiB"),
            Self::Count => format!("{value:.1}").trim_end_matches(".0").to_owned(),
        }
    }
}

/// One number that is taken of everybody; less is better.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) goal: Option<Goal>,
}

impl Column {
    pub(crate) fn new(title: &'static str, unit: Unit) -> Self {
        Self { title, unit, goal: None }
    }

    pub(crate) fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }
}

/// One participant's numbers, a column each, or why there are none.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) cells: Result<Vec<Number>>,
}

/// One measurement.
pub(crate) struct Report {
    pub(crate) title: String,
    /// What exactly was measured.
    pub(crate) note: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Whether everybody could be measured.
    pub(crate) fn complete(&self) -> bool {
        self.rows.iter().all(|row| row.cells.is_ok())
    }

    /// One column's value in the rows of a role.
    pub(crate) fn values(&self, column: usize, role: Role) -> impl Iterator<Item = (&'static str, Number)> {
        let rows = self.rows.iter().filter(move |row| row.role == role);
        rows.filter_map(move |row| Some((row.name, *row.cells.as_ref().ok()?.get(column)?)))
    }

    /// The best that any peer does.
    pub(crate) fn best_peer(&self, column: usize) -> Option<Number> {
        self.values(column, Role::Peer).map(|(_, number)| number).min_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// The table, with the ratio to the best peer in parentheses.
    pub(crate) fn render(&self, markdown: bool) -> String {
        let header: Vec<String> = std::iter::once(String::new())
            .chain(self.columns.iter().map(|column| column.title.to_owned()))
            .collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| self.line(row)).collect();
        let mark = if markdown { "### " } else { "== " };
        let drawn = table::draw(&header, &rows, markdown);
        format!("{mark}{}\n\n{}\n\n{drawn}\n{}", self.title, self.note, self.failures())
    }

    /// Who could not be measured, and why.
    fn failures(&self) -> String {
        let failed = self.rows.iter().filter_map(|row| Some((row.name, row.cells.as_ref().err()?)));
        failed.map(|(name, why)| format!("\n{name} FAILED: {why}\n")).collect::<Vec<_>>().concat()
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let Ok(cells) = &row.cells else {
            return vec![row.name.to_owned(), "FAILED".to_owned()];
        };
        let show = |(index, (column, number)): (usize, (&Column, &Number))| {
            let value = column.unit.show(number.value);
            let ratio = self.best_peer(index).map_or(f64::NAN, |best| number.value / best.value);
            if row.role == Role::Baseline || !ratio.is_finite() {
                value
            } else {
                format!("{value} ({ratio:.2})")
            }
        };
        let shown = self.columns.iter().zip(cells).enumerate().map(show);
        std::iter::once(row.name.to_owned()).chain(shown).collect()
    }
}
