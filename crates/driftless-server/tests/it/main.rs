//! The server's behaviour, through its public API.

#![expect(clippy::unwrap_used, reason = "a test may unwrap in its helpers too")]

mod boto3;
mod credentials;
mod data_dir;
mod devices;
mod http;
mod identities;
mod list_pages;
mod merges;
mod model;
mod people;
mod pools;
mod service;
mod storage;
mod support;
