//! The server's behaviour, through its public API.

#![expect(clippy::unwrap_used, reason = "a test may unwrap in its helpers too")]

mod boto3;
mod data_dir;
mod http;
mod list_pages;
mod model;
mod service;
mod storage;
mod support;
