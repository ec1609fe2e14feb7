//! A watcher of the operating system's networks (feature `network-watcher`), over the crate `netwatcher`: it waits for the
//! system's own news (netlink, routing sockets, Windows' notifications, Android's callbacks) and never polls.
//!
//! What it can know is which addresses the device has. An address need not lead to the service, which only a request finds out,
//! and whether a network costs by the byte no system tells in one way: the app says what to take a network for.
//!
//! It is news where a network is new. An address that changes inside of one, as private IPv6 addresses do every day, is none,
//! for each news costs a request for each open dataset [COGNITO trap 57].

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use netwatcher::{Update, WatchHandle, watch_interfaces_with_callback};
use tokio::sync::watch;

use crate::connectivity::{Connectivity, Network};

/// Bits of an IPv6 address that name its network at most; below them a device chooses its own, again and again.
const V6_NETWORK_BITS: u8 = 64;

/// Knows from the operating system whether the device has a network.
///
/// It watches until it is dropped, on a thread of its own or of the system's.
pub struct WatchedConnectivity {
    network: Arc<watch::Sender<Network>>,
    /// Nobody locks it: it only makes the handle one that threads may share.
    _watching: Mutex<WatchHandle>,
}

/// The operating system does not let its networks be watched; the app can go on with a
/// [`ToldConnectivity`](crate::ToldConnectivity).
#[derive(Debug, thiserror::Error)]
#[error("the networks of this system cannot be watched")]
pub struct WatchError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl WatchedConnectivity {
    /// Begins to watch, and takes each network for one that costs by the byte: a device with a mobile network, of which the
    /// app does not know more. [`Networks::Unmetered`](crate::Networks::Unmetered) then means never.
    ///
    /// On Android the app gives `netwatcher` its context before, see there.
    ///
    /// # Errors
    ///
    /// [`WatchError`] if the system refuses, as some sandboxes do.
    pub fn metered() -> Result<Self, WatchError> {
        Self::begin(Network::Metered)
    }

    /// Begins to watch, and takes each network for one that does not cost by the byte: desktops and servers.
    ///
    /// # Errors
    ///
    /// As for [`metered`](Self::metered).
    pub fn unmetered() -> Result<Self, WatchError> {
        Self::begin(Network::Unmetered)
    }

    fn begin(online: Network) -> Result<Self, WatchError> {
        let network = Arc::new(watch::Sender::new(Network::Offline));
        let mut sight = Sight::default();
        let told = Arc::clone(&network);
        // The first call comes before this returns, with what there is.
        let see = move |update: Update| {
            if sight.sees(networks(&update)) {
                told.send_replace(sight.network(online));
            }
        };
        let watching =
            watch_interfaces_with_callback(see).map_err(|error| WatchError(error.into()))?;
        Ok(Self {
            network,
            _watching: Mutex::new(watching),
        })
    }
}

impl Connectivity for WatchedConnectivity {
    fn watch(&self) -> watch::Receiver<Network> {
        self.network.subscribe()
    }
}

impl fmt::Debug for WatchedConnectivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = *self.network.borrow();
        f.debug_struct("WatchedConnectivity")
            .field("network", &network)
            .finish_non_exhaustive()
    }
}

/// The networks that the device was in when it last looked.
#[derive(Debug, Default)]
struct Sight(BTreeSet<IpAddr>);

impl Sight {
    /// Looks again, and tells whether that is news: the last network went, or another one came.
    fn sees(&mut self, networks: BTreeSet<IpAddr>) -> bool {
        let before = std::mem::replace(&mut self.0, networks);
        let has_gone = self.0.is_empty() && !before.is_empty();
        has_gone || !self.0.is_subset(&before)
    }

    fn network(&self, online: Network) -> Network {
        match self.0.is_empty() {
            true => Network::Offline,
            false => online,
        }
    }
}

fn networks(update: &Update) -> BTreeSet<IpAddr> {
    let addresses = update
        .interfaces
        .values()
        .flat_map(|interface| &interface.ips);
    addresses
        .filter_map(|address| network_of(address.ip, address.prefix_len))
        .collect()
}

/// Returns the network that an address is in, or `None` if it leads nowhere else.
fn network_of(address: IpAddr, bits: u8) -> Option<IpAddr> {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return None;
    }
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(bits.into()))
                .unwrap_or(0);
            let network = Ipv4Addr::from(u32::from(address) & mask);
            (!address.is_link_local()).then_some(network.into())
        }
        IpAddr::V6(address) => {
            let bits = u32::from(bits.min(V6_NETWORK_BITS));
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            let network = Ipv6Addr::from(u128::from(address) & mask);
            (!address.is_unicast_link_local()).then_some(network.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(addresses: &[(&str, u8)]) -> BTreeSet<IpAddr> {
        let network = |(address, bits): &(&str, u8)| network_of(address.parse().unwrap(), *bits);
        addresses.iter().filter_map(network).collect()
    }

    #[test]
    fn addresses_that_lead_nowhere_are_no_network() {
        let alone = [
            ("127.0.0.1", 8),
            ("::1", 128),
            ("169.254.3.4", 16),
            ("fe80::1", 64),
            ("0.0.0.0", 0),
            ("ff02::1", 128),
        ];
        assert_eq!(sight(&alone), BTreeSet::new());
        assert_eq!(
            sight(&[("192.168.1.7", 24), ("192.168.1.9", 24)]),
            sight(&[("192.168.1.0", 24)])
        );
        // Odd lengths of a prefix do no harm.
        assert_eq!(
            sight(&[("10.0.0.1", 0), ("10.0.0.1", 99), ("2001:db8::1", 255)]).len(),
            3
        );
    }

    #[test]
    fn trap_57_only_a_network_that_comes_and_the_last_that_goes_are_news() {
        let mut seen = Sight::default();
        let news = |seen: &mut Sight, addresses: &[(&str, u8)]| {
            let is_news = seen.sees(sight(addresses));
            is_news.then(|| seen.network(Network::Unmetered))
        };
        let (wifi, private) = (("192.168.1.7", 24), ("2001:db8::1", 64));
        assert_eq!(news(&mut seen, &[]), None);
        assert_eq!(news(&mut seen, &[wifi]), Some(Network::Unmetered));
        assert_eq!(news(&mut seen, &[wifi]), None);
        assert_eq!(news(&mut seen, &[wifi, private]), Some(Network::Unmetered));
        // The device gives itself another private address in the same network.
        assert_eq!(news(&mut seen, &[wifi, ("2001:db8::2", 128)]), None);
        assert_eq!(news(&mut seen, &[wifi]), None);
        assert_eq!(
            news(&mut seen, &[("10.0.0.3", 8)]),
            Some(Network::Unmetered)
        );
        assert_eq!(news(&mut seen, &[("127.0.0.1", 8)]), Some(Network::Offline));
        assert_eq!(news(&mut seen, &[]), None);
    }
}
