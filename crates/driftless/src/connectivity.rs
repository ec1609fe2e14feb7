//! What the device's network is like, as the platform or the app tells it.
//!
//! Driftless asks nobody: it waits for news. Whether the service answers is only known from a
//! request; this tells when one makes no sense, and when one makes sense again.
//!
//! The platforms tell their apps. Where nobody does, the feature `network-watcher` has
//! `WatchedConnectivity`, which knows of addresses and not of costs. It stands on the crate `netwatcher`,
//! which waits for each system's own notifications and brings five crates along on Linux; `if-watch` knows
//! the same and brings some forty, `netwatch` more, and a field for an expensive network that it does not
//! fill. None of them knows whether an address leads anywhere.

use std::fmt;

use tokio::sync::watch;

/// What a device's network is like.
///
/// Closed: more would be a matter of taste, and an app that knows more says what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// There is none.
    Offline,
    /// One that costs by the byte, as mobile networks do.
    Metered,
    /// One that does not, as most Wi-Fi networks and cables.
    Unmetered,
}

/// Which networks may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Networks {
    /// All there are.
    #[default]
    Any,
    /// Only those that do not cost by the byte.
    Unmetered,
}

impl Networks {
    fn allow(self, network: Network) -> bool {
        match self {
            Self::Any => network != Network::Offline,
            Self::Unmetered => network == Network::Unmetered,
        }
    }
}

/// Knows what the device's network is like.
///
/// [`ToldConnectivity`] is told by the app, which hears it from the platform.
pub trait Connectivity: Send + Sync + fmt::Debug {
    /// Returns a watch of the network. What is sent again although it did not change tells that the
    /// network was away in between. Once its sender is gone, the network stays what it was.
    fn watch(&self) -> watch::Receiver<Network>;
}

/// A network that the app tells of.
///
/// An app that lets people choose "Wi-Fi only" by itself tells [`Network::Offline`] on all others.
#[derive(Debug)]
pub struct ToldConnectivity {
    network: watch::Sender<Network>,
}

impl ToldConnectivity {
    /// Returns one that begins with this network.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self {
            network: watch::Sender::new(network),
        }
    }

    /// Tells what the network is like now. To tell it again does nothing.
    pub fn tell(&self, network: Network) {
        self.network.send_if_modified(|known| {
            let before = std::mem::replace(known, network);
            before != network
        });
    }
}

/// Without better knowledge there is a network, and only a request that fails shows otherwise.
impl Default for ToldConnectivity {
    fn default() -> Self {
        Self::new(Network::Unmetered)
    }
}

impl Connectivity for ToldConnectivity {
    fn watch(&self) -> watch::Receiver<Network> {
        self.network.subscribe()
    }
}

/// Waits for networks that may be used.
#[derive(Debug)]
pub(crate) struct Reception {
    news: watch::Receiver<Network>,
    networks: Networks,
    last: Network,
}

impl Reception {
    pub(crate) fn new(connectivity: &dyn Connectivity, networks: Networks) -> Self {
        let mut news = connectivity.watch();
        let last = *news.borrow_and_update();
        Self {
            news,
            networks,
            last,
        }
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.networks.allow(*self.news.borrow())
    }

    /// Waits until there is a network that may be used; tells whether that took a change of it.
    pub(crate) async fn until_usable(&mut self) -> bool {
        let was_usable = self.is_usable();
        let networks = self.networks;
        let usable = self.news.wait_for(|network| networks.allow(*network));
        let usable = usable.await.map(|network| *network).ok();
        match usable {
            Some(network) => self.last = network,
            None => std::future::pending().await,
        }
        !was_usable
    }

    /// Waits until there is a network again after there was none.
    pub(crate) async fn until_back(&mut self) {
        loop {
            if self.news.changed().await.is_err() {
                std::future::pending().await
            }
            let now = *self.news.borrow_and_update();
            let before = std::mem::replace(&mut self.last, now);
            // One that is as before after a change was away in between.
            if self.networks.allow(now) && (before == now || !self.networks.allow(before)) {
                return;
            }
        }
    }
}
