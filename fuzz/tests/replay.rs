//! Every seed and every finding runs on stable, as an ordinary test.

use std::path::Path;

use driftless_fuzz::TARGETS;

#[test]
fn seeds_neither_panic_nor_hang() {
    for (target, body) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&corpus).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            body(&std::fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "no seeds in {}", corpus.display());
    }
}

#[test]
fn every_target_has_a_binary_and_no_corpus_is_left_over() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |dir: &str| {
        let mut names: Vec<String> = std::fs::read_dir(root.join(dir))
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        names.sort();
        names
    };
    let mut targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}
