//! Start-up, memory, latency, storms and fleets against tini, dumb-init, catatonit and s6.
fn main() {}
