//! TLS for clients of ZooKeeper, by rustls, and the other side of it for servers: bytes in, bytes out,
//! without sockets, so that every handler has it and none knows of it.
//!
//! ```no_run
//! use zk_tls::Tls;
//!
//! let tls = Tls::builder()
//!     .ca_file("ca.pem")
//!     .certificate_files("client.pem", "client.key")
//!     .build()?;
//! # Ok::<(), zk_tls::TlsError>(())
//! ```
//!
//! `Client::builder("zk1.example.com:2281").tls(tls)` is all that is left to do. The port is the
//! servers' `secureClientPort`: TLS from the first byte, there is no upgrade of a plain connection.
//!
//! ```text
//!   session  --plain-->  Tls  --records-->  handler  --->  server
//! ```
//!
//! # What is checked
//!
//! That an authority vouches for the server's certificate: those of the system, or those that are
//! named. That it is valid now. That the host which the client connects to, a DNS name or an IP
//! address, is among its names. The `danger_` options leave out some of that, and say what it costs.
//!
//! # When it does not work
//!
//! Attempts go on, as servers may be mended, and a client that connects says why not: in
//! `client.last_error()`, in the `ConnectTimeout` that `connect` ends with at its limit, and in the
//! log, once for each [`kind`](zk_session::LayerErrorKind) until a server was usable.
//!
//! | what is wrong | `LinkError` |
//! |---|---|
//! | TLS here, none at that port | `Layer`, `Plaintext` |
//! | none here, TLS at that port | `NotZooKeeper(Tls)` where the server says a word of TLS; those in Java hang up: `Declined` |
//! | a certificate that has expired, or is not valid yet | `Layer`, `Expired`, `NotYetValid` |
//! | a certificate for another name | `Layer`, `WrongName` |
//! | an authority that is not trusted here | `Layer`, `UnknownAuthority` |
//! | the server wants a certificate, and there is none | `Layer`, `CertificateRequired` |
//! | the server does not take the one there is | `Layer`, `CertificateRefused` |
//! | no version or algorithm in common | `Layer`, `Incompatible` |
//! | the connection is cut in the middle of the handshake | `Layer`, `Truncated` |
//! | bytes that were changed on the way | `Layer`, `Violation` |
//!
//! # Resumption
//!
//! What a server gives out at one connection, a ticket or the number of a TLS session, is kept and
//! offered at the next; where the server takes it, neither side works with its private key.
//!
//! | server | TLS 1.2 | TLS 1.3 |
//! |---|---|---|
//! | ZooKeeper 3.8 | resumed | resumed |
//! | ZooKeeper 3.9 | every handshake is a full one | every handshake is a full one |
//! | `zk-server` | resumed | resumed |
//!
//! Servers of 3.9 give tickets and numbers like all others, and do not know them again: they make an
//! SSL context for each connection (`NettyServerCnxnFactory.initSSL`, which calls
//! `ClientX509Util.createNettySslContextForServer`), while those of 3.8 share one. There is nothing
//! that a client could do about it.
//!
//! # How connections end
//!
//! A server is told: of a handshake that failed here by the alert that says why, and of a connection
//! that this side ends by `close_notify`. That is written if the socket takes it at once, and never
//! waited for. In the middle of a handshake nothing is said.
//!
//! # For users of kazoo
//!
//! | kazoo | here |
//! |---|---|
//! | `use_ssl=True` | `builder.tls(Tls::builder().build()?)` |
//! | `ca` | [`ca_file`](TlsBuilder::ca_file), which is trusted alone; with [`system_roots`](TlsBuilder::system_roots) besides the system's, as in kazoo |
//! | `certfile`, `keyfile` | [`certificate_files`](TlsBuilder::certificate_files) |
//! | `keyfile_password` | [`key_password`](TlsBuilder::key_password) |
//! | `check_hostname=True` | the default |
//! | `check_hostname=False`, kazoo's default | [`danger_accept_any_name`](TlsBuilder::danger_accept_any_name) |
//! | `verify_certs=False` | [`danger_accept_any_certificate`](TlsBuilder::danger_accept_any_certificate) |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `client` (default) | [`Tls`], as `zk-session` takes it; without it, only [`server`] is here |
//! | `encrypted-keys` (default) | private keys that are encrypted with a password |
//! | `ring` (default) | cryptography by `ring`; needs a C compiler to build, and nothing else |
//! | `aws-lc-rs` | cryptography by AWS-LC, in use where `ring` is off |
//! | `system-roots` (default) | the authorities that the system trusts |

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
