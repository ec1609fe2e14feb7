//! A shopping list: which of three data models holds when several people write one list offline?
//!
//! Two things must be true of it, on every phone and at every moment: **what somebody added is in the
//! amount**, and **no amount is negative**. Each addition also leaves a line of its own, so that a
//! check can add up what there must be.
//!
//! ```sh
//! cargo run -p driftless-sim --example shopping_list
//! ```

use std::error::Error;

use driftless::{Dataset, PutError};
use driftless_sim::{Counterexample, Harness, Tally};
use proptest::prelude::*;

/// In how many worlds a model is tried.
const WORLDS: u32 = 24;

const ITEMS: [&str; 2] = ["milk", "bread"];

/// What a person does to the list.
#[derive(Clone, Debug)]
enum Edit {
    Add {
        item: &'static str,
        amount: i64,
        /// Random, as no two additions are one.
        line: u64,
    },
    /// Takes one piece, if the list shows one.
    Take { item: &'static str },
}

/// How a list keeps what there is to buy.
#[derive(Clone, Copy)]
struct Model {
    name: &'static str,
    add: fn(&Dataset, &str, i64, u64) -> Result<(), PutError>,
    take: fn(&Dataset, &str) -> Result<(), PutError>,
    amount: fn(&Dataset, &str) -> i64,
}

/// Two who add at once read the same number and put two sums, of which one wins.
const NUMBER: Model = Model {
    name: "a number that is read, changed and put",
    add: |list, item, amount, line| {
        let sum = number(list, item) + amount;
        list.transaction(|edit| {
            edit.put(line_key(item, line), amount)?;
            edit.put(item, sum)
        })
    },
    take: |list, item| match number(list, item) {
        0 => Ok(()),
        shown => list.put(item, shown - 1),
    },
    amount: number,
};

/// Additions add up. But two who both take the last piece leave -1.
const COUNTER: Model = Model {
    name: "a counter",
    add: |list, item, amount, line| {
        list.transaction(|edit| {
            edit.put(line_key(item, line), amount)?;
            edit.increment(item, amount)
        })
    },
    take: |list, item| match counter(list, item) {
        0 => Ok(()),
        _ => list.increment(item, -1),
    },
    amount: counter,
};

/// The amount is what stands on the lines; whoever takes crosses out a line, which works once.
const LINES: Model = Model {
    name: "one key for each piece",
    add: |list, item, amount, line| {
        let pieces =
            (0..amount).map(|piece| (format!("{}.{piece}", line_key(item, line)), 1.into()));
        list.put_all(pieces)
    },
    take: |list, item| match lines(list, item).next() {
        None => Ok(()),
        Some((key, _)) => list.remove(&key).map(drop),
    },
    amount: |list, item| lines(list, item).map(|(_, pieces)| pieces).sum(),
};

fn line_key(item: &str, line: u64) -> String {
    format!("line.{item}.{line:016x}")
}

fn lines(list: &Dataset, item: &str) -> impl Iterator<Item = (String, i64)> {
    let prefix = format!("line.{item}.");
    let entries = list.entries().into_iter();
    let lines = entries.filter(move |(key, _)| key.starts_with(&prefix));
    lines.filter_map(|(key, value)| Some((key, value.as_i64()?)))
}

fn number(list: &Dataset, item: &str) -> i64 {
    list.get(item).and_then(|value| value.as_i64()).unwrap_or(0)
}

fn counter(list: &Dataset, item: &str) -> i64 {
    list.counter(item).unwrap_or(0)
}

fn additions() -> impl Strategy<Value = Edit> {
    let line = any::<u64>().no_shrink();
    let item = prop::sample::select(&ITEMS[..]);
    (item, 1..3_i64, line).prop_map(|(item, amount, line)| Edit::Add { item, amount, line })
}

fn additions_and_takes() -> impl Strategy<Value = Edit> {
    let takes = prop::sample::select(&ITEMS[..]).prop_map(|item| Edit::Take { item });
    prop_oneof![2 => additions(), 3 => takes]
}

fn harness(model: Model, edits: impl Strategy<Value = Edit> + 'static) -> Harness<Edit> {
    Harness::new(edits, move |edit, list| match *edit {
        Edit::Add { item, amount, line } => (model.add)(list, item, amount, line),
        Edit::Take { item } => (model.take)(list, item),
    })
    .worlds(WORLDS)
}

/// Nothing is taken, so that the amount is the sum of all lines.
fn no_addition_is_lost(model: Model) -> Harness<Edit> {
    harness(model, additions()).always(move |list| {
        ITEMS.iter().try_for_each(|item| {
            let (shown, added) = (
                (model.amount)(list, item),
                lines(list, item).map(|(_, pieces)| pieces).sum::<i64>(),
            );
            if shown == added {
                return Ok(());
            }
            Err(format!(
                "the list shows {shown} of {item}, and {added} were added"
            ))
        })
    })
}

fn no_amount_is_negative(model: Model) -> Harness<Edit> {
    harness(model, additions_and_takes()).always(move |list| {
        ITEMS
            .iter()
            .try_for_each(|item| match (model.amount)(list, item) {
                0.. => Ok(()),
                amount => Err(format!("the list shows {amount} of {item}")),
            })
    })
}

/// Expects that a model holds.
fn holds(model: Model, harness: &Harness<Edit>) -> Result<Tally, Box<Counterexample<Edit>>> {
    let tally = harness.run()?;
    let (edits, syncs) = (tally.get("edits"), tally.get("syncs"));
    println!(
        "{}: holds in {WORLDS} worlds, with {edits} edits and {syncs} syncs\n",
        model.name
    );
    Ok(tally)
}

/// Expects that a model is caught.
fn is_caught(model: Model, harness: &Harness<Edit>) -> Result<(), String> {
    match harness.run() {
        Ok(_) => Err(format!("{} was not caught in {WORLDS} worlds", model.name)),
        Err(counterexample) => {
            println!("{}: caught\n{counterexample}\n", model.name);
            Ok(())
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("What somebody added is in the amount, if that is kept as");
    is_caught(NUMBER, &no_addition_is_lost(NUMBER))?;
    let mut tally = holds(COUNTER, &no_addition_is_lost(COUNTER))?;

    println!("No amount is negative, if it is kept as");
    is_caught(COUNTER, &no_amount_is_negative(COUNTER))?;
    tally.merge(&holds(LINES, &no_amount_is_negative(LINES))?);

    println!(
        "HOLDS: no addition is lost and no amount is negative in {} worlds with {} crashes and restarts; \
         2 wrong models were caught",
        2 * WORLDS,
        tally.get("crashes at a commit")
            + tally.get("restarts after a kill")
            + tally.get("restarts after a loss of power"),
    );
    Ok(())
}
