//! Colours, for terminals alone and where nobody refuses them (<https://no-color.org>).

use std::io::{IsTerminal, stdout};

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint(pub(super) bool);

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Yellow,
    Dim,
}

impl Paint {
    pub(super) fn for_stdout(no_color: bool) -> Self {
        Self(!no_color && stdout().is_terminal())
    }

    pub(super) fn paint(self, text: &str, colour: Colour) -> String {
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Dim => 2,
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
