//! Another way to a server, which a test can hold up: on TCP, or in a universe.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use zk_sim::ServerHandle;
pub(crate) use zk_testkit::Direction;

use super::relay::Relay;
use super::universe::Universe;

/// What a method asks for has happened when it returns.
#[derive(Debug)]
pub(crate) enum Proxy {
    Tcp(zk_testkit::Proxy),
    Simulated(SimProxy),
}

/// A [`Relay`] on a machine of its own.
#[derive(Debug)]
pub(crate) struct SimProxy {
    universe: Arc<Universe>,
    relay: Arc<ServerHandle<Relay>>,
    address: SocketAddr,
}

impl SimProxy {
    pub(crate) fn start(universe: &Arc<Universe>) -> Self {
        let target = universe.address();
        let (address, relay) = universe.call(move |sim, number| {
            let address = Universe::new_address(number);
            (address, Relay::start(sim, &address.to_string(), target))
        });
        Self {
            universe: Arc::clone(universe),
            relay,
            address,
        }
    }

    fn with<R: Send + 'static>(&self, f: impl FnOnce(&mut Relay) -> R + Send + 'static) -> R {
        let relay = Arc::clone(&self.relay);
        self.universe.call(move |_, _| relay.with(f))
    }

    fn refuse(&self, refuse: bool) {
        let machine = self.relay.machine().clone();
        self.universe.call(move |_, _| match refuse {
            true => machine.refuse_connections(),
            false => machine.accept_connections(),
        });
    }
}

impl Proxy {
    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Tcp(proxy) => proxy.address(),
            Self::Simulated(proxy) => proxy.address,
        }
    }

    /// Stops forwarding both ways. Connections stay open.
    pub(crate) fn stall(&self) {
        match self {
            Self::Tcp(proxy) => proxy.stall(),
            Self::Simulated(proxy) => proxy.with(|relay| {
                relay.stall(Direction::ToServer);
                relay.stall(Direction::ToClient);
            }),
        }
    }

    /// Stops forwarding what the server sends.
    pub(crate) fn stall_towards_client(&self) {
        match self {
            Self::Tcp(proxy) => proxy.stall_towards_client(),
            Self::Simulated(proxy) => proxy.with(|relay| relay.stall(Direction::ToClient)),
        }
    }

    /// Forwards again both ways.
    pub(crate) fn resume(&self) {
        match self {
            Self::Tcp(proxy) => proxy.resume(),
            Self::Simulated(proxy) => proxy.with(Relay::resume),
        }
    }

    /// Closes every connection now; what was held up is lost.
    pub(crate) fn cut(&self) {
        match self {
            Self::Tcp(proxy) => proxy.cut(),
            Self::Simulated(proxy) => proxy.with(Relay::cut),
        }
    }

    /// Cuts the connection that carries the `bytes`th byte from now on in that direction, right
    /// after that byte; with 0, the connection that carries the next byte, and without it.
    pub(crate) fn cut_after(&self, direction: Direction, bytes: u64) {
        match self {
            Self::Tcp(proxy) => proxy.cut_after(direction, bytes),
            Self::Simulated(proxy) => proxy.with(move |relay| relay.cut_after(direction, bytes)),
        }
    }

    /// Whether new connections are refused, as on a port where nobody listens.
    pub(crate) fn refuse(&self, refuse: bool) -> io::Result<()> {
        match self {
            Self::Tcp(proxy) => proxy.refuse(refuse),
            Self::Simulated(proxy) => {
                proxy.refuse(refuse);
                Ok(())
            }
        }
    }

    /// The number of connections accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        match self {
            Self::Tcp(proxy) => proxy.accepted(),
            Self::Simulated(proxy) => proxy.with(|relay| relay.accepted()),
        }
    }
}
