//! What to do. Pure: state, event and time in, actions out.

pub mod budget;
pub mod plan;
pub mod signal;
