//! TLS for clients of ZooKeeper, by rustls: bytes in, bytes out, without I/O, so that every handler
//! has it and none knows of it.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
mod builder;
mod error;
#[cfg(feature = "client")]
mod failure;
#[cfg(feature = "client")]
mod layer;
mod pem;
mod provider;
mod records;
pub mod server;
mod source;
#[cfg(feature = "client")]
mod stamp;
#[cfg(feature = "client")]
mod tls;
mod trust;
#[cfg(feature = "client")]
mod verify;

#[cfg(feature = "client")]
pub use builder::TlsBuilder;
pub use error::TlsError;
pub use provider::Version;
pub use rustls;
#[cfg(feature = "client")]
pub use tls::{Handshakes, Tls};
