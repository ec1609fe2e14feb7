//! The command line of Driftless: datasets, sync, a self-hosted service and a demonstration.
//!
//! What stands here parses and dispatches. Settings become a client in `settings.rs`, every failure an
//! exit code in `exit.rs`; `output.rs` prints.

mod args;
mod commands;
mod exit;
mod files;
mod output;
mod pools;
mod portable;
mod progress;
mod settings;
mod value;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    match start_log(cli.log.as_deref()).and_then(|()| dispatch(cli, &output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.fail(&failure),
    }
}

fn dispatch(cli: Cli, output: &Output) -> Result<(), Failure> {
    use commands::{
        demo, doctor, edit, identity, import_store, login_token, migrate, plain, push, read, serve,
        shell, status, sync, transfer, upkeep, watch, wipe,
    };
    let settings = &cli.settings;
    match cli.command {
        Command::Put(args) => edit::put(settings, args, output),
        Command::Insert(args) => edit::insert(settings, args, output),
        Command::Add(args) => edit::add(settings, args, output),
        Command::Discard(args) => edit::discard(settings, args, output),
        Command::Remove(args) => edit::remove(settings, args, output),
        Command::Increment(args) => edit::increment(settings, args, output),
        Command::Text(args) => edit::text(settings, args, output),
        Command::Delete(args) => edit::delete(settings, args, output),
        Command::Get(args) => read::get(settings, args, output),
        Command::List(args) => read::list(settings, args, output),
        Command::Conflicts(args) => read::conflicts(settings, args, output),
        Command::Export(args) => transfer::export(settings, args, output),
        Command::Import(args) => transfer::import(settings, args, output),
        Command::ImportStore(args) => import_store::import_store(settings, args, output),
        Command::Status(args) => status::status(settings, args, output),
        Command::Wipe(args) => wipe::wipe(settings, args, output),
        Command::Push(args) => push::push(settings, args, output),
        Command::Identify => identity::identify(settings, output),
        Command::SignOut => identity::sign_out(settings, output),
        Command::Sync(args) => sync::sync(settings, args, output),
        Command::Plain(args) => plain::plain(settings, args, output),
        Command::Watch(args) => watch::watch(settings, args, output),
        Command::Doctor(args) => doctor::doctor(settings, args, output),
        Command::Size(args) => upkeep::size(settings, args, output),
        Command::Compact(args) => upkeep::compact(settings, args, output),
        Command::Migrate(args) => migrate::migrate(settings, args, output),
        Command::Serve(args) => serve::serve(args, output),
        Command::LoginToken(args) => login_token::login_token(settings, args, output),
        Command::Completions(args) => shell::completions(&args, output),
        Command::Man(args) => shell::man(&args, output),
        Command::Demo(args) => demo::demo(args, output),
    }
}

/// Sends the log to stderr if one is asked for.
fn start_log(filter: Option<&str>) -> Result<(), Failure> {
    let Some(filter) = filter else { return Ok(()) };
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage(format!("--log: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
