//! `plain`: whether a dataset is kept as plain records too, which old clients of Cognito Sync read and write.

use driftless::Dataset;
use serde_json::json;

use crate::args::state::{PlainArgs, PlainWish};
use crate::exit::Failure;
use crate::output::Output;
use crate::settings::Settings;

/// What comes of a wish.
struct Next {
    /// For scripts.
    name: &'static str,
    /// For people.
    text: &'static str,
}

const WRITES: Next = Next {
    name: "writes",
    text: "the next sync writes plain records, and each one after it takes over what old clients write",
};

const REMOVES: Next = Next {
    name: "removes",
    text: "the next sync tells the other devices, and the one after it removes the plain records",
};

const TAKEN_BACK: Next = Next {
    name: "taken-back",
    text: "no sync writes plain records; those that old clients have at the service are found by the first one, and kept",
};

const KEPT_BEFORE: Next = Next {
    name: "nothing",
    text: "nothing was to be done: the dataset is kept as plain records already",
};

const NONE_BEFORE: Next = Next {
    name: "nothing",
    text: "nothing was to be done: the dataset is not kept as plain records",
};

const ONLY: Next = Next {
    name: "nothing",
    text: "nothing was done: the dataset is kept as plain records only, and nothing else at the service holds its data; \
           remove something until the rest has room, sync, and try again",
};

pub(crate) fn plain(settings: &Settings, args: PlainArgs, output: &Output) -> Result<(), Failure> {
    let (PlainWish::Keep(of) | PlainWish::Retire(of)) = &args.wish;
    settings.with_dataset(&of.dataset, |dataset| {
        let (changed, next) = match args.wish {
            PlainWish::Keep(_) => keep(dataset)?,
            PlainWish::Retire(_) => retire(dataset)?,
        };
        output.answer(
            || {
                json!({
                    "dataset": dataset.name(),
                    "changed": changed,
                    "plain": dataset.is_plain(),
                    "plain_only": dataset.is_plain_only(),
                    "next": next.name,
                })
            },
            || format!("{}\n", next.text),
        )
    })
}

fn keep(dataset: &Dataset) -> Result<(bool, Next), Failure> {
    Ok(match dataset.keep_plain_records()? {
        true => (true, WRITES),
        false => (false, KEPT_BEFORE),
    })
}

fn retire(dataset: &Dataset) -> Result<(bool, Next), Failure> {
    let is_only = dataset.is_plain_only();
    let was_synced = dataset.last_sync().is_some();
    Ok(match dataset.retire_plain_records()? {
        true if was_synced => (true, REMOVES),
        true => (true, TAKEN_BACK),
        false if is_only => (false, ONLY),
        false => (false, NONE_BEFORE),
    })
}
