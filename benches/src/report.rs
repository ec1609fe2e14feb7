//! What one benchmark found: a row per question, beside the bar that it is held against.
//!
//! A bar that is missed is said, and ends nothing: a busy machine must not stop a build.

use comfy_table::{Table, presets};

use crate::figure::Figure;
use crate::mode::Mode;

/// The rows that one benchmark prints.
#[derive(Debug)]
pub struct Report {
    title: String,
    table: Table,
}

impl Report {
    /// Returns a report without rows.
    #[must_use]
    pub fn new(name: &str, mode: Mode) -> Self {
        let mut table = Table::new();
        table
            .load_style(presets::ASCII_MARKDOWN)
            .set_header(["what", "measured", "bar", "met"]);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let thoroughness = match mode {
            Mode::Quick => "quick, so that times mean nothing",
            Mode::Full => "full",
        };
        Self {
            title: format!("{name} ({thoroughness}; {cores} cores)"),
            table,
        }
    }

    /// Adds a figure that must not exceed its bar.
    pub fn bar(&mut self, what: impl Into<String>, measured: Figure, bar: Figure) {
        let met = if measured.is_within(bar) { "yes" } else { "NO" };
        self.table.add_row([
            what.into(),
            measured.to_string(),
            format!("≤ {bar}"),
            met.to_owned(),
        ]);
    }

    /// Adds a figure without a bar, which explains another one.
    pub fn note(&mut self, what: impl Into<String>, measured: Figure) {
        self.table.add_row([
            what.into(),
            measured.to_string(),
            String::new(),
            String::new(),
        ]);
    }

    /// Prints the rows.
    pub fn print(self) {
        println!("\n{}\n\n{}", self.title, self.table);
    }
}
