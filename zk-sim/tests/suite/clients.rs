//! Real clients in a universe.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use zk_client::{Client, Error, State};
use zk_sim::Sim;

use crate::tiny::Tiny;

#[test]
fn a_client_connects_creates_gets_and_closes() {
    let sim = Sim::new(1);
    sim.keep_trace();
    let server = sim.server("s1:2181", Tiny::new());
    let app = sim.machine("app1");
    let done = sim.block_on(async {
        let client = Client::builder(server.hosts())
            .connect(app.handler())
            .await?;
        assert!(client.identity().starts_with("app1-"));
        assert_eq!(client.create("/a", b"hello").await?, "/a");
        let (data, _) = client.get("/a").await?;
        assert_eq!(&*data, b"hello");
        assert!(matches!(client.get("/b").await, Err(Error::NoNode { .. })));
        client.close().await
    });
    done.unwrap().unwrap();
    assert_eq!(
        server.with(|server| server.log()),
        ["create /a", "getData /a", "getData /b", "closeSession "]
    );
    assert_eq!(server.with(|server| server.sessions()), 0);
    println!("{}", sim.trace());
}
