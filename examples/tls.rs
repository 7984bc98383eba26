//! TLS: a client that knows whom it talks to.
//!
//! ```sh
//! cargo run --example tls --features tls -- zk1.example.com:2281 ca.pem [client.pem client.key]
//! ```

#![expect(clippy::print_stdout, reason = "this is a program")]

use std::error::Error;
use std::sync::Arc;

use zk::Client;
use zk::threads::ThreadsHandler;
use zk::tls::Tls;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (hosts, ca, identity) = match arguments.as_slice() {
        [hosts, ca] => (hosts, ca, None),
        [hosts, ca, certificate, key] => (hosts, ca, Some((certificate, key))),
        _ => return Err("usage: tls HOST:PORT CA.pem [CERTIFICATE.pem KEY.pem]".into()),
    };

    let mut options = Tls::builder();
    options.ca_file(ca);
    if let Some((certificate, key)) = identity {
        options.certificate_files(certificate, key);
    }
    let tls = options.build()?;

    // An error says what is wrong: an expired certificate, another name, a port without TLS.
    let client = Client::builder(hosts)
        .tls(tls.clone())
        .connect(Arc::new(ThreadsHandler::new()))
        .wait()?;
    println!("connected to {hosts}: {:?}", tls.handshakes());
    for name in &client.get_children("/").wait()? {
        println!("/{name}");
    }
    client.close().wait()?;
    Ok(())
}
