//! A server that stops answering without closing its connections is noticed in time.

use std::sync::mpsc;
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
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // A request every 50 ms: what is sent must not put off the notice.
                while busy.connected() && paused.elapsed() < Duration::from_secs(20) {
                    busy.get("/").send().detach();
                    let _ = busy.sleep(Duration::from_millis(50)).wait();
                }
            });
            for (client, news, who) in [(&idle, idle_news, "idle"), (&busy, busy_news, "busy")] {
                let noticed = news.recv_timeout(Duration::from_secs(20)).unwrap();
                let limit = client.negotiated_timeout().unwrap() * 2 / 3;
                let took = noticed - paused;
                eprintln!("round {round}: the {who} client noticed after {took:?} of {limit:?}");
                assert!(
                    took <= limit + Duration::from_millis(250),
                    "{who}: {took:?}"
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
