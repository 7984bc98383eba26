//! Crowds: many sessions on one handler, many watches of one session, many clients of one server
//! that is restarted. The server is the in-memory one, in a process of its own, so that its cost
//! is not measured.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use zk_client::testing::lose_connection;
use zk_client::{AsyncResult, Client, Watch};
use zk_server::Server;

use crate::args::{Crowd, Scale};
use crate::error::{Error, check};
use crate::handlers::{self, Hosts, Place};
use crate::meter::{cpu, rss};
use crate::process::Served;

mod handshakes;

/// How many clients connect at the same time at most, where the crowd is not the point.
const AT_ONCE: usize = 200;

/// How long each measurement of gets takes.
const GETS: Duration = Duration::from_secs(1);

/// How long sessions are left alone.
const IDLE: Duration = Duration::from_secs(10);

/// The node that the sessions read.
const NODE: &str = "/scale";

/// Measures, and prints what was found.
pub(crate) fn run(options: &Scale) -> Result<(), Error> {
    let handler = options.handler;
    let count = |default| options.count.unwrap_or(default);
    if options.what == Crowd::Handshakes {
        return handshakes::run(handler, count(1_000));
    }
    let served = Served::start("serve")?;
    let hosts = Hosts::new(served.address(), None);
    match options.what {
        Crowd::Sessions => {
            let count = count(10_000);
            handlers::run(handler, &hosts, |place| sessions(place, count))
        }
        Crowd::Watches => {
            let count = count(1_000_000);
            handlers::run(handler, &hosts, |place| watches(place, count))
        }
        Crowd::Storm => {
            let count = count(5_000);
            handlers::run(handler, &hosts, |place| storm(place, served, count))
        }
        Crowd::Handshakes => Ok(()),
    }
}

/// Runs the in-memory server until the standard input ends.
pub(crate) fn serve(port: u16) -> Result<(), Error> {
    let server = Server::builder()
        .quiet()
        .port(port)
        .start()
        .map_err(|error| Error::Program {
            program: "the server".to_owned(),
            why: error.to_string(),
        })?;
    say(&server.local_addr().to_string())?;
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .map_err(Error::io("wait for the end"))?;
    Ok(())
}

fn say(line: &str) -> Result<(), Error> {
    writeln!(std::io::stdout(), "{line}").map_err(Error::io("print the figures"))
}

/// Connects so many, not all of them at once.
async fn crowd(place: &Place, count: usize) -> Result<Vec<Client>, Error> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let group = AT_ONCE.min(count - clients.len());
        let started: Result<Vec<_>, _> = (0..group).map(|_| place.start()).collect();
        let started = started?;
        for client in &started {
            client.until_connected().await?;
        }
        clients.extend(started);
    }
    Ok(clients)
}

async fn sessions(place: Place, count: usize) -> Result<(), Error> {
    let first = place.connect().await?;
    first.create(NODE, [b'x'; 128].as_slice()).await?;
    let (memory, begun, cost) = (rss()?, Instant::now(), cpu());
    let clients = crowd(&place, count).await?;
    let (took, cost) = (begun.elapsed(), cpu() - cost);
    let memory = (rss()? - memory) * 1024 / count as u64;
    let each = cost.as_secs_f64() * 1e6 / count as f64;
    say(&format!(
        "{count} sessions in {took:.1?}, {each:.0} µs of CPU and {memory} bytes of memory each"
    ))?;

    let idle = cpu();
    first.sleep(IDLE).await?;
    let idle = (cpu() - idle).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    say(&format!("all of them idle: {idle:.2} % of a CPU"))?;

    let mut active = 1;
    loop {
        let (ops, each) = gets(&place, &clients[..active]).await?;
        say(&format!(
            "{active:>6} of them at work: {each:.2} µs of CPU for each of {ops} gets"
        ))?;
        if active == count {
            break;
        }
        active = (active * 10).min(count);
    }
    close(clients).await
}

/// Serial gets of each client. Tells how many, and microseconds of CPU for each.
async fn gets(place: &Place, clients: &[Client]) -> Result<(u64, f64), Error> {
    let end = Instant::now() + GETS;
    let cost = cpu();
    let tasks = clients.iter().cloned().map(|client| {
        place.spawn(async move {
            let mut ops = 0_u64;
            // At least one each, however many there are.
            while ops == 0 || Instant::now() < end {
                client.get(NODE).await?;
                ops += 1;
            }
            Ok::<_, Error>(ops)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut ops = 0;
    for task in tasks {
        ops += task.await?;
    }
    let cost = (cpu() - cost).as_secs_f64();
    Ok((ops, cost * 1e6 / ops as f64))
}

async fn close(clients: Vec<Client>) -> Result<(), Error> {
    let closing: Vec<AsyncResult<()>> = clients.iter().map(|it| it.close().send()).collect();
    for closed in closing {
        closed.await?;
    }
    Ok(())
}

async fn watches(place: Place, count: usize) -> Result<(), Error> {
    let client = place.connect().await?;
    let (memory, begun, cost) = (rss()?, Instant::now(), cpu());
    let mut handles: Vec<Watch> = Vec::with_capacity(count);
    let mut setting = Vec::new();
    for index in 0..count {
        setting.push(client.exists(&missing(index)).watched().send());
        if setting.len() == 10_000 || index + 1 == count {
            for set in setting.drain(..) {
                handles.push(set.await?.1);
            }
        }
    }
    let (took, cost) = (begun.elapsed(), (cpu() - cost).as_secs_f64() * 1e6);
    let memory = (rss()? - memory) * 1024 / count as u64;
    say(&format!(
        "{count} watches set in {took:.1?}, {:.2} µs of CPU and {memory} bytes of memory each",
        cost / count as f64
    ))?;

    let (begun, cost) = (Instant::now(), cpu());
    lose_connection(&client)
        .timeout(Duration::from_secs(60))
        .await?;
    let connected = begun.elapsed();
    // Behind all that was put back.
    client.exists("/").await?;
    let (took, cost) = (begun.elapsed(), (cpu() - cost).as_secs_f64() * 1e6);
    say(&format!(
        "put back after a cut in {took:.1?} (usable after {connected:.1?}), {:.2} µs of CPU each",
        cost / count as f64
    ))?;
    check(
        "the number of watches",
        count,
        client.stats().session.watches,
    )?;

    // The first, the last, and some between.
    for index in [0, count / 3, count / 2, count - 1] {
        client.create(&missing(index), "").await?;
    }
    let mut fired = 0;
    client.sync("/").await?;
    for handle in &mut handles {
        fired += usize::from(handle.try_take().is_some_and(|event| event.is_ok()));
    }
    check("the number of events", 4, fired)?;
    say("four of them fired, and no other")?;
    Ok(())
}

fn missing(index: usize) -> String {
    format!("/missing-{index:07}")
}

async fn storm(place: Place, mut served: Served, count: usize) -> Result<(), Error> {
    let clients = crowd(&place, count).await?;
    let attempts =
        |clients: &[Client]| -> u64 { clients.iter().map(|it| it.stats().session.attempts).sum() };
    let connected = |clients: &[Client]| clients.iter().filter(|it| it.connected()).count();
    say(&format!(
        "{count} clients are connected; the server is restarted"
    ))?;
    let before = attempts(&clients);
    served.restart()?;

    let begun = Instant::now();
    let cost = cpu();
    let (mut tried, mut up) = (before, 0);
    let (mut most_tried, mut most_up) = (0, 0);
    while up < count {
        clients[0].sleep(Duration::from_secs(1)).await?;
        let (now_tried, now_up) = (attempts(&clients), connected(&clients));
        most_tried = most_tried.max(now_tried - tried);
        most_up = most_up.max(now_up.saturating_sub(up));
        (tried, up) = (now_tried, now_up);
        say(&format!(
            "{:>5.1} s: {up} connected, {} attempts",
            begun.elapsed().as_secs_f64(),
            tried - before
        ))?;
        if begun.elapsed() > Duration::from_secs(120) {
            return check("the number of clients that came back", count, up);
        }
    }
    say(&format!(
        "at most {most_tried} attempts and {most_up} sessions a second, {:.1} s of CPU",
        (cpu() - cost).as_secs_f64()
    ))
}
