//! Counters of both.

use zk::recipes::Counter;

use super::{Fleet, fleets};

const LOOP: &str = "\
counter = client.Counter('/n')
for n in range(TIMES):
    counter += 1
    tell(counter.post_value)
";

fn python_loop(times: u32) -> String {
    LOOP.replace("TIMES", &times.to_string())
}

/// Nobody's addition is lost, and none is done twice.
fn all_that_was_added_is_there(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let counter = Counter::new(&client, "/n");
    let (mut first, mut second) = (fleet.python(), fleet.python());
    let mut rust = fleet.rust();
    let tasks = [
        first.begin(&python_loop(40)),
        second.begin(&python_loop(40)),
    ];
    let third = rust.begin("add /n 40");
    for _ in 0..40 {
        counter.clone().marked().add(1).wait().unwrap();
    }
    first.end(tasks[0]);
    second.end(tasks[1]);
    rust.end(third);
    assert_eq!(counter.value().wait(), Ok(160));
    // Every number was given to just one.
    let mut given = [first.told(), second.told(), rust.told()].concat();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 120);
}

/// Of one that was killed at most one addition is there that it had not told of.
fn a_killed_one_has_added_what_it_told(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let counter = Counter::new(&client, "/n");
    let mut sum = 0;
    for round in 0..4 {
        let (mut member, line) = if round % 2 == 0 {
            (fleet.python(), python_loop(100_000))
        } else {
            (fleet.rust(), "add /n 100000".to_owned())
        };
        member.begin(&line);
        member.wait_until_told(20);
        let told = i64::try_from(member.kill().len()).unwrap();
        client.sync("/n").wait().unwrap();
        let value = counter.value().wait().unwrap();
        let added = value - sum;
        assert!(
            added == told || added == told + 1,
            "{added} were added, {told} were told"
        );
        sum = value;
        counter.add(1000).wait().unwrap();
        sum += 1000;
    }
}

/// What one writes the other reads: whole numbers, floats, and Curator's four bytes.
fn each_reads_what_the_other_writes(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut python = fleet.python();
    python
        .run("i = client.Counter('/i')\ni += 41\nf = client.Counter('/f', default=1.5)\nf += 1e16");
    python.run("c = client.Counter('/c', support_curator=True)\nc -= 7");
    let whole = Counter::new(&client, "/i");
    assert_eq!(whole.add(1).wait().unwrap().post_value, 42);
    let float = Counter::float(&client, "/f");
    assert_eq!(float.value().wait(), Ok(1e16 + 2.0));
    float.subtract(1e16).wait().unwrap();
    float.add(1e-7).wait().unwrap();
    let curator = Counter::curator(&client, "/c");
    assert_eq!(
        curator.subtract(i32::MAX - 7).wait().unwrap().post_value,
        -i32::MAX
    );
    python.run("client.sync('/')");
    assert_eq!(python.run("i.value"), "42");
    assert_eq!(python.run("f.value"), format!("{:?}", 2.0 + 1e-7));
    assert_eq!(python.run("c.value"), (-i32::MAX).to_string());
    // To the byte, whoever has written it.
    for sum in [
        "1e+16",
        "1e-05",
        "0.1",
        "123456789.25",
        "1.7e+308",
        "-3e-12",
    ] {
        let path = format!("/bytes{sum}");
        float_of(&client, &path, sum);
        let written = client.get(&path).wait().unwrap().0;
        let ours = String::from_utf8_lossy(&written).into_owned();
        assert_eq!(
            python.run(&format!("repr(float('{sum}'))")),
            format!("'{ours}'")
        );
    }
}

fn float_of(client: &zk::Client, path: &str, sum: &str) {
    let sum: f64 = sum.parse().unwrap();
    Counter::float(client, path).add(sum).wait().unwrap();
}

fleets! {
    a_killed_one_has_added_what_it_told
    all_that_was_added_is_there
    each_reads_what_the_other_writes
}
