//! What becomes of a guest's datasets when the guest turns out to be somebody else.
//!
//! Each becomes a dataset of the survivor named `<name>.<old identity id>`, which says that it
//! stands at count 1 while its records' counts are as they were, and is reported in `MergedDatasetNames` of `<name>` until it is
//! deleted. A name that would be longer than 128 characters loses its end to a hash of it:
//! `<beginning>-<8 hex digits>.<old identity id>`, and is reported alike.
//!
//! The guest is disabled before anything moves, and a push of the guest is acknowledged only if the
//! guest is not disabled after it: so what was acknowledged moves. What is still to be moved stands
//! in the survivor's note and is moved before the survivor gets credentials, whatever crashed.

use driftless_wire::{ApiError, DatasetName, IdentityId, limits};

use super::{ATTEMPTS, Service, storage_failed, too_many_writers};
use crate::storage::{Address, Owner, Swap};

impl Service {
    /// Moves the datasets of identities that were merged into this one here.
    pub(super) fn absorb(&self, survivor: &Owner) -> Result<(), ApiError> {
        for _ in 0..ATTEMPTS {
            let note = self.identity(&survivor.identity)?;
            let Some(mut row) = note.value.clone().filter(|row| !row.absorbing.is_empty()) else {
                return Ok(());
            };
            for identity in std::mem::take(&mut row.absorbing) {
                let guest = Owner {
                    identity,
                    ..survivor.clone()
                };
                self.move_datasets(&guest, survivor)?;
                self.forget_devices(&guest)?;
            }
            if self.swap_notes(&[note.set(&row)])? == Swap::Done {
                return Ok(());
            }
        }
        Err(too_many_writers())
    }

    /// A dataset whose name is taken over there stays where only the operator reaches it.
    fn move_datasets(&self, guest: &Owner, survivor: &Owner) -> Result<(), ApiError> {
        let datasets = self.storage.list(guest, None, usize::MAX);
        for (name, _) in datasets.map_err(storage_failed)? {
            let from = Address {
                owner: guest.clone(),
                dataset: name,
            };
            let to = Address {
                owner: survivor.clone(),
                dataset: child_name(&from.dataset, &guest.identity),
            };
            if self.storage.adopt(&from, &to).map_err(storage_failed)? == Swap::Moved {
                tracing::warn!(
                    dataset = to.dataset.as_str(),
                    "cannot merge a dataset: name taken"
                );
            }
        }
        Ok(())
    }

    /// Returns the datasets that merges made of others of this name.
    pub(super) fn merged_into(&self, address: &Address) -> Result<Vec<String>, ApiError> {
        let Address { owner, dataset } = address;
        let all = self
            .storage
            .list(owner, None, usize::MAX)
            .map_err(storage_failed)?;
        let names = all.into_iter().map(|(name, _)| name);
        Ok(names
            .filter(|name| is_child(name, dataset))
            .map(String::from)
            .collect())
    }
}

/// Whether a merge gave `name` to a dataset called `parent`: its end must be an identity's id, so
/// that a user's own `notes.old` is no child of `notes`.
fn is_child(name: &DatasetName, parent: &DatasetName) -> bool {
    let Some((_, end)) = name.as_str().rsplit_once('.') else {
        return false;
    };
    end.parse()
        .is_ok_and(|guest| child_name(parent, &guest) == *name)
}

fn child_name(name: &DatasetName, guest: &IdentityId) -> DatasetName {
    let name = name.as_str();
    let room = limits::DATASET_NAME_CHARS - guest.as_str().len() - 1;
    let beginning = if name.len() <= room {
        name.to_owned()
    } else {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        format!("{}-{}", &name[..room - 9], &hash[..8])
    };
    let child = format!("{beginning}.{guest}");
    DatasetName::try_from(child).expect("characters of a name and an id, and no more than fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: &str = "us-east-1:00000000-0000-4000-8000-00000000000c";

    fn check(name: &str, parent: &str, expected: bool) {
        let (name, parent) = (name.parse().unwrap(), parent.parse().unwrap());
        assert_eq!(is_child(&name, &parent), expected, "{name} of {parent}");
    }

    #[test]
    fn trap_28_a_child_ends_in_an_identity_id() {
        check(&format!("notes.{GUEST}"), "notes", true);
        check(&format!("notes.x.{GUEST}"), "notes.x", true);
        check(&format!("notes.x.{GUEST}"), "notes", false);
        check("notes.old", "notes", false);
        check(&format!("notes_{GUEST}"), "notes", false);
        check(&format!("Notes.{GUEST}"), "notes", false);
        check("notes", "notes", false);
    }

    #[test]
    fn trap_29_a_long_name_is_shortened_and_still_found() {
        let guest: IdentityId = GUEST.parse().unwrap();
        for len in [80, 81, 82, 128] {
            let name: DatasetName = "n".repeat(len).parse().unwrap();
            let child = child_name(&name, &guest);
            assert!(child.as_str().len() <= limits::DATASET_NAME_CHARS);
            check(child.as_str(), name.as_str(), true);
            check(child.as_str(), &"n".repeat(len - 1), false);
        }
        let longest = "r".repeat(18) + ":" + &"0".repeat(36);
        let child = child_name(&"n".repeat(128).parse().unwrap(), &longest.parse().unwrap());
        assert_eq!(child.as_str().len(), limits::DATASET_NAME_CHARS);
    }
}
