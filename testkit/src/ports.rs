//! Ports on loopback that stay ours.
//!
//! A member keeps its port while it is dead, so the port must not go to anybody else meanwhile.
//! Ports that the system hands out to outgoing connections would: a client which reconnects to a
//! dead member could even be given that very port and connect to itself. So the ports come from
//! below the system's own range, and a lock file per port keeps test processes off one another's.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

use crate::error::Error;
use crate::home::{home, make_dir, try_lock};

/// The address of a port on loopback.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port that no other test process takes while this lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _claim: File,
}

impl Port {
    /// Finds a free port and claims it.
    ///
    /// # Errors
    ///
    /// [`Error::NoPorts`], or an [`Error::Io`] from the directory of claims.
    pub(crate) fn claim() -> Result<Self, Error> {
        let claims = home()?.join("ports");
        make_dir(&claims)?;
        let range = range();
        let size = u64::from(range.end - range.start);
        let first = RandomState::new().build_hasher().finish() % size;
        for step in 0..size {
            let offset = u16::try_from((first + step) % size).map_err(|_| Error::NoPorts)?;
            let number = range.start + offset;
            let Some(claim) = try_lock(&claims.join(number.to_string()))? else {
                continue;
            };
            if TcpListener::bind(loopback(number)).is_ok() {
                return Ok(Self {
                    number,
                    _claim: claim,
                });
            }
        }
        Err(Error::NoPorts)
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.number)
    }
}

/// The ports to choose from: next to those which the system gives to outgoing connections.
fn range() -> Range<u16> {
    const SIZE: u16 = 12_000;
    const LOWEST: u16 = 8_000;

    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = text
        .split_whitespace()
        .filter_map(|word| word.parse::<u16>().ok());
    let (low, high) = (
        bounds.next().unwrap_or(32_768),
        bounds.next().unwrap_or(60_999),
    );
    if low >= LOWEST + SIZE {
        low - SIZE..low
    } else if high < u16::MAX - 1_000 {
        high + 1..u16::MAX
    } else {
        LOWEST..LOWEST + SIZE // the system's range is everything: then as good as any
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wait::eventually;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn claims_differ_and_are_free() {
        let ports: Vec<Port> = (0..8).map(|_| Port::claim().unwrap()).collect();
        for (index, port) in ports.iter().enumerate() {
            assert!(
                ports[..index]
                    .iter()
                    .all(|other| other.number() != port.number())
            );
            // A process that is just being started has a copy of the socket that looked.
            let bound = eventually(LIMIT, || TcpListener::bind(port.address()).ok());
            assert!(bound.is_some(), "{} is taken", port.number());
        }
    }
}
