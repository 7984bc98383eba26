//! Shapes in which calls are used, and which must go on compiling.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use zk_proto::{Children, Payload, Stat};

use super::Rig;
use crate::op::{GetData, Kind, Op, Read};
use crate::{AsyncResult, Client, Core, Error, EventStream, Watch};

fn is_future<F: Future + Send + Unpin>(_: &F) {}
fn is_static<T: Send + Sync + 'static>(_: &T) {}
fn is_shared<T: Send + Sync + Clone + 'static>() {}
fn is_sent<T: Send + Unpin + 'static>() {}

#[test]
fn everything_can_be_sent_where_it_is_needed() {
    is_shared::<Client>();
    is_shared::<Error>();
    is_sent::<AsyncResult<Stat>>();
    is_sent::<Watch>();
    is_sent::<EventStream<crate::Notice>>();
    is_static::<std::marker::PhantomData<Core>>(&std::marker::PhantomData);
    let rig = Rig::connected();
    is_future(&rig.client.get("/a"));
    is_future(&rig.client.get("/a").watched());
    is_future(&rig.client.create("/a", "x").make_path());
    is_static(&rig.client.get("/a").send());
}

#[test]
fn owned_paths_and_data_of_every_kind() {
    let rig = Rig::connected();
    let client = &rig.client;
    let path = String::from("/a");
    drop(client.get(&path));
    drop(client.create(&path, b"array"));
    drop(client.create(&path, "text"));
    drop(client.create(&path, String::from("owned")));
    drop(client.create(&path, vec![1, 2, 3]));
    drop(client.set(&path, &[1u8, 2][..]));
    drop(client.set(&path, Payload::default()));
    drop(client.set(&path, None::<&[u8]>));
    drop(client.set(&path, Some("text")));
}

/// Compiled, and never run: what users write.
#[expect(dead_code, reason = "compiled only")]
async fn shapes(client: Client) -> Result<(), Error> {
    let (data, stat): (Payload, Stat) = client.get("/a").await?;
    let (_data, _stat, watch) = client.get("/a").watched().await?;
    let children: Children = client.get_children("/a").await?;
    let (_children, _stat): (Children, Stat) = client.get_children("/a").with_stat().await?;
    let _path: String = client.create("/a", "x").ephemeral().sequential().await?;
    let (_path, _stat): (String, Stat) = client.create("/a", &*data).with_stat().await?;
    client.set("/a", "x").version(stat.version).await?;
    watch.await?;
    // pin!
    let mut pinned = pin!(client.get("/a"));
    pinned.as_mut().await?;
    // Boxed, in a list, of one type.
    let many: Vec<Op<'_, Read<'_, GetData>>> = vec![client.get("/a"), client.get("/b")];
    for one in many {
        one.await?;
    }
    let names: Vec<String> = children.iter().map(|name| format!("/a/{name}")).collect();
    let sent: Vec<AsyncResult<_>> = names.iter().map(|path| client.get(path).send()).collect();
    for one in sent {
        one.await?;
    }
    // Spawned: 'static.
    let task = client.get("/a").send();
    client.spawn(async move { drop(task.await) });
    let mut stream = client.add_watch("/a").recursive().await?;
    while let Some(notice) = stream.next().await {
        drop(notice);
    }
    client.close().await
}

/// Two futures at once, as `join!` and `select!` poll them.
fn both<A: Future + Unpin, B: Future + Unpin>(mut a: A, mut b: B) -> (bool, bool) {
    let mut cx = Context::from_waker(Waker::noop());
    let a = std::pin::Pin::new(&mut a).poll(&mut cx).is_ready();
    (a, std::pin::Pin::new(&mut b).poll(&mut cx).is_ready())
}

#[test]
fn operations_run_side_by_side_and_generically() {
    fn pending<K: Kind>(mut op: Op<'_, K>) -> bool
    where
        Op<'static, K>: Sized,
    {
        matches!(super::poll_once(&mut op), Poll::Pending)
    }

    let rig = Rig::connected();
    let client = &rig.client;
    assert_eq!(both(client.get("/a"), client.exists("/b")), (false, false));
    assert!(pending(client.delete("/a")));
    assert!(pending(client.who_am_i()));
}
