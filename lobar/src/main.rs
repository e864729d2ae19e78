//! The executable: command line, settings, wiring, shutdown, telemetry.

fn main() {}
