//! The picture as text.

use super::cut::cut;
use super::picture::{Kind, Picture, Row};
use super::times::label;
use crate::wrap::wrap;
use std::fmt::Write;

/// Narrower terminals get broken lines.
const NARROWEST: usize = 60;
/// Wider ones get a picture of this width: longer lines are hard to follow.
const WIDEST: usize = 160;
/// Names that are longer are cut.
const LONGEST_NAME: usize = 20;
/// What the bars have at least.
const NARROWEST_BARS: usize = 20;
/// An axis has no more labels than one for so many columns.
const LABEL_EVERY: usize = 10;

/// What the other end understands.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Columns.
    pub width: usize,
    /// More than ASCII.
    pub unicode: bool,
    /// Colours.
    pub colours: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Dim,
    Bold,
    Red,
    Yellow,
}

impl Ink {
    /// SGR parameters (ECMA-48).
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Red => "1;31",
            Self::Yellow => "33",
        }
    }
}

/// Draws it.
pub(super) fn draw(picture: &Picture, screen: Screen) -> String {
    let mut paper = Paper { text: String::new(), screen };
    let width = screen.width.clamp(NARROWEST, WIDEST);
    for line in &picture.headline {
        paper.paragraph(Ink::Bold, line, width, "");
    }
    paper.end_line();
    let names = picture.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).min(LONGEST_NAME);
    // Two columns before the names, two after, two before the outcomes.
    let least = if picture.end_ms > 0 { NARROWEST_BARS } else { 0 };
    let room = width - names - 6 - least;
    let outcomes = picture.rows.iter().map(|row| row.outcome.chars().count()).max().unwrap_or(0).min(room);
    let axis = Axis { end_ms: picture.end_ms, columns: least + room - outcomes };
    if picture.end_ms > 0 {
        paper.axis(axis, names + 4);
    }
    for row in &picture.rows {
        paper.row(row, names, outcomes, (picture.end_ms > 0).then_some(axis));
    }
    if picture.left_out > 0 {
        paper.paragraph(
            Ink::Dim,
            &format!("and {} more, which ended earlier", picture.left_out),
            width,
            "  ",
        );
    }
    if !picture.legend.is_empty() {
        paper.legend(picture);
    }
    if let Some(text) = &picture.waited_for {
        paper.end_line();
        paper.paragraph(Ink::Plain, text, width, "");
    }
    for advice in &picture.advice {
        paper.end_line();
        paper.paragraph(Ink::Plain, &advice.text, width, "");
        if let Some(line) = &advice.try_this {
            paper.put(Ink::Bold, &format!("    {line}"));
            paper.end_line();
        }
    }
    paper.text
}

#[derive(Clone, Copy)]
struct Axis {
    end_ms: i64,
    columns: usize,
}

impl Axis {
    fn column(self, at_ms: i64) -> usize {
        let last = i64::try_from(self.columns - 1).unwrap_or(i64::MAX);
        let column = at_ms.clamp(0, self.end_ms).saturating_mul(last) / self.end_ms.max(1);
        usize::try_from(column).unwrap_or(0)
    }

    /// The time between two labels: 1, 2 or 5 of a power of ten.
    fn step_ms(self) -> i64 {
        let most = i64::try_from(self.columns / LABEL_EVERY).unwrap_or(1).max(1);
        let powers = (0..18).map(|exponent| 10_i64.pow(exponent));
        let mut steps = powers.flat_map(|power| [power, 2 * power, 5 * power]);
        steps.find(|step| self.end_ms / step <= most).unwrap_or(self.end_ms)
    }
}

struct Paper {
    text: String,
    screen: Screen,
}

impl Paper {
    /// Names and command lines are other people's: nothing in them may steer a terminal.
    fn put(&mut self, ink: Ink, text: &str) {
        let is_shown = |c: char| !c.is_control() && (self.screen.unicode || c.is_ascii());
        let text: String = text.chars().map(|c| if is_shown(c) { c } else { '?' }).collect();
        if self.screen.colours && ink != Ink::Plain && !text.trim().is_empty() {
            // Writing to a string does not fail.
            let _ = write!(self.text, "\x1b[{}m{text}\x1b[0m", ink.code());
        } else {
            self.text.push_str(&text);
        }
    }

    fn end_line(&mut self) {
        while self.text.ends_with(' ') {
            self.text.pop();
        }
        self.text.push('\n');
    }

    fn paragraph(&mut self, ink: Ink, text: &str, width: usize, indent: &str) {
        for line in wrap(text, width - indent.len()) {
            self.put(ink, &format!("{indent}{line}"));
            self.end_line();
        }
    }

    fn choose(&self, unicode: char, ascii: char) -> char {
        if self.screen.unicode { unicode } else { ascii }
    }

    fn axis(&mut self, axis: Axis, indent: usize) {
        let mut labels = vec![' '; indent];
        let mut ruler = vec![self.choose('\u{2500}', '-'); axis.columns];
        let mut at_ms = 0;
        while at_ms <= axis.end_ms {
            let column = axis.column(at_ms);
            ruler[column] = self.choose('\u{252c}', '+');
            labels.resize(indent + column, ' ');
            labels.extend(label(at_ms).chars());
            at_ms += axis.step_ms();
        }
        self.put(Ink::Dim, &labels.iter().collect::<String>());
        self.end_line();
        self.put(Ink::Plain, &" ".repeat(indent));
        self.put(Ink::Dim, &ruler.iter().collect::<String>());
        self.end_line();
    }

    fn row(&mut self, row: &Row, names: usize, outcomes: usize, axis: Option<Axis>) {
        let more = self.choose('\u{2026}', '~');
        let name = cut(&row.name, names, more);
        let ink = if row.is_to_blame { Ink::Red } else { Ink::Plain };
        self.put(ink, &format!("{} ", if row.is_to_blame { '!' } else { ' ' }));
        self.put(ink, &name);
        self.put(Ink::Plain, &" ".repeat(names + 2 - name.chars().count()));
        if let Some(axis) = axis {
            self.bars(row, axis);
        }
        self.put(ink, &cut(&row.outcome, outcomes, more));
        self.end_line();
    }

    fn bars(&mut self, row: &Row, axis: Axis) {
        let mut cells = vec![(' ', Ink::Plain); axis.columns];
        for bar in &row.bars {
            let (unicode, ascii, ink) = match bar.kind {
                Kind::Waiting => ('\u{2504}', '.', Ink::Dim),
                Kind::Stopping => ('\u{2501}', '=', Ink::Yellow),
                Kind::Killed => ('\u{2501}', '#', Ink::Red),
            };
            let from = axis.column(bar.from_ms);
            cells[from..=axis.column(bar.to_ms).max(from)].fill((self.choose(unicode, ascii), ink));
        }
        for (letter, at_ms) in &row.marks {
            // Two at one place stand beside each other, if there is room.
            let place = axis.column(*at_ms);
            let free = (place..axis.columns).find(|column| !cells[*column].0.is_ascii_alphanumeric());
            cells[free.unwrap_or(place)] = (*letter, Ink::Bold);
        }
        for run in cells.chunk_by(|a, b| a.1 == b.1) {
            self.put(run[0].1, &run.iter().map(|(c, _)| *c).collect::<String>());
        }
        self.put(Ink::Plain, "  ");
    }

    fn legend(&mut self, picture: &Picture) {
        self.end_line();
        self.put(Ink::Plain, "  ");
        for (letter, step) in &picture.legend {
            self.put(Ink::Bold, &letter.to_string());
            self.put(Ink::Plain, &format!(" {step}   "));
        }
        let has = |kind| picture.rows.iter().any(|row| row.bars.iter().any(|bar| bar.kind == kind));
        if has(Kind::Stopping) || has(Kind::Killed) {
            self.put(Ink::Yellow, &self.choose('\u{2501}', '=').to_string());
            self.put(Ink::Plain, " stopping   ");
        }
        if has(Kind::Waiting) {
            self.put(Ink::Dim, &self.choose('\u{2504}', '.').to_string());
            self.put(Ink::Plain, " others first");
        }
        self.end_line();
    }
}
