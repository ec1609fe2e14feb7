//! Records through the public API: what is encoded, torn, folded and read again.

mod codec;
mod frames;
mod past;
mod planning;
mod reading;
mod samples;
mod sizes;
