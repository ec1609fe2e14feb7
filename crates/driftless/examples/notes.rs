//! Notes with text that is typed on two devices at once, synchronized by themselves, with their list and their sizes.
//!
//! Each note is a dataset of its own, so that a device takes only those that it opens. It starts a service of its own, ends by
//! itself, and asserts what it prints.

use std::time::Duration;

use driftless::{AutoSync, Client, Dataset, Schedule};

use service::{Failure, Service};

mod service;

const TEXT: &str = "text";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let service = Service::start().await?;
    let (phone, tablet) = (
        service.device("phone")?.open()?,
        service.device("tablet")?.open()?,
    );
    let mut phone_syncs = phone.auto_sync(at_once())?;
    let here = phone.dataset("recipe")?;
    here.splice_text(TEXT, 0, 0, "Boil the pasta.")?;
    until(&mut phone_syncs, || !here.has_unsynced()).await?;

    // The tablet finds the note in the list of the service, and opens it.
    let catalog = tablet.refresh().await?;
    let (name, entry) = catalog
        .datasets
        .first_key_value()
        .ok_or("there is a note")?;
    assert!(name.as_str() == "recipe" && !entry.is_here);
    println!(
        "the tablet finds {name}, one of {} notes at most",
        catalog.taken().1
    );
    let mut tablet_syncs = tablet.auto_sync(at_once())?;
    let there = tablet.dataset(name.as_str())?;
    until(&mut tablet_syncs, || there.text(TEXT).is_some()).await?;

    // Both type into it, not knowing of each other.
    type_at(&here, "Boil", "Salt the water. ")?;
    type_at(&there, ".", " for 9 minutes")?;
    println!("the phone shows:  {}", shown(&here));
    println!("the tablet shows: {}", shown(&there));
    until(&mut phone_syncs, || !here.has_unsynced()).await?;
    until(&mut tablet_syncs, || !there.has_unsynced()).await?;

    // Nobody polls: a push would tell the device whose edit came first, and here the person does, by opening the note.
    let both = "Salt the water. Boil the pasta for 9 minutes.";
    here.hint();
    until(&mut phone_syncs, || shown(&here) == both).await?;
    there.hint();
    until(&mut tablet_syncs, || shown(&there) == both).await?;
    println!("both show:        {both}");

    // What was typed and deleted again takes some room, until it is compacted: a few characters for each run.
    let thought = "A thought that was not worth keeping. ";
    for _ in 0..20 {
        here.splice_text(TEXT, 0, 0, thought)?;
    }
    until(&mut phone_syncs, || !here.has_unsynced()).await?;
    here.splice_text(TEXT, 0, 20 * thought.len(), "")?;
    until(&mut phone_syncs, || !here.has_unsynced()).await?;
    let before = here.size();
    let report = here.compact().await?;
    let after = here.size();
    println!(
        "{} characters, {} of them for the past; compacted {}",
        before.live, before.dead, after.live
    );
    assert!(report.compacted && before.dead > 0 && after.dead == 0 && after.live < before.live);
    for (name, size) in phone.sizes()? {
        println!("{name} takes {} of {}", size?.live, before.refused_above);
    }
    close(phone, phone_syncs)?;
    close(tablet, tablet_syncs)
}

/// Synchronizes as soon as something was edited; an app that is typed into waits 2 s by default.
fn at_once() -> Schedule {
    Schedule::default().quiet(Duration::ZERO)
}

/// Waits until sessions have brought something about; one that fails ends it.
async fn until(syncs: &mut AutoSync, is_so: impl Fn() -> bool) -> Result<(), Failure> {
    while !is_so() {
        if !syncs.changed().await {
            return Err("the client was closed".into());
        }
        for outcome in syncs.outcomes().into_values() {
            outcome?;
        }
    }
    Ok(())
}

/// Types in front of the first place where something stands.
fn type_at(note: &Dataset, place: &str, insert: &str) -> Result<(), Failure> {
    let text = shown(note);
    let at = text.find(place).ok_or("the place is there")?;
    // Positions count characters, not bytes.
    let at = text[..at].chars().count();
    Ok(note.splice_text(TEXT, at, 0, insert)?)
}

fn shown(note: &Dataset) -> String {
    note.text(TEXT).unwrap_or_default()
}

fn close(client: Client, syncs: AutoSync) -> Result<(), Failure> {
    drop(syncs);
    Ok(client.close()?)
}
