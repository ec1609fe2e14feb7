//! Session tokens and page tokens: what the service remembers by giving it away.
//!
//! A token is its content and a MAC over the content and the dataset that it is for, in the text
//! of base64url. Nobody without the key can make one, and one for another dataset, identity or
//! pool fails the MAC. "A token containing a session ID, identity ID, and expiration"
//! (ListRecords, SyncSessionToken).
//!
//! ```text
//! session   nonce[16]  expires i64                                            mac[32]
//! page      nonce[16]  expires i64  since i64  deleted_at i64  count i64  key mac[32]
//! ```
//!
//! Numbers are big-endian. What a token cannot say about itself is whether it was used: a token
//! takes part in at most one UpdateRecords, so used nonces are kept until they expire, or until
//! there are too many, and do not outlive the process. Nothing is lost by forgetting one: a push
//! that comes twice still meets the sync counts.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::BASE64URL_NOPAD;
use driftless_wire::{RecordKey, SyncCount, SyncSessionToken, Timestamp};

use crate::storage::{Address, Place};

/// How many used tokens are remembered: 24 bytes each, with the set's own about 4 MB.
const REMEMBERED: usize = 65_536;
const MAC: usize = 32;
const SESSION_KIND: u8 = b's';
const PAGE_KIND: u8 = b'p';

/// Makes tokens and tells which are good.
pub(crate) struct Tokens {
    key: [u8; 32],
    seed: [u8; 32],
    lifetime_millis: i64,
    issued: AtomicU64,
    used: Mutex<BTreeSet<Session>>,
}

/// A session: from a ListRecords to the UpdateRecords that ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Session {
    // First, so that a set of sessions is in the order in which they expire.
    expires: Timestamp,
    nonce: [u8; 16],
}

/// Where the next page of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) session: Session,
    /// The count that the list was asked from.
    pub(crate) since: SyncCount,
    /// The life of the dataset that the list shows.
    pub(crate) deleted_at: SyncCount,
    /// The last record given.
    pub(crate) place: Place,
}

impl Tokens {
    /// `key` must outlive the process if tokens shall, `seed` must differ in each process.
    pub(crate) fn new(key: [u8; 32], seed: [u8; 32], lifetime_millis: i64) -> Self {
        Self {
            key,
            seed,
            lifetime_millis,
            issued: AtomicU64::new(0),
            used: Mutex::new(BTreeSet::new()),
        }
    }

    /// Draws bytes that were never drawn before and that nobody can tell beforehand.
    pub(crate) fn draw_nonce(&self) -> [u8; 16] {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let drawn = blake3::keyed_hash(&self.seed, &number.to_be_bytes());
        let (nonce, _) = drawn
            .as_bytes()
            .split_first_chunk()
            .expect("a hash has 32 bytes");
        *nonce
    }

    /// Begins a session.
    pub(crate) fn issue(&self, now: Timestamp) -> Session {
        let expires = now.as_millis().saturating_add(self.lifetime_millis);
        Session {
            expires: Timestamp::from_millis(expires),
            nonce: self.draw_nonce(),
        }
    }

    pub(crate) fn session_token(&self, address: &Address, session: Session) -> SyncSessionToken {
        self.seal(SESSION_KIND, address, session.to_bytes()).into()
    }

    /// Returns the session of a token if it is for this dataset, in time and not used.
    pub(crate) fn session(&self, address: &Address, text: &str, now: Timestamp) -> Option<Session> {
        let content = self.unseal(SESSION_KIND, address, text)?;
        let (session, []) = Session::from_bytes(&content)? else {
            return None;
        };
        self.is_good(session, now).then_some(session)
    }

    pub(crate) fn page_token(&self, address: &Address, page: &Page) -> String {
        let mut content = page.session.to_bytes();
        for count in [page.since, page.deleted_at, page.place.count] {
            content.extend(count.get().to_be_bytes());
        }
        content.extend(page.place.key.iter().flat_map(|key| key.as_str().bytes()));
        self.seal(PAGE_KIND, address, content)
    }

    /// Returns the page of a token if it is for this dataset, and its session is in time and not
    /// used.
    pub(crate) fn page(&self, address: &Address, text: &str, now: Timestamp) -> Option<Page> {
        let content = self.unseal(PAGE_KIND, address, text)?;
        let (session, rest) = Session::from_bytes(&content)?;
        let (since, rest) = split_count(rest)?;
        let (deleted_at, rest) = split_count(rest)?;
        let (count, key) = split_count(rest)?;
        let key = RecordKey::try_from(std::str::from_utf8(key).ok()?).ok()?;
        let place = Place {
            count,
            key: Some(key),
        };
        self.is_good(session, now).then_some(Page {
            session,
            since,
            deleted_at,
            place,
        })
    }

    /// Takes a session for a push; nobody else can until the claim is dropped, or ever if it is
    /// kept.
    pub(crate) fn claim(&self, session: Session, now: Timestamp) -> Option<Claim<'_>> {
        let mut used = self
            .used
            .lock()
            .expect("no call panics while it holds the lock");
        while used.first().is_some_and(|first| first.expires < now) || used.len() >= REMEMBERED {
            used.pop_first();
        }
        // A claim that is made and not given out would free the session when it is dropped.
        used.insert(session).then(|| Claim {
            tokens: self,
            session,
            kept: false,
        })
    }

    fn is_good(&self, session: Session, now: Timestamp) -> bool {
        let used = self
            .used
            .lock()
            .expect("no call panics while it holds the lock");
        now <= session.expires && !used.contains(&session)
    }

    fn seal(&self, kind: u8, address: &Address, mut content: Vec<u8>) -> String {
        content.extend(self.mac(kind, address, &content).as_bytes());
        BASE64URL_NOPAD.encode(&content)
    }

    fn unseal(&self, kind: u8, address: &Address, text: &str) -> Option<Vec<u8>> {
        let mut content = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (_, mac) = content.split_last_chunk::<MAC>()?;
        let mac = blake3::Hash::from_bytes(*mac);
        content.truncate(content.len() - MAC);
        // Hashes are compared in constant time.
        (self.mac(kind, address, &content) == mac).then_some(content)
    }

    fn mac(&self, kind: u8, address: &Address, content: &[u8]) -> blake3::Hash {
        let Address { owner, dataset } = address;
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[kind]);
        for part in [
            owner.pool.as_str(),
            owner.identity.as_str(),
            dataset.as_str(),
        ] {
            hasher
                .update(&(part.len() as u64).to_be_bytes())
                .update(part.as_bytes());
        }
        hasher.update(content).finalize()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Session {
    fn to_bytes(self) -> Vec<u8> {
        [&self.nonce[..], &self.expires.as_millis().to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (nonce, rest) = bytes.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let expires = Timestamp::from_millis(i64::from_be_bytes(*expires));
        Some((
            Self {
                expires,
                nonce: *nonce,
            },
            rest,
        ))
    }
}

fn split_count(bytes: &[u8]) -> Option<(SyncCount, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    Some((SyncCount::try_from(i64::from_be_bytes(*count)).ok()?, rest))
}

/// A session taken for a push. Dropped, it gives the session back: after a conflict the iOS client
/// lists again with the token it has.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    tokens: &'a Tokens,
    session: Session,
    kept: bool,
}

impl Claim<'_> {
    /// Marks the session used for good.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let used = self.tokens.used.lock();
            used.expect("no call panics while it holds the lock")
                .remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Owner;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn tokens() -> Tokens {
        Tokens::new([1; 32], [2; 32], 500)
    }

    fn address(dataset: &str) -> Address {
        let owner = Owner {
            pool: "r:0".parse().unwrap(),
            identity: "r:1".parse().unwrap(),
        };
        Address {
            owner,
            dataset: dataset.parse().unwrap(),
        }
    }

    fn after(millis: i64) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() + millis)
    }

    #[test]
    fn token_is_good_for_its_dataset_until_it_expires() {
        let tokens = tokens();
        let session = tokens.issue(NOW);
        let token = tokens.session_token(&address("a"), session);
        assert_eq!(
            tokens.session(&address("a"), token.as_str(), after(500)),
            Some(session)
        );
        assert_eq!(
            tokens.session(&address("a"), token.as_str(), after(501)),
            None
        );
        assert_eq!(tokens.session(&address("b"), token.as_str(), NOW), None);
        let stranger = Tokens::new([3; 32], [2; 32], 500);
        assert_eq!(stranger.session(&address("a"), token.as_str(), NOW), None);
    }

    #[test]
    fn no_changed_or_shortened_token_is_good() {
        let tokens = tokens();
        let token = tokens.session_token(&address("a"), tokens.issue(NOW));
        let text = token.as_str();
        for at in 0..text.len() {
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(
                tokens.session(&address("a"), &changed, NOW),
                None,
                "at {at}"
            );
            assert_eq!(
                tokens.session(&address("a"), &text[..at], NOW),
                None,
                "until {at}"
            );
        }
    }

    #[test]
    fn page_token_says_what_it_was_given_and_is_no_session_token() {
        let tokens = tokens();
        let page = Page {
            session: tokens.issue(NOW),
            since: 3.into(),
            deleted_at: 2.into(),
            place: Place {
                count: 7.into(),
                key: Some("é\0".parse().unwrap()),
            },
        };
        let text = tokens.page_token(&address("a"), &page);
        assert_eq!(tokens.page(&address("a"), &text, NOW), Some(page));
        assert_eq!(tokens.session(&address("a"), &text, NOW), None);
    }

    #[test]
    fn claimed_session_is_free_again_unless_the_claim_is_kept() {
        let tokens = tokens();
        let session = tokens.issue(NOW);
        let claim = tokens.claim(session, NOW).unwrap();
        assert!(tokens.claim(session, NOW).is_none());
        drop(claim);
        tokens.claim(session, NOW).unwrap().keep();
        assert!(tokens.claim(session, NOW).is_none());
        let token = tokens.session_token(&address("a"), session);
        assert_eq!(tokens.session(&address("a"), token.as_str(), NOW), None);
    }

    #[test]
    fn used_sessions_are_forgotten_when_expired_or_too_many() {
        let tokens = tokens();
        for _ in 0..=REMEMBERED {
            tokens.claim(tokens.issue(NOW), NOW).unwrap().keep();
        }
        assert_eq!(tokens.used.lock().unwrap().len(), REMEMBERED);
        tokens.claim(tokens.issue(NOW), after(501)).unwrap().keep();
        assert_eq!(tokens.used.lock().unwrap().len(), 1);
    }
}
