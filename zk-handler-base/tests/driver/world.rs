//! A runtime in one thread, whose sockets end at a server in memory. Tasks are polled when the test
//! says so, and everything that they ask for is seen.

use std::collections::BTreeMap;
use std::future::ready;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use zk_client::{
    AsyncResult, Builder, Callback, Client, ClientId, Core, FourLetterWord, Handler, StartError,
    Task,
};
use zk_handler_base::{Base, Connecting, Limits, Runtime, Socket, Timer, clock};
use zk_server::{ConnId, Options, Output, Standalone};

/// Called before each read, write and look at a timer, with the number of calls before it.
type Hook = Box<dyn FnMut(usize) + Send>;

/// The runtime, and the handler on it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) base: Arc<Base>,
    wires: Arc<Wires>,
}

pub(crate) struct Wires {
    shared: Mutex<Shared>,
    hook: Mutex<Option<Hook>>,
}

pub(crate) struct Shared {
    pub(crate) server: Standalone,
    pub(crate) sockets: BTreeMap<ConnId, Wire>,
    tasks: Vec<Running>,
    next: ConnId,
    calls: usize,
    /// Reads since the last poll of a task began.
    pub(crate) reads: usize,
}

/// What is on the way between one socket and the server.
pub(crate) struct Wire {
    to_client: Vec<u8>,
    /// Sent again and again, without end.
    pub(crate) flood: Vec<u8>,
    /// How many more bytes the socket takes.
    pub(crate) room: usize,
    /// The server has closed its side.
    over: bool,
    reader: Option<Waker>,
}

struct Running {
    task: Task,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_process(std::process::id)
    }

    /// One that is told by this in which process it is.
    pub(crate) fn in_process(id: fn() -> u32) -> Self {
        let now = clock::now();
        let server = Standalone::new(Arc::new(Options::new()), [7; 32], now, SystemTime::now());
        let shared = Shared {
            server,
            sockets: BTreeMap::new(),
            tasks: Vec::new(),
            next: ConnId(16),
            calls: 0,
            reads: 0,
        };
        let wires = Wires {
            shared: Mutex::new(shared),
            hook: Mutex::new(None),
        };
        Self {
            base: Base::new(id, Limits::new()),
            wires: Arc::new(wires),
        }
    }

    pub(crate) fn builder() -> Builder {
        let mut builder = Client::builder("127.0.0.1:2181");
        builder.session_timeout(Duration::from_secs(40));
        builder
    }

    pub(crate) fn start(&self, builder: &Builder) -> Client {
        builder.start(Arc::new(self.clone())).unwrap()
    }

    /// A client that is connected.
    pub(crate) fn client(&self) -> Client {
        let client = self.start(&Self::builder());
        self.run();
        assert!(client.connected());
        client
    }

    /// A client that is connected, while others never rest.
    pub(crate) fn client_beside(&self) -> Client {
        let client = self.start(&Self::builder());
        for _ in 0..20 {
            self.turn();
        }
        assert!(client.connected());
        client
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.wires.shared.lock().unwrap()
    }

    pub(crate) fn set_hook(&self, hook: impl FnMut(usize) + Send + 'static) {
        self.shared().calls = 0;
        *self.wires.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Polls each task that was woken, once. How many were that?
    pub(crate) fn turn(&self) -> usize {
        let tasks = std::mem::take(&mut self.shared().tasks);
        let mut polled = 0;
        for mut running in tasks {
            if running.woken.0.swap(false, Ordering::SeqCst) {
                polled += 1;
                self.shared().reads = 0;
                let waker = Waker::from(Arc::clone(&running.woken));
                let mut cx = Context::from_waker(&waker);
                if std::pin::Pin::new(&mut running.task)
                    .poll(&mut cx)
                    .is_ready()
                {
                    continue;
                }
            }
            self.shared().tasks.push(running);
        }
        polled
    }

    /// Polls tasks until none is woken.
    pub(crate) fn run(&self) {
        for _ in 0..10_000 {
            if self.turn() == 0 {
                return;
            }
        }
        panic!("a task wakes itself without end");
    }

    /// Wakes all tasks, as their timers would.
    pub(crate) fn ring(&self) {
        for running in &self.shared().tasks {
            running.woken.0.store(true, Ordering::SeqCst);
        }
    }

    fn place(&self) -> Arc<Place> {
        Arc::new(Place(Arc::clone(&self.wires)))
    }

    /// The runtime is shut down.
    pub(crate) fn shut_down(&self) {
        let tasks = std::mem::take(&mut self.shared().tasks);
        drop(tasks);
    }

    /// The result, which has to be there.
    #[track_caller]
    pub(crate) fn now<T: Send + 'static>(
        mut result: AsyncResult<T>,
    ) -> Result<T, zk_client::Error> {
        result.try_take().expect("the result is there")
    }
}

impl Wires {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        let call = {
            let mut shared = self.shared.lock().unwrap();
            shared.calls += 1;
            shared.calls - 1
        };
        // The hook may use clients, which may wake tasks, but not poll them.
        if let Some(hook) = &mut *self.hook.lock().unwrap() {
            hook(call);
        }
        self.shared.lock().unwrap()
    }
}

impl Shared {
    /// Does what the server wants.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            let (Output::Transmit(conn) | Output::Close { conn, .. }) = output;
            let Some(wire) = self.sockets.get_mut(&conn) else {
                continue;
            };
            while self.server.poll_transmit(conn, &mut wire.to_client) > 0 {}
            wire.over |= matches!(output, Output::Close { .. });
            wire.reader.take().into_iter().for_each(Waker::wake);
        }
    }

    /// The only socket.
    pub(crate) fn wire(&mut self) -> &mut Wire {
        let (_, wire) = self.sockets.iter_mut().next().expect("there is one");
        wire
    }
}

/// Where the tasks run: the wires, by an `Arc` that sockets can have.
pub(crate) struct Place(Arc<Wires>);

impl Runtime for Place {
    type Socket = End;
    type Timer = Alarm;

    fn connect(&self, _: SocketAddr) -> Connecting<End> {
        let mut shared = self.0.lock();
        let conn = shared.next;
        shared.next = ConnId(conn.0 + 1);
        let wire = Wire {
            to_client: Vec::new(),
            flood: Vec::new(),
            room: usize::MAX,
            over: false,
            reader: None,
        };
        shared.sockets.insert(conn, wire);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        shared.server.handle_accept(clock::now(), conn, peer);
        shared.drain();
        let wires = Arc::clone(&self.0);
        Box::pin(ready(Ok(End { conn, wires })))
    }

    fn timer(&self) -> Alarm {
        Alarm(None, Arc::clone(&self.0))
    }

    fn spawn(&self, task: Task) -> io::Result<()> {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let mut shared = self.0.shared.lock().unwrap();
        shared.tasks.push(Running { task, woken });
        Ok(())
    }
}

/// The client's end of a connection.
pub(crate) struct End {
    conn: ConnId,
    wires: Arc<Wires>,
}

impl Socket for End {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut shared = self.wires.lock();
        shared.reads += 1;
        let Some(wire) = shared.sockets.get_mut(&self.conn) else {
            return Poll::Ready(Ok(0));
        };
        while !wire.flood.is_empty() && wire.to_client.len() < buffer.len() {
            wire.to_client.extend_from_slice(&wire.flood);
        }
        let count = wire.to_client.len().min(buffer.len());
        if count == 0 && !wire.over {
            wire.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        buffer[..count].copy_from_slice(&wire.to_client[..count]);
        wire.to_client.drain(..count);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.try_write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shared = self.wires.lock();
        let wire = shared.sockets.get_mut(&self.conn);
        let wire = wire.ok_or(ErrorKind::BrokenPipe)?;
        let count = bytes.len().min(wire.room);
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.room -= count;
        let now = clock::now();
        shared.server.handle_data(now, self.conn, &bytes[..count]);
        shared.drain();
        Ok(count)
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok((address(1), address(2)))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut shared = self.wires.shared.lock().unwrap();
        shared.server.handle_closed(clock::now(), self.conn);
        shared.sockets.remove(&self.conn);
        shared.drain();
    }
}

/// Says whether the time has come, and wakes nobody.
pub(crate) struct Alarm(Option<Instant>, Arc<Wires>);

impl Timer for Alarm {
    fn set(&mut self, after: Duration) {
        self.0 = clock::now().checked_add(after);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        drop(self.1.lock());
        match self.0 {
            Some(at) if at <= clock::now() => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl Handler for World {
    fn name(&self) -> &'static str {
        "world"
    }

    fn now(&self) -> Instant {
        clock::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn identity(&self) -> &str {
        self.base.identity()
    }

    fn entropy(&self) -> [u8; 32] {
        [7; 32]
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        self.base.drive(&self.place(), core)
    }

    fn spawn(&self, task: Task) {
        self.base.spawn(&*self.place(), task);
    }

    fn dispatch(&self, client: ClientId, callback: Callback) {
        self.base.dispatch(client, callback);
    }

    fn may_block(&self) -> bool {
        false
    }

    fn four_letter(&self, word: FourLetterWord, limit: Duration) -> AsyncResult<String> {
        zk_handler_base::ask(&self.place(), &self.base, word, limit)
    }
}
