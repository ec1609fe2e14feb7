//! What this device took of the files that old clients left, and for whom.
//!
//! A dataset names what it took itself, and forgets it when it is wiped or set aside; the old file stays where it is. So it is
//! noted once more outside of the datasets, where nothing removes it. Rows from before any identity was known belong to
//! whoever takes them first: to nobody at first, then to the identity that adopts nobody's data, and with a guest's data to
//! the login.
//!
//! The rule: claims are read and written under the lock of `open`, so that none is made for somebody who has just changed. A
//! claim on rows of nobody is on disk before the first of them is taken. What was taken is added after the commit that takes
//! it and that names it too; a crash in between is made good by the next call.

use std::collections::{BTreeMap, BTreeSet};

use driftless_merge::Owner;
use driftless_store::{CommitError, Store};
use driftless_transport::BoxError;
use driftless_wire::IdentityId;
use serde::{Deserialize, Serialize};

use crate::setting::{self, Unreadable};

/// The setting of the store in which they are kept.
const SETTING: &str = "old-clients";

/// The version of the setting; a later one is refused.
const VERSION: u32 = 1;

/// What was claimed of old clients' files: places, written `<owner>/<dataset>` as the old client wrote both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    version: u32,
    claims: BTreeMap<String, Claim>,
}

/// Who may take what stands at a place, and what was taken of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// Left out while nobody is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whose: Option<IdentityId>,
    /// Names of what was taken.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ids: BTreeSet<String>,
}

impl Claims {
    pub(crate) fn read(store: &dyn Store) -> Result<Self, Unreadable> {
        Ok(setting::read(store, SETTING, VERSION)?.unwrap_or_default())
    }

    /// Makes them durable.
    pub(crate) fn write(&mut self, store: &dyn Store) -> Result<(), CommitError> {
        self.version = VERSION;
        setting::write(store, SETTING, Some(self))
    }

    /// Gives an identity what was claimed for those whose data move to it.
    ///
    /// Claims that are not understood are left alone: nothing is taken of an old file while they are.
    pub(crate) fn pass(
        store: &dyn Store,
        from: &BTreeMap<Owner, impl Sized>,
        to: &IdentityId,
    ) -> Result<(), BoxError> {
        let mut claims = match Self::read(store) {
            Ok(claims) => claims,
            Err(Unreadable::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "what was taken of old clients is not understood");
                return Ok(());
            }
        };
        let mut has_changed = false;
        for claim in claims.claims.values_mut() {
            if from.contains_key(&claim.owner()) {
                claim.whose = Some(to.clone());
                has_changed = true;
            }
        }
        if has_changed {
            claims.write(store)?;
        }
        Ok(())
    }
}

/// What only an import asks.
#[cfg(feature = "local-store-import")]
impl Claims {
    /// Returns who else has a claim on a place. Nobody's is free for whoever comes first.
    pub(crate) fn other(&self, place: &str, whose: &Owner) -> Option<&IdentityId> {
        let claimed = self.claims.get(place)?.whose.as_ref()?;
        let is_own = matches!(whose, Owner::Identity(identity) if identity == claimed);
        (!is_own).then_some(claimed)
    }

    /// Claims a place; tells whether that is new.
    pub(crate) fn claim(&mut self, place: &str, whose: &Owner) -> bool {
        let whose = crate::identity::identity_of(whose.clone());
        let is_new = !self.claims.contains_key(place);
        let claim = self.claims.entry(place.to_owned()).or_default();
        let is_new = is_new || claim.whose != whose;
        claim.whose = whose;
        is_new
    }

    pub(crate) fn has_taken(&self, place: &str, id: [u8; 8]) -> bool {
        let claim = self.claims.get(place);
        claim.is_some_and(|claim| claim.ids.contains(&name(id)))
    }

    /// Notes what was taken at a place; tells whether that is new. Whose the place is does not change by that, unless it is new
    /// too.
    pub(crate) fn add(&mut self, place: &str, whose: &Owner, ids: &[[u8; 8]]) -> bool {
        if !self.claims.contains_key(place) {
            self.claim(place, whose);
        }
        let claim = self.claims.entry(place.to_owned()).or_default();
        let before = claim.ids.len();
        claim.ids.extend(ids.iter().copied().map(name));
        claim.ids.len() > before
    }
}

impl Claim {
    fn owner(&self) -> Owner {
        self.whose.clone().map_or(Owner::Local, Owner::Identity)
    }
}

#[cfg(feature = "local-store-import")]
fn name(id: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(id))
}
