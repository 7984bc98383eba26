//! The server of this workspace, in a universe.

use std::time::Duration;

use zk_client::{Client, Error};
use zk_server::{Fault, Matcher, Options};
use zk_sim::{Crash, FaultPlan, Machine, ServerHandle, Sim, StandaloneServer};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn start(seed: u64) -> (Sim, ServerHandle<StandaloneServer>, Machine, Client) {
    let sim = Sim::new(seed);
    sim.keep_trace();
    let server = sim.standalone("s1:2181", Options::new());
    let app = sim.machine("app");
    let builder = Client::builder(server.hosts());
    let client = sim.block_on(builder.connect(app.handler())).unwrap();
    (sim, server, app, client.unwrap())
}

#[test]
fn a_client_reads_writes_watches_and_closes() {
    let (sim, server, _, client) = start(1);
    let done = sim.block_on(async {
        client.create("/a", b"one").await?;
        let (data, _, watch) = client.get("/a").watched().await?;
        assert_eq!(&*data, b"one");
        client.set("/a", b"two").await?;
        assert_eq!(watch.await?.path, "/a");
        let time = client.exists("/a").await?.unwrap().ctime;
        assert!((1_700_000_000_000..1_700_000_001_000).contains(&time));
        assert_eq!(client.command("ruok").await?.trim_end(), "imok");
        client.close().await
    });
    done.unwrap().unwrap();
    server.with(|server| assert!(server.get_mut().unwrap().tree().node("/a").is_some()));
}

#[test]
fn data_and_sessions_outlive_a_crash_of_the_server() {
    for how in [Crash::Killed, Crash::PowerLoss] {
        let (sim, server, app, client) = start(2);
        sim.block_on(client.create("/e", "").ephemeral())
            .unwrap()
            .unwrap();
        let id = client.client_id().unwrap().0;
        let machine = server.machine().clone();
        machine.crash(how);
        sim.after(seconds(4), move || machine.restart());
        sim.run_for(seconds(8)).unwrap();
        sim.block_on(client.until_connected()).unwrap().unwrap();
        assert_eq!(client.client_id().unwrap().0, id);
        app.crash(how);
        let other = Client::builder(server.hosts()).connect(sim.machine("other").handler());
        let other = sim.block_on(other).unwrap().unwrap();
        assert!(sim.block_on(other.exists("/e")).unwrap().unwrap().is_some());
        sim.run_for(seconds(14)).unwrap();
        assert_eq!(sim.block_on(other.exists("/e")).unwrap().unwrap(), None);
    }
}

#[test]
fn faults_of_the_server_itself_can_be_caused() {
    let (sim, server, _, client) = start(3);
    server.with(|server| {
        let server = server.get_mut().unwrap();
        server.inject(Matcher::any().path("/a"), Fault::CutAfter);
    });
    let created = sim.block_on(client.create("/a", "")).unwrap();
    assert!(matches!(created, Err(Error::ConnectionLoss { sent: true })));
    assert!(
        sim.block_on(client.exists("/a"))
            .unwrap()
            .unwrap()
            .is_some()
    );
}

#[test]
fn large_data_passes_small_buffers() {
    let (sim, _server, _, client) = start(4);
    sim.network().set_buffer(1000);
    sim.network().set_splits(0.5);
    let data = vec![b'x'; 300_000];
    sim.block_on(client.create("/large", data.as_slice()))
        .unwrap()
        .unwrap();
    let (read, _) = sim.block_on(client.get("/large")).unwrap().unwrap();
    assert_eq!(&*read, &*data);
}

#[test]
fn a_minute_of_faults_is_the_same_each_time_and_ends_well() {
    let run = |seed| {
        let sim = Sim::new(seed);
        let server = sim.standalone("s1:2181", Options::new());
        for name in ["app1", "app2", "app3"] {
            let hosts = server.hosts().to_owned();
            sim.machine(name).boot(move |machine| {
                let client = Client::builder(&hosts).start(machine.handler());
                async move {
                    let client = client.expect("the options are valid");
                    loop {
                        let created = client.create("/q-", machine.name()).sequential();
                        if let Ok(path) = created.ephemeral().await {
                            client.delete(&path).await.ok();
                        }
                        client.get_children("/").await.ok();
                        machine.sleep(Duration::from_millis(300)).await;
                    }
                }
            });
        }
        sim.unleash(&FaultPlan::new(&["app1", "app2", "app3"], &["s1"]));
        sim.run_for(seconds(90)).unwrap();
        let count = || server.with(|it| it.get_mut().unwrap().tree().last_zxid().0);
        let before = count();
        sim.run_for(seconds(30)).unwrap();
        assert!(count() - before > 250, "seed {seed}: {before} {}", count());
        sim.trace_hash()
    };
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
