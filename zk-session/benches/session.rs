//! The session alone, without a socket: what a request costs from `submit` to its result.

#[path = "../tests/peer/mod.rs"]
mod peer;

use criterion::{Criterion, Throughput};
use peer::{Pair, body, data};
use zk_proto::{Children, Chroot, Reply, Request, Stat};

fn get() -> Request<'static> {
    Request::GetData {
        path: "/my/favorite/node".into(),
        watch: false,
    }
}

fn set() -> Request<'static> {
    Request::SetData {
        path: "/my/favorite/node".into(),
        data: Some((&[7; 100][..]).into()),
        version: -1,
    }
}

/// Submit, transmit, decode and complete `window` requests.
fn exchange(
    c: &mut Criterion,
    name: &str,
    make: fn() -> Request<'static>,
    body: &[u8],
    window: usize,
) {
    with_chroot(c, name, make, body, window, &Chroot::default());
}

fn with_chroot(
    c: &mut Criterion,
    name: &str,
    make: fn() -> Request<'static>,
    body: &[u8],
    window: usize,
    chroot: &Chroot,
) {
    let mut pair = Pair::connected();
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(window as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            for _ in 0..window {
                pair.submit(&make(), chroot);
            }
            pair.exchange(body)
        });
    });
}

fn session(c: &mut Criterion) {
    let value = data(100);
    let stat = body(&Reply::Stat(Stat::default()));
    exchange(c, "get", get, &value, 1);
    exchange(c, "set", set, &stat, 1);
    exchange(c, "get, window of 1000", get, &value, 1000);
    exchange(c, "set, window of 1000", set, &stat, 1000);
    let chroot = Chroot::parse("/app").expect("a path");
    with_chroot(c, "get below a chroot", get, &value, 1, &chroot);
    let children = children(10_000);
    exchange(c, "10,000 children", list, &children, 1);
    watched(c, &value);
}

fn list() -> Request<'static> {
    Request::GetChildren {
        path: "/my/favorite/node".into(),
        watch: false,
        with_stat: false,
    }
}

fn children(count: usize) -> Vec<u8> {
    let names: Children = (0..count).map(|n| format!("member-{n:010}")).collect();
    body(&Reply::Children(names))
}

/// Watched reads of paths that come round again, as watches fire and are set anew.
fn watched(c: &mut Criterion, value: &[u8]) {
    let mut pair = Pair::connected();
    let paths: Vec<_> = (0..1000)
        .map(|n| format!("/my/favorite/node-{n:04}"))
        .collect();
    let chroot = Chroot::default();
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("watched get and its event, window of 1000", |b| {
        b.iter(|| {
            for path in &paths {
                let request = Request::GetData {
                    path: path.as_str().into(),
                    watch: true,
                };
                pair.submit(&request, &chroot);
            }
            let completed = pair.exchange(value);
            for path in &paths {
                pair.change(path);
            }
            completed
        });
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    session(&mut criterion);
    criterion.final_summary();
}
