//! What is printed: one JSON object for scripts, or text and tables for people; failures go to stderr.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use serde_json::{Value, json};

use crate::exit::Failure;

/// Where a command's answer goes, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells whether a script reads, for which nothing but the answer is printed.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints an answer: the object for scripts, or the text for people.
    pub(crate) fn answer(
        self,
        object: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json {
            print(&format!("{}\n", object()))
        } else {
            print(&text())
        }
    }

    /// Prints a line for people, and nothing for scripts.
    pub(crate) fn tell(self, line: impl Display) -> Result<(), Failure> {
        if self.json {
            Ok(())
        } else {
            print(&format!("{line}\n"))
        }
    }

    /// Prints a failure to stderr, and returns its exit code.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        self.warn(failure);
        ExitCode::from(failure.exit as u8)
    }

    /// Prints a failure to stderr that ends nothing.
    pub(crate) fn warn(self, failure: &Failure) {
        let messages = failure.messages();
        let text = if self.json {
            let (exit, name) = (failure.exit as u8, failure.exit.name());
            let object = json!({ "exit": exit, "name": name, "messages": messages });
            json!({ "error": object }).to_string()
        } else {
            format!("driftless: {}", messages.join(": "))
        };
        // Nobody is left to tell if stderr is gone too.
        drop(writeln!(io::stderr(), "{text}"));
    }
}

/// Prints to stdout, whoever reads; a reader that has seen enough is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Returns a table with a line at its end.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_header(header)
        .add_rows(rows);
    format!("{table}\n")
}

/// Returns the text cut to one short line.
pub(crate) fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Returns a number of bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
