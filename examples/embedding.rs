//! A session in a loop of one's own, in some twenty lines: those of `drive`, which the README has, too.
//! `custom_loop` has the same loop with nothing left out, and `poll_loop` is one that never blocks.
//!
//! ```text
//! cargo run --example embedding                      # a server in this process
//! cargo run --example embedding -- --hosts 127.0.0.1:2181
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{io, net::TcpStream};

use zk::proto::{Acl, CreateMode, Request, parse_hosts};
use zk::session::{Call, Config, Event, Session, Wire};

fn drive(mut session: Session, mut on_event: impl FnMut(&mut Session, Event)) -> io::Result<()> {
    let mut wire = Wire::new();
    loop {
        wire.follow(&mut session, Instant::now, |server, _| {
            TcpStream::connect((server.host(), server.port()))
        });
        while let Some(event) = session.poll_event() {
            on_event(&mut session, event);
        }
        if session.is_finished() {
            return Ok(());
        }
        let wait = session.time_left(Instant::now()).unwrap_or_default();
        let wait = wait.max(Duration::from_millis(1));
        match wire.stream() {
            Some(stream) => stream.set_read_timeout(Some(wait))?,
            None => std::thread::sleep(wait),
        }
        wire.turn(&mut session, Instant::now);
        session.handle_timeout(Instant::now());
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let hosts = match (args.next().as_deref(), args.next()) {
        (None, None) => None,
        (Some("--hosts"), Some(hosts)) => Some(hosts),
        _ => {
            eprintln!("usage: embedding [--hosts HOST:PORT,..[/CHROOT]]");
            return ExitCode::from(2);
        }
    };
    let ended = match hosts {
        Some(hosts) => run(&hosts),
        None => zk_server::Server::start()
            .map_err(Box::from)
            .and_then(|server| run(&server.hosts())),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: the session did not get to its end.
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn run(hosts: &str) -> Result<bool, Box<dyn Error>> {
    let (servers, chroot) = parse_hosts(hosts)?;
    // Programs that run in many places take a seed from their system instead.
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&std::process::id().to_le_bytes());
    let mut session = Session::new(Config::builder(servers).build()?, seed, Instant::now());
    let create = Request::Create {
        path: "/embedding-".into(),
        data: Some(b"made by a loop of my own".as_slice().into()),
        acl: Acl::open_unsafe().into(),
        mode: CreateMode::EphemeralSequential.into(),
        with_stat: true,
    };
    session.submit(Instant::now(), Call::new(&create, &chroot))?;
    let mut is_done = false;
    drive(session, |session, event| {
        println!("{event:?}");
        if let Event::Completed { result, .. } = event {
            is_done = result.is_ok();
            session.close(Instant::now(), Duration::from_secs(5));
        } else if let Event::ConnectFailed { .. } = event {
            session.close(Instant::now(), Duration::ZERO);
        }
    })?;
    Ok(is_done)
}
