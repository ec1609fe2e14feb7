//! Recorded editing sessions.

use driftless_cli::trace::{MAX_AGENTS, Trace};

/// Reads a trace; what is read keeps what the reader promises, and one hand's edits can be played.
pub fn trace_file(bytes: &[u8]) {
    match Trace::from_bytes(bytes) {
        Ok(Trace::Sequential(trace)) => {
            let mut len = trace.start.chars().count();
            for patch in trace.transactions.iter().flatten() {
                assert!(patch.0 + patch.1 <= len, "a patch lies in the text");
                len = len - patch.1 + patch.2.chars().count();
            }
        }
        Ok(Trace::Concurrent(trace)) => {
            assert!((1..=MAX_AGENTS).contains(&trace.agents));
            for (number, transaction) in trace.transactions.iter().enumerate() {
                assert!(transaction.agent < trace.agents);
                assert!(transaction.parents.iter().all(|parent| *parent < number));
            }
        }
        Err(_) => {}
    }
}
