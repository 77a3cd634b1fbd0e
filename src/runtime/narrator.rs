//! Another voice for what happens.

use crate::core::event::Event;
use crate::core::signal::Signal;
use std::fmt::Debug;

/// Says what happens in place of the core, which is silent then. It only hears: nothing it does changes anything.
pub trait Narrator: Debug {
    /// Something has happened, and the core hears of it next.
    fn hear(&mut self, event: &Event);

    /// A signal has come that was raised by giving up the terminal; nobody else hears of it.
    fn left_terminal(&mut self, _signal: Signal) {}
}
