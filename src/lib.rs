//! runinit: the init for containers that stops everything on time and says why.
#![warn(missing_docs)]

pub mod core;
