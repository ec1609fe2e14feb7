//! The store through its public API: one module per behaviour.

mod child;
mod contract;
mod crash;
mod damage;
mod directory;
mod full;
mod model;
mod past;
mod rewrite;
mod samples;
mod sync_order;
