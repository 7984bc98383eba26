//! The workloads, through the public API, under whatever executor and handler.

use std::collections::VecDeque;
use std::process::Command;
use std::time::{Duration, Instant};

use zk_client::{AsyncResult, Client};

use crate::args::Workload;
use crate::error::{Error, check};
use crate::handlers::Place;
use crate::meter::Meter;
use crate::nodes::{
    BIG, BIG_PATH, DATA, DATA_PATH, KIDS, KIDS_PATH, SESSIONS, SET_PATH, SMALL, WATCHES, WINDOW,
    created, watched,
};

/// Gets before the measurement, for the path through both sides to be warm.
const WARM_UP: usize = 50;

/// Runs one workload and prints its figures.
pub(crate) async fn run(place: Place, workload: Workload, time: Duration) -> Result<(), Error> {
    let client = place.connect().await?;
    for _ in 0..WARM_UP {
        client.get(DATA_PATH).await?;
    }
    match workload {
        Workload::W1 => serial(&client, time).await,
        Workload::W2 => gets(&client, time).await,
        Workload::W2b => bursts(&client, time).await,
        Workload::W3 => sets(&client, time).await,
        Workload::W4 => creates(&client, time).await,
        Workload::W5 => sessions(place, time).await,
        Workload::W6 => children(&client, time).await,
        Workload::W7 => watches(&client).await,
        Workload::W8 => big(&client, time).await,
    }
}

/// Keeps a window of operations under way. Replies come in the order of submission, so the oldest
/// is the one to wait for.
async fn pipeline<T: Send + 'static>(
    mut next: impl FnMut() -> Option<AsyncResult<T>>,
    mut done: impl FnMut(T) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut under_way = VecDeque::with_capacity(WINDOW);
    let mut count = 0;
    let mut more = true;
    loop {
        while more && under_way.len() < WINDOW {
            match next() {
                Some(result) => under_way.push_back(result),
                None => more = false,
            }
        }
        let Some(oldest) = under_way.pop_front() else {
            return Ok(count);
        };
        done(oldest.await?)?;
        count += 1;
    }
}

async fn serial(client: &Client, time: Duration) -> Result<(), Error> {
    let mut latencies = Vec::with_capacity(1 << 20);
    let meter = Meter::start(time);
    while meter.goes_on() {
        let begun = Instant::now();
        let (data, _) = client.get(DATA_PATH).await?;
        latencies.push(begun.elapsed());
        check("the data", SMALL, data.len())?;
    }
    meter.report("w1", latencies.len() as u64, latencies)
}

async fn gets(client: &Client, time: Duration) -> Result<(), Error> {
    let meter = Meter::start(time);
    let next = || meter.goes_on().then(|| client.get(DATA_PATH).send());
    let ops = pipeline(next, |(data, _)| check("the data", SMALL, data.len())).await?;
    meter.report("w2", ops, Vec::new())
}

/// A whole window out, then all of it back.
async fn bursts(client: &Client, time: Duration) -> Result<(), Error> {
    let mut ops = 0;
    let mut burst = Vec::with_capacity(WINDOW);
    let meter = Meter::start(time);
    while meter.goes_on() {
        burst.extend((0..WINDOW).map(|_| client.get(DATA_PATH).send()));
        for result in burst.drain(..) {
            let (data, _) = result.await?;
            check("the data", SMALL, data.len())?;
            ops += 1;
        }
    }
    meter.report("w2b", ops, Vec::new())
}

async fn sets(client: &Client, time: Duration) -> Result<(), Error> {
    let meter = Meter::start(time);
    let next = || meter.goes_on().then(|| client.set(SET_PATH, &DATA).send());
    let ops = pipeline(next, |_| Ok(())).await?;
    meter.report("w3", ops, Vec::new())
}

async fn creates(client: &Client, time: Duration) -> Result<(), Error> {
    let process = std::process::id();
    let mut index = 0;
    let meter = Meter::start(time);
    let next = || {
        meter.goes_on().then(|| {
            index += 1;
            client.create(&created(process, index), &DATA).send()
        })
    };
    let ops = pipeline(next, |_| Ok(())).await?;
    meter.report("w4c", ops, Vec::new())?;

    let mut index = 0;
    let meter = Meter::start(time);
    let next = || {
        (index < ops).then(|| {
            index += 1;
            client.delete(&created(process, index)).send()
        })
    };
    let ops = pipeline(next, |()| Ok(())).await?;
    meter.report("w4d", ops, Vec::new())
}

/// Many sessions, each with one get at a time.
async fn sessions(place: Place, time: Duration) -> Result<(), Error> {
    let mut clients = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        clients.push(place.connect().await?);
    }
    let meter = Meter::start(time);
    let end = meter.end();
    let tasks = clients.into_iter().map(|client| {
        place.spawn(async move {
            let mut ops = 0;
            while Instant::now() < end {
                let (data, _) = client.get(DATA_PATH).await?;
                check("the data", SMALL, data.len())?;
                ops += 1;
            }
            Ok::<u64, Error>(ops)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut ops = 0;
    for task in tasks {
        ops += task.await?;
    }
    meter.report("w5", ops, Vec::new())
}

async fn children(client: &Client, time: Duration) -> Result<(), Error> {
    let mut ops = 0;
    let meter = Meter::start(time);
    while meter.goes_on() {
        let children = client.get_children(KIDS_PATH).await?;
        check("the number of children", KIDS, children.len())?;
        ops += 1;
    }
    meter.report("w6", ops, Vec::new())
}

/// Registers watches, then sets the nodes from another process, so that this is not measured.
async fn watches(client: &Client) -> Result<(), Error> {
    let mut index = 0;
    let mut events = Vec::with_capacity(WATCHES);
    let meter = Meter::start(Duration::ZERO);
    let next = || {
        (index < WATCHES).then(|| {
            index += 1;
            client.get(&watched(index - 1)).watched().send()
        })
    };
    let ops = pipeline(next, |(_, _, watch)| {
        events.push(watch);
        Ok(())
    })
    .await?;
    meter.report("w7r", ops, Vec::new())?;

    let meter = Meter::start(Duration::ZERO);
    let mut setter = setter(client)?
        .spawn()
        .map_err(Error::io("start what sets the nodes"))?;
    for event in events {
        event.await?;
    }
    meter.report("w7f", ops, Vec::new())?;
    setter
        .wait()
        .map_err(Error::io("wait for what sets the nodes"))?;
    Ok(())
}

/// `BENCH_FIRE` names a command; without it, it is this program.
fn setter(client: &Client) -> Result<Command, Error> {
    if let Ok(line) = std::env::var("BENCH_FIRE") {
        let mut command = Command::new("sh");
        command.arg("-c").arg(line);
        return Ok(command);
    }
    let program = std::env::current_exe().map_err(Error::io("find this program"))?;
    let mut command = Command::new(program);
    let server = client.server().map(|server| server.to_string());
    command.arg("fire").arg(server.unwrap_or_default());
    Ok(command)
}

async fn big(client: &Client, time: Duration) -> Result<(), Error> {
    let mut ops = 0;
    let meter = Meter::start(time);
    while meter.goes_on() {
        let (data, _) = client.get(BIG_PATH).await?;
        check("the data", BIG, data.len())?;
        ops += 1;
    }
    meter.report("w8", ops, Vec::new())
}
