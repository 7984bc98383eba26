//! A server that stops answering without closing its connections is noticed in time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zk::{Client, Listen, State};
use zk_testkit::{Options, Version};

use super::{client, close_clean, cluster};

pub(super) fn a_paused_server_is_noticed_in_time(version: Version) {
    let cluster = cluster(version, Options::new().tick(Duration::from_millis(1000)));
    let idle = client(&cluster.connect_string(), Duration::from_secs(6));
    let busy = client(&cluster.connect_string(), Duration::from_secs(6));
    for round in 0..2 {
        let idle_news = losses(&idle);
        let busy_news = losses(&busy);
        let paused = Instant::now();
        cluster.pause(0);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let late = scope.spawn(|| lateness(&over));
            scope.spawn(|| {
                // A request every 50 ms: what is sent must not put off the notice.
                while busy.connected() && paused.elapsed() < Duration::from_secs(60) {
                    busy.get("/").send().detach();
                    let _ = busy.sleep(Duration::from_millis(50)).wait();
                }
            });
            let both = [(&idle, idle_news, "idle"), (&busy, busy_news, "busy")];
            let took = both.map(|(client, news, who)| {
                let noticed = news.recv_timeout(Duration::from_secs(60)).unwrap();
                let limit = client.negotiated_timeout().unwrap() * 2 / 3;
                (who, noticed - paused, limit)
            });
            over.store(true, Ordering::Relaxed);
            let late = late.join().unwrap();
            for (who, took, limit) in took {
                eprintln!("round {round}: the {who} client noticed after {took:?} of {limit:?}");
                let slack = Duration::from_millis(250) + late;
                assert!(
                    took <= limit + slack,
                    "{who}: {took:?}, threads {late:?} late"
                );
            }
        });
        cluster.resume(0);
        for client in [&idle, &busy] {
            client
                .until_connected()
                .wait_timeout(Duration::from_secs(30))
                .unwrap();
        }
    }
    close_clean(&idle);
    close_clean(&busy);
}

/// By how much threads are woken too late here, taken together, until it is over.
fn lateness(over: &AtomicBool) -> Duration {
    const NAP: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    let mut late = Duration::ZERO;
    while !over.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(120) {
        let start = Instant::now();
        thread::sleep(NAP);
        late += start
            .elapsed()
            .saturating_sub(NAP + Duration::from_millis(1));
    }
    late
}

/// When the client next loses its connection.
fn losses(client: &Client) -> mpsc::Receiver<Instant> {
    let (tell, news) = mpsc::channel();
    client.add_listener(move |change| match change.to {
        State::Suspended { .. } | State::Lost => {
            let _ = tell.send(Instant::now());
            Listen::Remove
        }
        State::Connected { .. } => Listen::Keep,
    });
    news
}
