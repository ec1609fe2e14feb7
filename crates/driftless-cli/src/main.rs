//! The command line of Driftless: datasets, sync, a self-hosted service and a demonstration
fn main() {}
