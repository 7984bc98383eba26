//! The wire protocol of ZooKeeper: bytes to values and back, for clients and for servers.
//!
//! This crate is a pure function of its arguments. It holds no session, knows no order of requests,
//! and has no socket, clock, thread, file, environment or random source. The rules of a session are
//! one layer up.
//!
//! A connection is a stream of frames in each direction. The first frame opens the session, every
//! other one has a header and a body that goes with the operation:
//!
//! ```text
//!            first frame        later frames
//! client ->  ConnectRequest     RequestHeader, Request
//! server ->  ConnectReply       ReplyHeader, Reply  or  ReplyHeader (xid -1), WatcherEvent
//! ```
//!
//! # Example
//!
//! A client asks for the data of a node, a server answers:
//!
//! ```
//! use zk_proto::*;
//!
//! let mut wire = Vec::new();
//! let request = Request::GetData { path: "/config".into(), watch: true };
//! let chroot = Chroot::parse("/app")?;
//! frame(&mut wire, |out| {
//!     RequestHeader { xid: Xid::FIRST, opcode: request.opcode() }.encode(out);
//!     request.encode(&chroot, out);
//! });
//!
//! let mut server = FrameDecoder::new(1 << 20);
//! server.push(&wire);
//! let frame = server.next_frame()?.expect("the frame is complete");
//! let mut reader = frame.reader().expect("the frame is within the limit");
//! let header = RequestHeader::decode(&mut reader)?;
//! let request = Request::decode(header.opcode, &mut reader)?;
//! assert_eq!(request.path(), Some("/app/config"));
//!
//! let mut body = Vec::new();
//! let reply = Reply::Data { data: Payload::from(&b"v1"[..]), stat: Stat::default() };
//! reply.encode(header.opcode, &mut body);
//! let body = bytes::Bytes::from(body);
//! assert_eq!(Reply::decode(header.opcode, &mut Reader::new(&body))?, reply);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it guarantees
//!
//! * No bytes make it panic, and none make it allocate more than a small multiple of what arrived:
//!   counts and lengths are held against the frame before they are believed.
//! * Bytes behind a record are left unread, so that newer peers can add fields.
//! * Codes that it does not know survive: [`OpCode`], [`ErrorCode`], [`EventType`] and their kind are
//!   numbers with names, not enumerations.
//! * `Debug` output holds no data of nodes, credentials, tokens or passwords.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

mod acl;
mod children;
mod chroot;
mod codec;
mod config;
mod connect;
mod create;
mod data;
mod error;
mod error_code;
mod event;
mod four_letter;
mod frame;
mod header;
mod hosts;
mod ids;
mod multi;
mod opcode;
mod path;
mod records;
mod reply;
mod request;
mod sequence;
mod stat;
mod text;
mod watches;

// Frames and what they are made of.
pub use codec::{
    Reader, frame, put_boolean, put_buffer, put_int, put_len, put_long, put_text, put_text_or_null,
    put_texts,
};
pub use error::DecodeError;
pub use frame::{Frame, FrameDecoder, FrameError, Lent};
pub use header::{ReplyHeader, RequestHeader};

// Numbers with names.
pub use error_code::ErrorCode;
pub use event::{EventType, KeeperState};
pub use ids::{ANY_VERSION, Password, SessionId, Xid, Zxid};
pub use opcode::OpCode;
pub use watches::{AddWatchMode, WatcherType};

// Records.
pub use acl::{Acl, AclError, Id, Perms, make_digest_acl_credential, validate_acl};
pub use children::{Children, Iter as ChildrenIter};
pub use connect::{ConnectReply, ConnectRequest, ConnectResponse};
pub use create::{CreateMode, ModeError, RawMode, Ttl, WireMode};
pub use data::{Data, IntoData, Payload};
pub use event::{WatcherEvent, WatcherEventRef};
pub use multi::{MultiOp, MultiResult, ReadOp, ReadResult};
pub use reply::{ClientInfo, Reply};
pub use request::{RawRequest, Request};
pub use stat::Stat;
pub use watches::SetWatches;

// Names, places and texts.
pub use chroot::Chroot;
pub use config::{ConfigError, EnsembleConfig, EnsembleServer, ServerRole};
pub use four_letter::is_four_letter;
pub use hosts::{HostsError, ServerAddr, parse_hosts};
pub use path::{PathError, ZnodePath};
pub use sequence::Sequence;
