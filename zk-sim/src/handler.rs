//! [`SimHandler`]: what clients in a universe are driven by.

use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use zk_client::{
    AsyncResult, Callback, ClientId, Core, Error, FourLetterWord, Handler, StartError, Task,
};
use zk_session::LinkError;

use crate::clock::Clock;
use crate::driver::Driver;
use crate::executor::{CallbackQueue, Place, TaskCell, lock};
use crate::machine::Machine;
use crate::socket::Socket;
use crate::world::World;

/// Drives clients on a simulated machine, until the machine crashes.
pub(crate) struct SimHandler {
    world: Arc<World>,
    place: Place,
    clock: Arc<Mutex<Clock>>,
    identity: String,
}

impl SimHandler {
    pub(crate) fn new(world: &Arc<World>, host: usize) -> Self {
        let state = world.lock();
        let it = &state.hosts[host];
        let (place, clock) = (
            Place {
                host,
                life: it.life,
            },
            Arc::clone(&it.clock),
        );
        let identity = format!("{}-{}", it.name, it.life);
        drop(state);
        Self {
            world: Arc::clone(world),
            place,
            clock,
            identity,
        }
    }
}

impl World {
    /// Starts a task, unless the machine has crashed since.
    pub(crate) fn spawn(&self, place: Place, task: Task) {
        let refused = self.enter(|state| {
            if !state.lives(place) {
                return Some(task);
            }
            state.tasks += 1;
            let number = state.tasks;
            let cell = TaskCell::new(place, number, &self.queue, task.into_inner());
            let tasks = &mut state.hosts[place.host].tasks;
            tasks.insert(number, Arc::clone(&cell));
            cell.schedule();
            None
        });
        drop(refused);
    }
}

impl Handler for SimHandler {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn now(&self) -> Instant {
        lock(&self.clock).now(self.world.now())
    }

    fn wall_clock(&self) -> SystemTime {
        lock(&self.clock).wall(self.world.now())
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn entropy(&self) -> [u8; 32] {
        let given = self.world.enter(|state| {
            let host = &mut state.hosts[self.place.host];
            host.seeds_given += 1;
            host.seeds_given
        });
        let mut seed = [0; 32];
        let name = format!("entropy {}", self.place.host);
        self.world.seeds.stream(&name, given).fill(&mut seed);
        seed
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        let id = core.id().as_u64();
        let started = self.world.enter(|state| {
            let number = state.clients.len() as u64 + 1;
            let number = *state.clients.entry(id).or_insert(number);
            state.lives(self.place).then_some(number)
        });
        let number = started.ok_or(StartError::ShutDown)?;
        let clock = Arc::clone(&self.clock);
        let driver = Driver::new(core, self.place, number, clock, &self.world.queue);
        let before = self.world.enter(|state| {
            let drivers = &mut state.hosts[self.place.host].drivers;
            drivers.insert(number, Arc::clone(&driver))
        });
        drop(before);
        driver.schedule();
        Ok(())
    }

    fn spawn(&self, task: Task) {
        self.world.spawn(self.place, task);
    }

    fn dispatch(&self, client: ClientId, callback: Callback) {
        let queue = self.world.enter(|state| {
            state.lives(self.place).then(|| {
                let queues = &mut state.hosts[self.place.host].callbacks;
                let queue = queues
                    .entry(client.as_u64())
                    .or_insert_with(|| CallbackQueue::new(self.place, &self.world.queue));
                Arc::clone(queue)
            })
        });
        if let Some(queue) = queue {
            queue.push(callback);
        }
    }

    /// At once, as far as the clock is concerned.
    fn run_blocking(&self, work: Callback) {
        self.spawn(Task::new(async move { work.run() }));
    }

    fn may_block(&self) -> bool {
        false
    }

    fn four_letter(&self, word: FourLetterWord, limit: Duration) -> AsyncResult<String> {
        let (completer, result) = AsyncResult::pair();
        let machine = Machine::of(&self.world, self.place.host);
        let task = async move {
            let deadline = machine.sleep(limit);
            let answer = within(ask(&machine, word), deadline).await;
            completer.complete(answer.map_err(Error::Command));
        };
        self.spawn(Task::new(task));
        result
    }
}

async fn ask(machine: &Machine, mut word: FourLetterWord) -> Result<String, LinkError> {
    let mut socket = Socket::connect(machine, word.server())
        .await
        .map_err(LinkError::Io)?;
    word.handle_connected();
    let mut out = Vec::new();
    loop {
        word.poll_transmit(&mut out);
        let written = socket.write_all(&out).await;
        out.clear();
        if let Some(answer) = word.take_answer() {
            return answer;
        }
        let read = match written {
            Ok(()) => socket.read().await,
            Err(error) => Err(error),
        };
        match read {
            Ok(piece) if piece.is_empty() => word.handle_disconnected(ErrorKind::UnexpectedEof),
            Ok(piece) => word.handle_data(&piece),
            Err(error) => word.handle_disconnected(error.kind()),
        }
    }
}

async fn within<T>(
    work: impl Future<Output = Result<T, LinkError>>,
    deadline: impl Future<Output = ()>,
) -> Result<T, LinkError> {
    let (mut work, mut deadline) = (std::pin::pin!(work), std::pin::pin!(deadline));
    std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
        std::task::Poll::Ready(result) => std::task::Poll::Ready(result),
        std::task::Poll::Pending => deadline
            .as_mut()
            .poll(cx)
            .map(|()| Err(LinkError::Io(ErrorKind::TimedOut))),
    })
    .await
}

impl fmt::Debug for SimHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimHandler")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
