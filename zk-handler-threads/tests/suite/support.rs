//! A server that does what a test tells it to, on plain threads.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_client::{Builder, Client, SessionId, Stat, Zxid};
use zk_handler_threads::ThreadsHandler;
use zk_proto::{
    Chroot, ConnectRequest, ConnectResponse, ErrorCode, EventType, KeeperState, OpCode, Password,
    Reader, Reply, ReplyHeader, Request, RequestHeader, WatcherEvent, Xid,
};

/// Longer than anything here takes, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Looks again until it is so.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A port that connections come in at.
pub(crate) struct Server {
    address: SocketAddr,
    accepted: Mutex<mpsc::Receiver<Peer>>,
    open: Arc<AtomicBool>,
}

impl Server {
    /// One whose connections are handled by the test, see [`accept`](Self::accept).
    pub(crate) fn bind() -> Self {
        let (send, accepted) = mpsc::channel();
        Self::with(Mutex::new(accepted), move |peer| {
            let _ = send.send(peer);
        })
    }

    /// One that answers everything, on a thread for each connection.
    pub(crate) fn start() -> Self {
        Self::with(Mutex::new(mpsc::channel().1), |mut peer| {
            thread::spawn(move || {
                peer.handshake();
                peer.serve();
            });
        })
    }

    fn with(accepted: Mutex<mpsc::Receiver<Peer>>, take: impl Fn(Peer) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicBool::new(true));
        let still_open = Arc::clone(&open);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if !still_open.load(Ordering::SeqCst) {
                    return;
                }
                take(Peer::new(stream.unwrap()));
            }
        });
        Self {
            address,
            accepted,
            open,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn hosts(&self) -> String {
        self.address.to_string()
    }

    /// The next connection.
    pub(crate) fn accept(&self) -> Peer {
        self.accepted
            .lock()
            .unwrap()
            .recv_timeout(SOON)
            .expect("a connection comes")
    }

    /// Options of a client that waits long for answers: a test gives none to pings while it does
    /// other things, and a panic, with its backtrace, may keep a busy machine for seconds.
    pub(crate) fn builder(&self) -> Builder {
        let mut builder = Client::builder(self.hosts());
        builder.session_timeout(SOON * 10);
        builder
    }

    /// A client that is connected to a connection that the test handles.
    pub(crate) fn client(&self, handler: &ThreadsHandler) -> (Client, Peer) {
        let client = self.builder().start(Arc::new(handler.clone())).unwrap();
        let mut peer = self.accept();
        peer.handshake();
        client.until_connected().wait_timeout(SOON).unwrap();
        (client, peer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.open.store(false, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// The server's side of one connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

/// A request as it has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) header: RequestHeader,
    pub(crate) body: Bytes,
}

impl Arrived {
    pub(crate) fn request(&self) -> Request<'_> {
        Request::decode(self.header.opcode, &mut Reader::new(&self.body)).unwrap()
    }
}

static ZXID: AtomicI64 = AtomicI64::new(1);

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Gives the client the session that it asks for.
    pub(crate) fn handshake(&mut self) -> ConnectRequest {
        let frame = self.frame().expect("a connect request");
        let request = ConnectRequest::decode(&mut Reader::new(&frame)).unwrap();
        let known = request.session_id != SessionId::NONE;
        let response = ConnectResponse {
            protocol_version: 0,
            timeout: request.timeout,
            session_id: if known {
                request.session_id
            } else {
                SessionId(0x1000_0001)
            },
            password: Password::EMPTY,
            read_only: Some(false),
        };
        self.send(|out| response.encode(out));
        request
    }

    /// The next request, `None` at the end of the stream. Pings are answered here.
    pub(crate) fn try_request(&mut self) -> Option<Arrived> {
        loop {
            let frame = self.frame()?;
            let header = RequestHeader::decode(&mut Reader::new(&frame)).unwrap();
            let arrived = Arrived {
                header,
                body: frame.slice(RequestHeader::LEN..),
            };
            if header.opcode != OpCode::PING {
                return Some(arrived);
            }
            self.reply(&arrived, &Reply::Empty);
        }
    }

    pub(crate) fn request(&mut self) -> Arrived {
        self.try_request().expect("a request")
    }

    /// Answers one request.
    pub(crate) fn reply(&mut self, to: &Arrived, reply: &Reply) {
        let bytes = reply_bytes(to, reply);
        // The client may have gone.
        let _ = self.stream.write_all(&bytes);
    }

    /// Tells of a change of a node.
    pub(crate) fn event(&mut self, kind: EventType, path: &str) {
        let event = WatcherEvent {
            kind,
            state: KeeperState::SYNC_CONNECTED,
            path: path.to_owned(),
        };
        let header = ReplyHeader {
            xid: Xid::WATCH,
            zxid: Zxid(-1),
            err: ErrorCode::OK,
        };
        self.send(|out| {
            header.encode(out);
            event.encode(out);
        });
    }

    /// Answers everything until the end: reads with the path as the data.
    pub(crate) fn serve(&mut self) {
        while let Some(arrived) = self.try_request() {
            let reply = answer(&arrived);
            self.reply(&arrived, &reply);
            if arrived.header.opcode == OpCode::CLOSE_SESSION {
                return;
            }
        }
    }

    /// Serves on a thread of its own.
    pub(crate) fn serve_on(mut self) -> thread::JoinHandle<()> {
        thread::spawn(move || self.serve())
    }

    pub(crate) fn send(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = vec![0; 4];
        encode(&mut bytes);
        with_length(&mut bytes);
        let _ = self.stream.write_all(&bytes);
    }

    /// The next frame, without its length.
    pub(crate) fn frame(&mut self) -> Option<Bytes> {
        self.stream.set_read_timeout(Some(SOON)).unwrap();
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).ok()?;
        Some(frame.into())
    }
}

/// The whole frame of a reply.
pub(crate) fn reply_bytes(to: &Arrived, reply: &Reply) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    let zxid = Zxid(ZXID.fetch_add(1, Ordering::SeqCst));
    ReplyHeader {
        xid: to.header.xid,
        zxid,
        err: ErrorCode::OK,
    }
    .encode(&mut bytes);
    reply.encode(to.header.opcode, &mut bytes);
    with_length(&mut bytes);
    bytes
}

fn with_length(bytes: &mut [u8]) {
    let length = u32::try_from(bytes.len() - 4).unwrap();
    bytes[..4].copy_from_slice(&length.to_be_bytes());
}

pub(crate) fn data(data: impl Into<Vec<u8>>) -> Reply {
    Reply::Data {
        data: data.into().into(),
        stat: Stat::default(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest has no body")]
fn answer(arrived: &Arrived) -> Reply {
    match arrived.request() {
        Request::GetData { path, .. } => data(path.as_bytes()),
        Request::Exists { .. } | Request::SetData { .. } => Reply::Stat(Stat::default()),
        Request::Create { path, .. } => Reply::Path(path.into_owned()),
        Request::Sync { path } => Reply::Path(path.into_owned()),
        _ => Reply::Empty,
    }
}

/// A request as a client would send it, for comparison.
pub(crate) fn body_of(request: &Request<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    request.encode(&Chroot::ROOT, &mut body);
    body
}
