//! The picture as a picture: SVG, with nothing in it that has to be loaded.

use super::cut::cut;
use super::picture::{Kind, Picture, Row};
use super::times::label;
use crate::wrap::wrap;
use std::fmt::Write;

const WIDTH: i64 = 960;
const MARGIN: i64 = 16;
const LINE: i64 = 20;
const ROW: i64 = 28;
const BAR: i64 = 14;
/// How wide a letter is taken to be.
const LETTER: i64 = 8;
/// Names and outcomes that are longer are cut.
const LONGEST: usize = 40;
/// Letters in a line of text.
const COLUMNS: usize = 112;
/// Labels of the axis.
const LABELS: i64 = 8;

/// Draws it.
pub(super) fn draw(picture: &Picture) -> String {
    let longest = |length: fn(&Row) -> usize| {
        let letters = picture.rows.iter().map(length).max().unwrap_or(0);
        i64::try_from(letters.min(LONGEST)).unwrap_or(0) * LETTER
    };
    let left = MARGIN + longest(|row| row.name.chars().count()) + MARGIN;
    let right = WIDTH - MARGIN - longest(|row| row.outcome.chars().count()) - MARGIN;
    let mut sheet = Sheet { body: String::new(), y: MARGIN, left, right, end_ms: picture.end_ms };
    for line in &picture.headline {
        sheet.paragraph(line, "b");
    }
    sheet.y += LINE / 2;
    if picture.end_ms > 0 {
        sheet.axis(picture.rows.len());
    }
    for row in &picture.rows {
        sheet.row(row);
    }
    sheet.y += LINE / 2;
    if picture.left_out > 0 {
        sheet.paragraph(&format!("and {} more, which ended earlier", picture.left_out), "d");
    }
    let legend: Vec<String> =
        picture.legend.iter().map(|(letter, step)| format!("{letter} {step}")).collect();
    sheet.paragraph(&legend.join(", "), "d");
    if let Some(text) = &picture.waited_for {
        sheet.y += LINE / 2;
        sheet.paragraph(text, "");
    }
    for advice in &picture.advice {
        sheet.y += LINE / 2;
        sheet.paragraph(&advice.text, "");
        if let Some(line) = &advice.try_this {
            sheet.paragraph(line, "b");
        }
    }
    let height = sheet.y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <title>{}</title>\n\
         <style>text{{font:13px ui-monospace,monospace;fill:#222;white-space:pre}}.b{{font-weight:bold}}.d{{fill:#777}}\
         .r{{fill:#c5221f;font-weight:bold}}.m{{font-weight:bold;text-anchor:middle}}line{{stroke:#ddd}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
        escaped(&picture.headline.join(" ")),
        sheet.body
    )
}

struct Sheet {
    body: String,
    y: i64,
    /// Where the bars begin and end.
    left: i64,
    right: i64,
    end_ms: i64,
}

impl Sheet {
    fn x(&self, at_ms: i64) -> i64 {
        let width = self.right - self.left;
        self.left + at_ms.clamp(0, self.end_ms).saturating_mul(width) / self.end_ms.max(1)
    }

    fn text(&mut self, x: i64, y: i64, class: &str, text: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>", escaped(text));
    }

    fn paragraph(&mut self, text: &str, class: &str) {
        for line in wrap(text, COLUMNS) {
            self.y += LINE;
            self.text(MARGIN, self.y, class, &line);
        }
    }

    fn axis(&mut self, rows: usize) {
        self.y += LINE;
        let bottom = self.y + LINE / 2 + i64::try_from(rows).unwrap_or(0) * ROW;
        let step = (self.end_ms / LABELS).max(1);
        let powers = (0..18).map(|exponent| 10_i64.pow(exponent));
        let round = powers.flat_map(|power| [power, 2 * power, 5 * power]).find(|round| *round >= step);
        let round = round.unwrap_or(step);
        for at_ms in (0..=self.end_ms).step_by(usize::try_from(round).unwrap_or(usize::MAX)) {
            let (x, y) = (self.x(at_ms), self.y);
            let _ = writeln!(self.body, "<line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{bottom}\"/>", y + 6);
            self.text(x, y, "d", &label(at_ms));
        }
        self.y += LINE / 2;
    }

    fn row(&mut self, row: &Row) {
        let (top, base) = (self.y + (ROW - BAR) / 2, self.y + ROW / 2 + 5);
        let class = if row.is_to_blame { "r" } else { "" };
        let short = |text: &str| cut(text, LONGEST, '\u{2026}');
        self.text(MARGIN, base, class, &short(&row.name));
        for bar in &row.bars {
            let (x, colour, height) = match bar.kind {
                Kind::Waiting => (self.x(bar.from_ms), "#d0d7de", 2),
                Kind::Stopping => (self.x(bar.from_ms), "#f2b84b", BAR),
                Kind::Killed => (self.x(bar.from_ms), "#e5534b", BAR),
            };
            let width = (self.x(bar.to_ms) - x).max(2);
            let y = top + (BAR - height) / 2;
            let _ = writeln!(
                self.body,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>"
            );
        }
        let mut free = i64::MIN;
        for (letter, at_ms) in &row.marks {
            // Two at one place stand beside each other.
            let x = (self.x(*at_ms) + LETTER / 2).max(free);
            free = x + LETTER + 2;
            self.text(x, base, "m", &letter.to_string());
        }
        if self.end_ms > 0 {
            self.text(self.right + MARGIN, base, class, &short(&row.outcome));
        } else {
            self.text(self.left, base, class, &short(&row.outcome));
        }
        self.y += ROW;
    }
}

/// Text inside an element. What XML 1.0 has no place for is left out (its section 2.2).
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('?'),
            c if c.is_control() && c != '\t' => safe.push('?'),
            c => safe.push(c),
        }
    }
    safe
}
