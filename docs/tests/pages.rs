//! What pages of `docs/` claim of the code: each trap has a test, and no name of an old client is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The traps that `traps.md` has.
const TRAPS: u32 = 57;

fn docs() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Calls a function with the text of each Rust file below a directory.
fn for_each_source(directory: &Path, see: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_source(&path, see);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            see(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Returns the numbers in the name of a test: 42 and 43 of `trap_42_and_43_torn`.
fn numbers(name: &str) -> Vec<u32> {
    let parts = name.split('_').filter(|part| *part != "and");
    parts.map_while(|part| part.parse().ok()).collect()
}

/// Returns the traps that tests of the workspace name.
fn tested() -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for_each_source(&docs().join("../crates"), &mut |source| {
        let names = source.split("fn trap_").skip(1);
        found.extend(names.flat_map(|name| numbers(name.split('(').next().unwrap())));
    });
    found
}

#[test]
fn every_trap_is_on_the_page_and_named_by_a_test() {
    let page = fs::read_to_string(docs().join("traps.md")).unwrap();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let listed: Vec<u32> = rows.filter_map(|(number, _)| number.parse().ok()).collect();
    assert_eq!(listed, (1..=TRAPS).collect::<Vec<_>>());
    let tested = tested();
    let missing: Vec<u32> = (1..=TRAPS)
        .filter(|number| !tested.contains(number))
        .collect();
    assert_eq!(missing, [0_u32; 0], "no test is named trap_N_ for these");
    assert_eq!(
        tested.last(),
        Some(&TRAPS),
        "there are no more traps than that"
    );
}

/// Public names of the last release of each old client, taken from its sources.
const OLD_CLIENTS: [(&str, &str); 4] = [
    ("Android", include_str!("android.txt")),
    ("iOS", include_str!("ios.txt")),
    ("JavaScript", include_str!("javascript.txt")),
    (".NET, Xamarin and Unity", include_str!("dotnet.txt")),
];

/// Returns the part of a page under a heading, to the next one of its rank.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

#[test]
fn no_name_of_an_old_client_is_missing() {
    let page = fs::read_to_string(docs().join("from-cognito.md")).unwrap();
    let errors = section(&page, "Errors");
    for (client, names) in OLD_CLIENTS {
        let told = section(&page, client);
        let is_told = |name: &&str| [told, errors].iter().any(|part| has_word(part, name));
        let missing: Vec<&str> = names.lines().filter(|name| !is_told(name)).collect();
        assert!(missing.is_empty(), "{client}: {missing:?}");
    }
}

/// Tells whether a text has a name in code, alone or with what belongs to it.
fn has_word(text: &str, name: &str) -> bool {
    let is_inside = |next: Option<char>| next.is_some_and(|next| next.is_alphanumeric());
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !is_inside(before) && !is_inside(after)
    })
}
