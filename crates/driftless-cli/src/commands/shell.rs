//! `completions` and `man`: what the parser knows, for shells and for people.

use std::fs;

use clap::CommandFactory;
use serde_json::json;

use crate::args::Cli;
use crate::args::upkeep::{CompletionsArgs, ManArgs};
use crate::exit::{Exit, Failure};
use crate::output::{Output, print};

/// Prints the script as it is, for a shell reads it.
pub(crate) fn completions(args: &CompletionsArgs, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "driftless", &mut script);
    let script = String::from_utf8_lossy(&script);
    output.answer(
        || json!({ "shell": args.shell.to_string(), "script": script }),
        || script.to_string(),
    )
}

pub(crate) fn man(args: &ManArgs, output: &Output) -> Result<(), Failure> {
    let Some(directory) = &args.output else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return print(&String::from_utf8_lossy(&page));
    };
    let written = fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    written.map_err(|error| {
        let message = format!("cannot write to {}: {error}", directory.display());
        Failure::new(Exit::Io, message)
    })?;
    output.answer(
        || json!({ "directory": directory }),
        || format!("the pages are in {}\n", directory.display()),
    )
}
