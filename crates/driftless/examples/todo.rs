//! A to-do list on a phone and a laptop that are mostly offline.
//!
//! `cargo run --example todo` plays the script below and checks where it leads; `cargo run --example todo -- -` takes commands
//! like those of the script from a person, one a line.
//!
//! Each item is a map at a key of its own: what one device does to the title and another to the check mark are both kept, and
//! an item that is edited here while it is dropped there is dropped (a removal wins over what is written inside of it).

use std::collections::BTreeMap;
use std::io::{BufRead, stdin};

use driftless::Dataset;
use serde::{Deserialize, Serialize};

use service::{Failure, Service};

mod service;

const SCRIPT: &str = "
phone add Buy milk
phone sync
laptop sync
# Now both are offline, and meet the same item.
phone title 1 Buy oat milk
laptop done 1
laptop add Call the plumber
phone add Water the plants
# The first to synchronize pushes, the second merges and pushes, the first learns of it.
phone sync
laptop sync
phone sync
laptop drop 3
laptop sync
phone sync
phone list
laptop list
";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    title: String,
    done: bool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let service = Service::start().await?;
    let mut devices = BTreeMap::new();
    for name in ["phone", "laptop"] {
        let client = service.device(name)?.open()?;
        devices.insert(name, client.dataset("todo")?);
    }
    if std::env::args().nth(1).is_some() {
        println!("phone|laptop  add TITLE | title N TITLE | done N | drop N | list | sync");
        for line in stdin().lock().lines() {
            if let Err(error) = run(&devices, &line?).await {
                println!("  {error}");
            }
        }
        return Ok(());
    }
    for line in SCRIPT.trim().lines() {
        println!("> {line}");
        run(&devices, line).await?;
    }
    check(&devices)
}

/// Both devices show the same list, with what both did to its first item.
fn check(devices: &BTreeMap<&str, Dataset>) -> Result<(), Failure> {
    let [laptop, phone] = ["laptop", "phone"].map(|name| &devices[name]);
    assert_eq!(items(phone)?, items(laptop)?);
    let items = items(phone)?.into_iter().map(|(_, item)| item);
    let expected = [("Buy oat milk", true), ("Call the plumber", false)];
    let expected = expected.map(|(title, done)| Item {
        title: title.to_owned(),
        done,
    });
    assert!(items.eq(expected));
    println!("both devices show the same list");
    Ok(())
}

async fn run(devices: &BTreeMap<&str, Dataset>, line: &str) -> Result<(), Failure> {
    let mut words = line.splitn(3, ' ');
    let (device, command, rest) = (words.next(), words.next(), words.next().unwrap_or(""));
    let Some(command) = command.filter(|_| !line.starts_with('#')) else {
        return Ok(());
    };
    let todo = device.and_then(|device| devices.get(device));
    let todo = todo.ok_or("there is a phone and a laptop")?;
    match command {
        "add" => add(todo, rest)?,
        "title" => {
            let (number, title) = rest.split_once(' ').ok_or("title N TITLE")?;
            todo.put(driftless::path![key(todo, number)?, "title"], title)?;
        }
        "done" => todo.put(driftless::path![key(todo, rest)?, "done"], true)?,
        "drop" => drop(todo.remove(key(todo, rest)?)?),
        "list" => list(todo)?,
        "sync" => {
            let report = todo.synchronize().await?;
            let (here, there) = (report.changed_here.len(), report.changed_there.len());
            println!("  {here} came, {there} went, {} requests", report.requests);
        }
        _ => return Err("add, title, done, drop, list or sync".into()),
    }
    Ok(())
}

/// Adds an item under a key that no other device takes: its author is part of it. The number in front keeps the order.
fn add(todo: &Dataset, title: &str) -> Result<(), Failure> {
    let key = format!("{:04} {}", todo.len() + 1, todo.author());
    let item = Item {
        title: title.to_owned(),
        done: false,
    };
    Ok(todo.put_as(key, &item)?)
}

fn items(todo: &Dataset) -> Result<Vec<(String, Item)>, Failure> {
    let mut items = Vec::new();
    for key in todo.keys() {
        items.extend(todo.get_as(key.as_str())?.map(|item| (key, item)));
    }
    // Two devices may give one number; then the title decides, so that all show one order.
    items.sort_by(|(a, x): &(String, Item), (b, y)| {
        a[..4].cmp(&b[..4]).then_with(|| x.title.cmp(&y.title))
    });
    Ok(items)
}

fn key(todo: &Dataset, number: &str) -> Result<String, Failure> {
    let number: usize = number.trim().parse()?;
    let item = number
        .checked_sub(1)
        .and_then(|at| items(todo).ok()?.into_iter().nth(at));
    item.map(|(key, _)| key)
        .ok_or_else(|| "there is no such item".into())
}

fn list(todo: &Dataset) -> Result<(), Failure> {
    for (number, (_, item)) in (1..).zip(items(todo)?) {
        println!(
            "  {number} [{}] {}",
            if item.done { 'x' } else { ' ' },
            item.title
        );
    }
    Ok(())
}
