//! Progress of what takes over a second: on stderr, only at a terminal, never for scripts.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Returns a bar that counts up to `length`.
pub(crate) fn bar(output: &Output, message: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {human_pos}/{human_len} {eta}")
        .expect("the template is well-formed");
    let bar = ProgressBar::with_draw_target(Some(length as u64), target(output));
    bar.with_style(style).with_message(message)
}

/// Returns a sign of life for a wait of unknown length.
pub(crate) fn spinner(output: &Output, message: String) -> ProgressBar {
    let spinner = ProgressBar::with_draw_target(None, target(output)).with_message(message);
    if !spinner.is_hidden() {
        spinner.enable_steady_tick(Duration::from_millis(100));
    }
    spinner
}

fn target(output: &Output) -> ProgressDrawTarget {
    if output.is_json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    }
}
