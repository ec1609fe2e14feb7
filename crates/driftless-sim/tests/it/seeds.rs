//! Plans that once failed, each named for its defect.

use std::fs;
use std::path::Path;

use driftless_sim::{Plan, run};

#[test]
fn defects_that_were_found_stay_mended() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let mut plans = 0;
    for entry in fs::read_dir(kept).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let plan: Plan = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let verdict = run(&plan);
        assert!(
            verdict.is_clean(),
            "{}: {:?}",
            path.display(),
            verdict.violation
        );
        plans += 1;
    }
    assert!(plans > 0);
}
