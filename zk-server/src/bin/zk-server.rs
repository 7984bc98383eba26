//! A ZooKeeper in memory, from the command line.
//!
//! Prints what clients connect to on the standard output, with a second line for those with TLS, then
//! serves until it is killed.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    error::Error,
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use zk_server::{Options, Server, ServerBuilder};

const USAGE: &str = "\
usage: zk-server [options]

  --port N              the port to listen on; default 0, which lets the system pick one
  --address A           the address to listen on; default 127.0.0.1
  --tick MS             the unit of session timeouts in milliseconds; default 2000
  --min-timeout MS      the shortest session timeout; default 2 ticks
  --max-timeout MS      the longest session timeout; default 20 ticks
  --release R           the release to behave like, 3.8 or 3.9; default 3.9
  --super USER:PASSWORD a user for whom no access control list counts
  --max-connections N   how many connections one address may have; default any number
  --enforce-quota       refuse what exceeds a hard quota
  --tls-cert FILE       serve clients with TLS on a second port: the server's certificate, and those
                        between it and its authority, in PEM
  --tls-key FILE        its private key, in PEM; default: in the file of the certificate
  --tls-port N          the port for clients with TLS; default 0, which lets the system pick one
  --tls-ca FILE         ask clients for certificates of the authorities in this file, in PEM; who shows
                        one has the identity x509 and its subject
  --tls-client-auth W   whether those are needed: need, want or none; default need where --tls-ca is
                        given
  --whitelist WORDS     the four-letter words that are answered, between commas; default *
  --quiet               do not say that everything is in memory
  --help                show this text
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("zk-server: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            // Who closes the standard error does not want to know.
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "a program has arguments")]
    let arguments = std::env::args().skip(1);
    let Some(builder) = parse(arguments)? else {
        std::io::stdout().write_all(USAGE.as_bytes())?;
        return Ok(());
    };
    let server = builder.start()?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", server.hosts())?;
    #[cfg(feature = "tls")]
    if let Some(hosts) = server.secure_hosts() {
        writeln!(stdout, "{hosts}")?;
    }
    stdout.flush()?;
    loop {
        std::thread::park();
    }
}

/// The server that the arguments describe, or `None` if they ask for help.
fn parse(
    mut arguments: impl Iterator<Item = String>,
) -> Result<Option<ServerBuilder>, Box<dyn Error>> {
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut options = Options::new();
    let mut quiet = false;
    let mut tls = Tls::default();
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--quiet" => {
                quiet = true;
                continue;
            }
            "--enforce-quota" => {
                options = options.enforce_quota();
                continue;
            }
            _ => {}
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} is unknown or needs a value"))?;
        let wrong = |error: &dyn Error| format!("{name} {value}: {error}");
        let millis = || {
            let parsed = value.parse().map(Duration::from_millis);
            parsed.map_err(|error| wrong(&error))
        };
        options = match name.as_str() {
            "--port" => {
                address.set_port(value.parse().map_err(|error| wrong(&error))?);
                options
            }
            "--address" => {
                address.set_ip(value.parse::<IpAddr>().map_err(|error| wrong(&error))?);
                options
            }
            "--tick" => options.tick(millis()?),
            "--min-timeout" => options.min_session_timeout(millis()?),
            "--max-timeout" => options.max_session_timeout(millis()?),
            "--release" => options.release(value.parse().map_err(|error| wrong(&error))?),
            "--super" => {
                let (user, password) = value
                    .split_once(':')
                    .ok_or("--super needs a name, a colon and a password")?;
                options.super_user(user, password)
            }
            "--max-connections" => {
                let limit = value.parse().map_err(|error| wrong(&error))?;
                options.max_connections_per_address(limit)
            }
            "--whitelist" => options.whitelist(&value),
            "--tls-port" => {
                tls.port = Some(value.parse().map_err(|error| wrong(&error))?);
                options
            }
            "--tls-cert" | "--tls-key" | "--tls-ca" | "--tls-client-auth" => {
                tls.files.insert(name, value);
                options
            }
            _ => return Err(format!("{name} is unknown; see --help").into()),
        };
    }
    let builder = Server::builder().addr(address).options(options);
    let builder = tls.apply(builder)?;
    Ok(Some(if quiet { builder.quiet() } else { builder }))
}

/// What was said of TLS.
#[derive(Default)]
struct Tls {
    port: Option<u16>,
    /// By the names of the options.
    files: BTreeMap<String, String>,
}

impl Tls {
    #[cfg(feature = "tls")]
    fn apply(self, builder: ServerBuilder) -> Result<ServerBuilder, Box<dyn Error>> {
        use zk_server::{Acceptor, Certificates};

        let file = |name: &str| self.files.get(name);
        let Some(certificate) = file("--tls-cert") else {
            return if self.files.is_empty() && self.port.is_none() {
                Ok(builder)
            } else {
                Err("TLS needs a certificate: --tls-cert".into())
            };
        };
        let key = file("--tls-key").unwrap_or(certificate);
        let mut acceptor = Acceptor::from_files(certificate, key);
        let authority = file("--tls-ca");
        match (file("--tls-client-auth").map(String::as_str), authority) {
            (None, None) | (Some("none"), _) => {}
            (None | Some("need"), Some(authority)) => {
                acceptor.client_ca_file(authority);
            }
            (Some("want"), Some(authority)) => {
                acceptor
                    .client_ca_file(authority)
                    .client_certificates(Certificates::Wanted);
            }
            (Some("need" | "want"), None) => {
                return Err("--tls-client-auth needs the authorities of clients: --tls-ca".into());
            }
            (Some(other), _) => {
                let text = "the choices are need, want and none";
                return Err(format!("--tls-client-auth {other}: {text}").into());
            }
        }
        let builder = builder.tls(acceptor.build()?);
        Ok(builder.secure_port(self.port.unwrap_or(0)))
    }

    #[cfg(not(feature = "tls"))]
    fn apply(self, builder: ServerBuilder) -> Result<ServerBuilder, Box<dyn Error>> {
        if self.files.is_empty() && self.port.is_none() {
            return Ok(builder);
        }
        Err("this program was built without TLS: build it with --features tls".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<ServerBuilder>, String> {
        parse(line.split_whitespace().map(str::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_understood() {
        let line = "--port 2181 --tick 100 --release 3.8 --super a:b --whitelist ruok --quiet \
                    --enforce-quota --max-connections 3 --min-timeout 1 --max-timeout 2 --address ::1";
        let shown = format!("{:?}", parsed(line).unwrap().unwrap());
        for part in [
            "[::1]:2181",
            "tick: 100ms",
            "V3_8",
            "enforce_quota: true",
            "quiet: true",
        ] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        assert!(parsed("--quiet --help").unwrap().is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for (line, message) in [
            ("--port many", "--port many: invalid digit found in string"),
            ("--port", "--port is unknown or needs a value"),
            ("--prot 1", "--prot is unknown; see --help"),
            (
                "--release 3.4",
                "--release 3.4: the releases are 3.8 and 3.9",
            ),
            (
                "--super bob",
                "--super needs a name, a colon and a password",
            ),
            #[cfg(not(feature = "tls"))]
            (
                "--tls-cert a",
                "this program was built without TLS: build it with --features tls",
            ),
            #[cfg(feature = "tls")]
            ("--tls-port 1", "TLS needs a certificate: --tls-cert"),
            #[cfg(feature = "tls")]
            ("--tls-cert no-such-file", "cannot read no-such-file"),
            #[cfg(feature = "tls")]
            (
                "--tls-cert a --tls-client-auth want",
                "--tls-client-auth needs the authorities of clients: --tls-ca",
            ),
            #[cfg(feature = "tls")]
            (
                "--tls-cert a --tls-ca b --tls-client-auth maybe",
                "--tls-client-auth maybe: the choices are need, want and none",
            ),
        ] {
            assert_eq!(parsed(line).unwrap_err(), message);
        }
    }
}
