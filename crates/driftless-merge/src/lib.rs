//! The Driftless sync engine, without IO
