//! What runinit sets itself, and whether the numbers meet it.

use crate::report::{Column, Report};
use crate::stats::Number;
use crate::subject::Role;
use crate::table;

/// The most a column's value may be for runinit.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// At or below the best peer.
    BestPeer,
    /// So many times one peer's value.
    Times(f64, &'static str),
    /// A number of its own.
    Value(f64),
}

impl Goal {
    fn limit(self, report: &Report, column: usize) -> Option<Number> {
        match self {
            Self::BestPeer => report.best_peer(column),
            Self::Times(factor, peer) => {
                let (_, number) = report.values(column, Role::Peer).find(|(name, _)| *name == peer)?;
                Some((factor * number.value).into())
            }
            Self::Value(value) => Some(value.into()),
        }
    }

    fn wording(self, column: &Column) -> String {
        match self {
            Self::BestPeer => "the best peer".to_owned(),
            Self::Times(1.0, peer) => peer.to_owned(),
            Self::Times(factor, peer) => format!("{factor} x {peer}"),
            Self::Value(value) => column.unit.show(value),
        }
    }
}

/// All goals of all reports, one a line.
pub(crate) fn summary(reports: &[Report], markdown: bool) -> String {
    let header = ["goal", "runinit", "at most", "which is", ""].map(str::to_owned);
    let rows: Vec<Vec<String>> = reports.iter().flat_map(lines).collect();
    let mark = if markdown { "### " } else { "== " };
    format!("{mark}Goals\n\n{}\n", table::draw(&header, &rows, markdown))
}

fn lines(report: &Report) -> Vec<Vec<String>> {
    let with_goal =
        report.columns.iter().enumerate().filter_map(|(index, column)| Some((index, column, column.goal?)));
    with_goal.map(|(index, column, goal)| line(report, index, column, goal)).collect()
}

fn line(report: &Report, index: usize, column: &Column, goal: Goal) -> Vec<String> {
    let ours = report.values(index, Role::Ours).next().map(|(_, number)| number);
    let limit = goal.limit(report, index);
    let show = |number: Option<Number>| column.unit.show(number.map_or(f64::NAN, |number| number.value));
    vec![
        format!("{}: {}", report.title, column.title),
        show(ours),
        goal.wording(column),
        show(limit),
        ours.zip(limit).map_or("not measured".to_owned(), |(ours, limit)| verdict(ours, limit, column)),
    ]
}

/// As much as two runs of the same binaries differ by, however often each measures.
const BETWEEN_RUNS_PERCENT: f64 = 1.0;

/// Above, but the confidence intervals overlap: the next run may show the opposite. With few rounds or on a busy machine
/// they overlap far apart; that is no result.
fn verdict(ours: Number, limit: Number, column: &Column) -> String {
    let percent = 100.0 * (ours.value / limit.value - 1.0);
    if ours.value <= limit.value {
        "met".to_owned()
    } else if percent <= BETWEEN_RUNS_PERCENT || (ours.low <= limit.high && limit.low < limit.high) {
        let word = if percent <= 5.0 { "level" } else { "undecided" };
        format!("{word} (+{percent:.1} %, inside the noise)")
    } else {
        format!("MISSED by {} ({percent:.1} %)", column.unit.show(ours.value - limit.value))
    }
}
