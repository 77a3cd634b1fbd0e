//! One part of a plot: a line with markers for each participant, over the sizes that were measured.

use crate::report::Unit;
use crate::scale::Scale;
use crate::svg::{Anchor, Marker, Point, Svg};

pub(crate) const WIDTH: f64 = 460.0;
pub(crate) const HEIGHT: f64 = 250.0;

/// Around the axes, in a panel: left for the labels of values, right for those of lines.
const LEFT: f64 = 88.0;
const RIGHT: f64 = 160.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 34.0;

/// From one line of text to the next.
const LINE_HEIGHT: f64 = 16.0;
/// From a line's middle to its baseline.
const BASELINE: f64 = 4.5;

/// One number of everybody, by size.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) series: Vec<Series>,
}

/// One participant.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    /// Sizes and values, by size.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Panel {
    /// Draws the panel with its upper left corner there.
    pub(crate) fn draw(&self, svg: &mut Svg, corner: Point) {
        let Point(x, y) = corner;
        let (left, right) = (x + LEFT, x + WIDTH - RIGHT);
        let (top, bottom) = (y + TOP, y + HEIGHT - BOTTOM);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let mut sizes: Vec<f64> = points().map(|(size, _)| *size).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        let values: Vec<f64> = points().map(|(_, value)| *value).collect();
        let across = Scale::exact(&sizes, left, right);
        let up = Scale::decades(&values, bottom, top);
        svg.text("title", Point(x + 20.0, y + 20.0), Anchor::Start, self.title);
        self.draw_values(svg, &up, left, right);
        draw_sizes(svg, &sizes, &across, right, bottom);
        self.draw_lines(svg, &across, &up);
        self.draw_labels(svg, &up, right, bottom);
    }

    fn draw_values(&self, svg: &mut Svg, up: &Scale, left: f64, right: f64) {
        let labelled = up.ticks().map(|value| (up.place(value), self.label(value)));
        for (y, label) in labelled.chain(up.zero().map(|y| (y, "0".to_owned()))) {
            svg.line("grid", &[Point(left, y), Point(right, y)]);
            svg.text("tick", Point(left - 10.0, y + BASELINE), Anchor::End, &label);
        }
    }

    fn draw_lines(&self, svg: &mut Svg, across: &Scale, up: &Scale) {
        // The first one lies on top of the others.
        for (index, series) in self.series.iter().enumerate().rev() {
            let point = |(size, value): &(f64, f64)| Point(across.place(*size), up.place(*value));
            let points: Vec<Point> = series.points.iter().map(point).collect();
            svg.line(&format!("line series{index}"), &points);
            for point in points {
                svg.marker(&format!("marker series{index}"), point, marker(index));
            }
        }
    }

    /// Each line's name and last value stand at its end, or as near as the others let them.
    fn draw_labels(&self, svg: &mut Svg, up: &Scale, right: f64, bottom: f64) {
        let end = |(index, series): (usize, &Series)| Some((index, series.name, series.points.last()?.1));
        let ends: Vec<_> = self.series.iter().enumerate().filter_map(end).collect();
        let wanted: Vec<f64> = ends.iter().map(|(_, _, value)| up.place(*value)).collect();
        for ((index, name, value), y) in ends.into_iter().zip(apart(&wanted, bottom)) {
            let at = Point(right + 12.0, y + BASELINE);
            let words = format!("{name} {}", self.label(value));
            svg.text(&format!("name series{index}"), at, Anchor::Start, &words);
        }
    }

    /// As in the tables, but shorter.
    fn label(&self, value: f64) -> String {
        if value <= 0.0 {
            return "0".to_owned();
        }
        let shown = self.unit.show(value);
        let (number, unit) = shown.split_once(' ').unwrap_or((&shown, ""));
        let number = three_digits(number);
        format!("{number} {}", unit.replace("us", "µs"))
    }
}

fn draw_sizes(svg: &mut Svg, sizes: &[f64], across: &Scale, right: f64, bottom: f64) {
    /// What a label of four digits needs.
    const ROOM: f64 = 38.0;
    let mut free = f64::INFINITY;
    for size in sizes.iter().rev() {
        let x = across.place(*size);
        svg.line("grid", &[Point(x, bottom), Point(x, bottom + 5.0)]);
        if x <= free {
            svg.text("tick", Point(x, bottom + 20.0), Anchor::Middle, &size.to_string());
            free = x - ROOM;
        }
    }
    svg.text("tick", Point(right + 24.0, bottom + 20.0), Anchor::Start, "programs");
}

fn marker(index: usize) -> Marker {
    const MARKERS: [Marker; 3] = [Marker::Circle, Marker::Square, Marker::Triangle];
    MARKERS[index % MARKERS.len()]
}

/// `118.27` is `118`, `15.56` is `15.6`, `1.00` is `1`.
fn three_digits(number: &str) -> String {
    let Ok(value) = number.parse::<f64>() else { return number.to_owned() };
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let rounded = format!("{value:.decimals$}");
    if decimals == 0 { rounded } else { rounded.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// The same places in the same order, moved so that texts there do not touch, nor lie below the lowest.
fn apart(wanted: &[f64], lowest: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*b].total_cmp(&wanted[*a])); // from the bottom up
    let mut places = wanted.to_vec();
    let mut free = lowest;
    for index in order {
        places[index] = places[index].min(free);
        free = places[index] - LINE_HEIGHT;
    }
    places
}
