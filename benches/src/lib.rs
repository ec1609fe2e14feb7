//! What the benchmarks of Driftless share: samples, devices, a report that holds figures against bars.
//!
//! `cargo bench -p driftless-benches` measures; with `-- --quick` everything runs once, to see that it still does. What
//! was measured, and how, stands in `docs/benchmarks.md`. Counts (characters, bytes, requests) are the same on every
//! machine. Times are medians and percentiles, and where two things are compared, a ratio within one run.

mod device;
mod figure;
mod loopback;
mod mode;
mod report;
mod samples;
mod times;

pub use device::{Device, Synced, service};
pub use figure::Figure;
pub use loopback::{IDENTITY, Loopback, POOL};
pub use mode::Mode;
pub use report::Report;
pub use samples::{Random, fill, key, printable_text, small_value, thousand_keys};
pub use times::{Times, timed};
