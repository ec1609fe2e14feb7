//! Deliberate defects have names, by which they are asked for.

use driftless_document::mutant::Mutant;

#[test]
fn name_of_every_defect_is_read_back() {
    for mutant in Mutant::ALL {
        assert_eq!(Mutant::parse(mutant.name()), Some(*mutant));
        assert!(mutant.what().ends_with('.'), "{}", mutant.name());
    }
    assert_eq!(Mutant::parse("Nothing"), None);
}
