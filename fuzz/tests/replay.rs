//! Every seed and every finding runs on stable, as an ordinary test.

use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&corpus).unwrap() {
        body(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "no seeds in {}", corpus.display());
}

#[test]
fn seeds_of_frame_decode_neither_panic_nor_hang() {
    replay("frame_decode", driftless_fuzz::frame_decode);
}

#[test]
fn seeds_of_list_answer_neither_panic_nor_hang() {
    replay("list_answer", driftless_fuzz::list_answer);
}
