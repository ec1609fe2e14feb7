//! A settings profile with a high score: the best of all games stands, whoever played when.
//!
//! A key that several devices put at once has one winner, and that is not the highest number. So the
//! score is **read** as the best of all that stands at the key, and **written** as the better of what
//! is shown and what is new. A policy `Max` for all keys with a prefix will take the place of the two
//! functions here, and of the window between them: `Transaction` does not show what others left at a
//! key.
//!
//! ```sh
//! cargo run -p driftless-sim --example high_score
//! ```

use std::error::Error;

use driftless::{Dataset, PutError};
use driftless_sim::Harness;
use proptest::prelude::*;

/// In how many worlds a model is tried.
const WORLDS: u32 = 32;

const SCORE: &str = "high score";

/// What a person does to the profile.
#[derive(Clone, Debug)]
enum Edit {
    /// A game ends.
    Play {
        points: i64,
        /// Random, as no two games are one.
        game: u64,
    },
    SetName(String),
    SetVolume(i64),
}

/// How a profile keeps the high score.
#[derive(Clone, Copy)]
struct Model {
    name: &'static str,
    shown: fn(&Dataset) -> Option<i64>,
}

const WINNER: Model = Model {
    name: "the value that won",
    shown: |profile| profile.get(SCORE)?.as_i64(),
};

const BEST: Model = Model {
    name: "the best of all values that stand",
    shown: |profile| {
        let all = profile.conflicts(SCORE).into_iter();
        all.filter_map(|conflict| conflict.value.as_i64()).max()
    },
};

fn edits() -> impl Strategy<Value = Edit> {
    let games = (0..1_000_i64, any::<u64>().no_shrink());
    prop_oneof![
        4 => games.prop_map(|(points, game)| Edit::Play { points, game }),
        1 => "[a-z]{0,8}".prop_map(Edit::SetName),
        1 => (0..=10_i64).prop_map(Edit::SetVolume),
    ]
}

fn apply(model: Model, edit: &Edit, profile: &Dataset) -> Result<(), PutError> {
    match edit {
        Edit::Play { points, game } => {
            let best = (model.shown)(profile).unwrap_or(0).max(*points);
            profile.transaction(|edit| {
                edit.put(format!("game.{game:016x}"), *points)?;
                edit.put(SCORE, best)
            })
        }
        Edit::SetName(name) => profile.put("name", name.as_str()),
        Edit::SetVolume(volume) => profile.put("volume", *volume),
    }
}

/// The score that is shown is that of the best game that is known, at every moment.
fn best_game_is_shown(model: Model) -> Harness<Edit> {
    Harness::new(edits(), move |edit, profile| apply(model, edit, profile))
        .always(move |profile| {
            let games = profile.entries().into_iter();
            let games = games.filter(|(key, _)| key.starts_with("game."));
            let best = games.filter_map(|(_, value)| value.as_i64()).max();
            let shown = (model.shown)(profile);
            if shown == best {
                return Ok(());
            }
            Err(format!(
                "the profile shows {shown:?}, the best game is {best:?}"
            ))
        })
        .worlds(WORLDS)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("The best of all games is shown, if the high score is");
    match best_game_is_shown(WINNER).run() {
        Ok(_) => return Err(format!("{} was not caught in {WORLDS} worlds", WINNER.name).into()),
        Err(counterexample) => println!("{}: caught\n{counterexample}\n", WINNER.name),
    }

    let tally = best_game_is_shown(BEST).run()?;
    let (edits, syncs) = (tally.get("edits"), tally.get("syncs"));
    println!(
        "{}: holds, with {edits} edits and {syncs} syncs\n",
        BEST.name
    );
    println!(
        "HOLDS: the high score is that of the best game in {WORLDS} worlds; 1 wrong model was caught"
    );
    Ok(())
}
