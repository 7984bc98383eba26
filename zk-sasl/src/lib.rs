//! The SASL mechanisms that ZooKeeper speaks: DIGEST-MD5 (RFC 2831) with the quality of protection
//! `auth`, for clients and for servers, without I/O; and for clients, if that is wanted, GSSAPI with
//! Kerberos tickets, by the system's library.
//!
//! | kazoo's `sasl_options` | here |
//! |---|---|
//! | `"mechanism": "DIGEST-MD5"`, `"username"`, `"password"` | `DigestMd5::new(username, password)` |
//! | `"mechanism": "GSSAPI"` | `Gssapi::new()` |
//! | `"service"` | `Gssapi::service`; for DIGEST-MD5 it is `zookeeper` everywhere |
//! | `"principal"` | `Gssapi::principal` |
//! | `auth_data` with the scheme `sasl`, deprecated there | `DigestMd5` |
//!
//! DIGEST-MD5 is deprecated cryptography (RFC 6331), here because servers offer nothing better for
//! names and passwords: use it within TLS, or where nobody listens.
//!
//! ```text
//! client                                       server
//!   | -- empty token ---------------------------> |  Exchange::step
//!   | <-- realm, nonce, charset, algorithm ------ |  Answer::Challenge
//!   | -- username, cnonce, response, .. --------> |  Exchange::step
//!   | <-- rspauth ------------------------------- |  Answer::Authenticated
//! ```
//!
//! Chance is an argument: a client's nonce comes from its session's generator, a server's from
//! whoever drives it. The service is `zookeeper` and the server `zk-sasl-md5`, as everywhere.
//!
//! # Example
//!
//! ```
//! use zk_sasl::server::{Answer, Exchange, Users};
//!
//! let users = Users::new().user("bob", "secret");
//! let mut exchange = Exchange::new([7; 30]);
//! let Answer::Challenge(challenge) = exchange.step(b"", &users)? else { panic!() };
//! assert!(challenge.starts_with(b"realm=\"zk-sasl-md5\",nonce=\""));
//! assert!(exchange.step(b"username=\"bob\"", &users).is_err());
//! # Ok::<(), zk_sasl::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `client` (default) | `DigestMd5`, the mechanism as `zk-session` takes it |
//! | `gssapi` | `Gssapi`, Kerberos for clients; needs the system's Kerberos library, in C: on Debian `libkrb5-dev` and `libclang-dev` to build, `libgssapi-krb5-2` to run |

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

#[cfg(feature = "client")]
mod client;
mod directives;
mod error;
#[cfg(feature = "gssapi")]
mod gssapi;
mod proof;
pub mod server;

#[cfg(feature = "client")]
pub use client::DigestMd5;
pub use error::Error;
#[cfg(feature = "gssapi")]
pub use gssapi::Gssapi;

/// What every ZooKeeper server calls itself in the exchange, and by default its realm.
pub const SERVER_NAME: &str = "zk-sasl-md5";

/// The service and the server, as they go into the proof.
const DIGEST_URI: &str = "zookeeper/zk-sasl-md5";
