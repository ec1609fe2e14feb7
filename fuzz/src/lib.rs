//! The bodies of the fuzz targets, so that tests on stable run the same code over the seeds.
//!
//! A body takes any bytes and panics where something is wrong: a reader that panics, a reader that takes for whole what its
//! writer would not have written, states that do not join as states do, devices that do not converge. `fuzz_targets/` has
//! one line for each body, `corpus/` its seeds and findings.
//!
//! | target | bytes |
//! | --- | --- |
//! | [`frame_decode`] | the text of one record |
//! | [`records_read`] | bodies of frames, which the target seals: a writer who keeps to the form and means harm |
//! | [`delta_decode`] | a delta, and one that goes onto it |
//! | [`state_join`] | two deltas, each a whole state |
//! | [`wire_answer`] | the body of any operation's answer, of Cognito Identity's too, and of an error |
//! | [`wire_request`] | method, path, query and body, or an operation of Cognito Identity and its body |
//! | [`sigv4_header`] | an Authorization header |
//! | [`server_request`] | a whole request, head and body, signed or not |
//! | [`store_row`] | a row, a mark or a journal of a store, and the rows of a dataset |
//! | [`push_payload`] | the payload of a push, handed to a device |
//! | [`trace_file`] | a recorded editing session, gzipped or not |
//! | [`devices`] | edits, synchronizations and faults of three devices |

mod deltas;
mod devices;
mod input;
mod pushes;
mod records;
mod server;
mod stores;
mod traces;
mod wire;

pub use deltas::{delta_decode, state_join};
pub use devices::devices;
pub use pushes::push_payload;
pub use records::{frame_decode, records_read};
pub use server::{server_request, sigv4_header};
pub use stores::store_row;
pub use traces::trace_file;
pub use wire::{wire_answer, wire_request};

/// A target's name, which is also that of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 12] = [
    ("frame_decode", frame_decode),
    ("records_read", records_read),
    ("delta_decode", delta_decode),
    ("state_join", state_join),
    ("wire_answer", wire_answer),
    ("wire_request", wire_request),
    ("sigv4_header", sigv4_header),
    ("server_request", server_request),
    ("store_row", store_row),
    ("push_payload", push_payload),
    ("trace_file", trace_file),
    ("devices", devices),
];
