//! The server's behaviour, through its public API.

mod boto3;
mod data_dir;
mod http;
mod list_pages;
mod model;
mod service;
mod storage;
mod support;
