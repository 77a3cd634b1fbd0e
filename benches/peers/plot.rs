//! A plot of several reports: a panel for each of some columns, one line of each participant over the sizes.

use crate::panel::{HEIGHT, Panel, Series, WIDTH};
use crate::report::{Report, Unit};
use crate::stats::float;
use crate::svg::{Anchor, Point, Svg};

const HEAD: f64 = 64.0;
const FOOT: f64 = 12.0;

/// Colours that people with any kind of colour vision tell apart, darker on light than on dark.
const STYLE: &str = "\
text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 13px; }
.ground { fill: #ffffff; }
.head { fill: #1f2328; font-size: 18px; font-weight: 600; }
.title { fill: #1f2328; font-size: 14px; font-weight: 600; }
.note, .tick { fill: #59636e; }
.tick { font-size: 12px; }
.grid { stroke: #d5dae0; fill: none; }
.line { stroke: currentColor; stroke-width: 2; fill: none; stroke-linejoin: round; }
.marker, .name { fill: currentColor; }
.series0 { color: #0060b0; font-weight: 600; }
.series1 { color: #b84a00; }
.series2 { color: #00795a; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; }
  .head, .title { fill: #f0f6fc; }
  .note, .tick { fill: #9198a1; }
  .grid { stroke: #30363d; }
  .series0 { color: #58b0ff; }
  .series1 { color: #f0944d; }
  .series2 { color: #3fc79a; }
}
";

/// One column of reports, which are of these sizes. Who could not be measured at a size has no point there.
pub(crate) fn panel(title: &'static str, column: &str, sizes: &[usize], reports: &[Report]) -> Panel {
    let index = |report: &Report| report.columns.iter().position(|each| each.title == column);
    let point = |(size, report): (&usize, &Report), name: &str| {
        let row = report.rows.iter().find(|row| row.name == name)?;
        let number = row.cells.as_ref().ok()?.get(index(report)?)?;
        Some((float(*size as u64), number.value))
    };
    let points = |name| sizes.iter().zip(reports).filter_map(|measured| point(measured, name)).collect();
    let rows = reports.first().map_or(&[][..], |report| &report.rows);
    Panel {
        title,
        unit: reports
            .iter()
            .find_map(|report| Some(report.columns[index(report)?].unit))
            .unwrap_or(Unit::Count),
        series: rows.iter().map(|row| Series { name: row.name, points: points(row.name) }).collect(),
    }
}

/// The whole file: panels in two columns.
pub(crate) fn draw(title: &str, note: &str, panels: &[Panel]) -> String {
    let height = HEAD + FOOT + HEIGHT * float(panels.len().div_ceil(2) as u64);
    let mut svg = Svg::new(2.0 * WIDTH, height, STYLE, title);
    svg.text("head", Point(20.0, 32.0), Anchor::Start, title);
    svg.text("note", Point(20.0, 52.0), Anchor::Start, note);
    let (mut x, mut y) = (0.0, HEAD);
    for panel in panels {
        panel.draw(&mut svg, Point(x, y));
        (x, y) = if x > 0.0 { (0.0, y + HEIGHT) } else { (WIDTH, y) };
    }
    svg.finish()
}
