//! Elements of an SVG picture. Colours are names of classes: a style sheet gives them for a light and a dark page.

use std::fmt::{Display, Write};

/// A place in the picture, in pixels from the left and from the top.
#[derive(Clone, Copy)]
pub(crate) struct Point(pub(crate) f64, pub(crate) f64);

/// Which part of a text stands at its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// What is drawn where a value is known, so that lines differ by more than their colour.
#[derive(Clone, Copy)]
pub(crate) enum Marker {
    Circle,
    Square,
    Triangle,
}

/// A picture being drawn; what comes later lies on top.
pub(crate) struct Svg {
    text: String,
}

impl Svg {
    /// An empty picture on a ground of its own. The title is what is read aloud in its place.
    pub(crate) fn new(width: f64, height: f64, style: &str, title: &str) -> Self {
        let mut svg = Self { text: String::new() };
        svg.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\">"
        ));
        svg.add(format_args!("<title>{}</title>", escaped(title)));
        svg.add(format_args!("<style>\n{}</style>", escaped(style)));
        svg.add(format_args!("<rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"));
        svg
    }

    pub(crate) fn text(&mut self, class: &str, at: Point, anchor: Anchor, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (Point(x, y), words) = (at, escaped(words));
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
        ));
    }

    pub(crate) fn line(&mut self, class: &str, points: &[Point]) {
        let points: Vec<String> = points.iter().map(|Point(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }

    pub(crate) fn marker(&mut self, class: &str, at: Point, marker: Marker) {
        let Point(x, y) = at;
        match marker {
            Marker::Circle => {
                self.add(format_args!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"));
            }
            Marker::Square => {
                let (left, top) = (x - 4.5, y - 4.5);
                self.add(format_args!(
                    "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"9\" height=\"9\"/>"
                ));
            }
            Marker::Triangle => {
                let corners = [(x, y - 6.0), (x + 5.5, y + 4.0), (x - 5.5, y + 4.0)];
                let corners = corners.map(|(x, y)| format!("{x:.1},{y:.1}"));
                self.add(format_args!("<polygon class=\"{class}\" points=\"{}\"/>", corners.join(" ")));
            }
        }
    }

    /// The whole file.
    pub(crate) fn finish(mut self) -> String {
        self.add(format_args!("</svg>"));
        self.text
    }

    fn add(&mut self, element: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{element}");
    }
}

/// Text as XML wants it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
