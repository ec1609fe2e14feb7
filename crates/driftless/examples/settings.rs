//! A profile and its settings on two devices: which of two concurrent choices is shown, how a screen hears of changes, and what
//! is left to be synchronized.
//!
//! It starts a service of its own, ends by itself, and asserts what it prints.

use std::collections::BTreeSet;

use driftless::{Client, Dataset, Origin, Policy, Value, path};
use serde::{Deserialize, Serialize};

use service::{Failure, Service};

mod service;

/// The profile is a map: its fields merge one by one.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    name: String,
    city: String,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let service = Service::start().await?;
    let (phone, tablet) = (open(&service, "phone")?, open(&service, "tablet")?);
    let (here, there) = (phone.dataset("settings")?, tablet.dataset("settings")?);
    let profile = Profile {
        name: "Ada".to_owned(),
        city: "London".to_owned(),
    };
    here.put_as("profile", &profile)?;
    here.put("theme", "light")?;
    meet(&here, &there).await?;

    // A screen on the tablet shows the settings, and hears of what the phone changes.
    let mut screen = there.changes();

    // Both are offline now. Each changes another field, and both the theme and the level that was reached.
    here.put(path!["profile", "city"], "Turin")?;
    there.put(path!["profile", "name"], "Ada Lovelace")?;
    here.put("theme", "dark")?;
    there.put("theme", "sepia")?;
    here.put("level", 7)?;
    there.put("level", 9)?;
    let waiting = BTreeSet::from(["level", "profile", "theme"].map(str::to_owned));
    assert_eq!(here.unsynced_keys(), waiting);
    println!("offline, the phone has changed {waiting:?}");
    meet(&here, &there).await?;
    assert!(here.unsynced_keys().is_empty() && here.last_sync().is_some());

    // The fields are both in.
    let merged: Option<Profile> = here.get_as("profile")?;
    let expected = Profile {
        name: "Ada Lovelace".to_owned(),
        city: "Turin".to_owned(),
    };
    assert_eq!(merged, Some(expected));
    assert_eq!(here.entries(), there.entries());
    println!("the profile has both: {:?}", there.get("profile"));

    // Of the themes one is shown everywhere, and the other can still be asked for.
    let themes = there.conflicts("theme");
    assert_eq!(
        (themes.len(), Some(&themes[0].value)),
        (2, there.get("theme").as_ref())
    );
    println!(
        "the theme is {:?}, and was nearly {:?}",
        themes[0].value, themes[1].value
    );
    there.put("theme", "dark")?;
    assert_eq!(there.conflicts("theme").len(), 1);

    // For levels the policy shows the highest, whoever was last.
    assert_eq!(here.get("level"), Some(Value::from(9)));

    let mut heard = BTreeSet::new();
    while let Some(change) = screen.try_next() {
        println!(
            "the screen hears: {} is now {:?}, {:?}",
            change.key, change.new, change.origin
        );
        heard.extend((change.origin == Origin::Remote).then_some(change.key));
    }
    assert!(heard.contains("profile"));

    // A person who taps "undo" gets back what was there.
    there.undo()?;
    assert_ne!(there.get("theme"), None);
    println!("undone, the theme is {:?} again", there.get("theme"));
    tablet.close()?;
    Ok(phone.close()?)
}

fn open(service: &Service, device: &str) -> Result<Client, Failure> {
    Ok(service
        .device(device)?
        .policy("level", Policy::Max)
        .open()?)
}

/// Synchronizes until each has what the other wrote.
async fn meet(here: &Dataset, there: &Dataset) -> Result<(), Failure> {
    for dataset in [here, there, here] {
        dataset.synchronize().await?;
    }
    Ok(())
}
