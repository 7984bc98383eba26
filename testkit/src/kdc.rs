//! A Kerberos server for one test: a realm of its own, with principals and their keys.
//!
//! Nothing of the system's own Kerberos is used but the programs: configuration, database and port
//! are the test's. Clients find them by `KRB5_CONFIG`, servers by an option of their JVM.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::apt::run;
use crate::error::Error;
use crate::fetch::install;
use crate::home::{RunDir, write};
use crate::log::tail;
use crate::ports::Port;
use crate::process::Process;
use crate::wait::eventually;

/// The realm of every [`Kdc`].
pub const REALM: &str = "ZK.TEST";

/// Of Debian.
const PACKAGES: [&str; 3] = ["krb5-kdc", "krb5-admin-server", "krb5-user"];

/// What these packages bring.
const PROGRAMS: [&str; 4] = ["krb5kdc", "kdb5_util", "kadmin.local", "kinit"];

/// Where they are, besides the directories of `PATH`.
const PLACES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running Kerberos server, which ends with this value.
///
/// ```no_run
/// # fn main() -> Result<(), zk_testkit::Error> {
/// use zk_testkit::{Cluster, Kdc, Options, Sasl, Version};
///
/// let kdc = Kdc::start()?;
/// let options = Options::new().sasl_kerberos(&kdc, Sasl::Offered)?;
/// let cluster = Cluster::start(Version::V3_9, &options)?;
/// // Its servers are `zookeeper/localhost`. A client with these two variables is bob:
/// let (config, cache) = (kdc.config(), kdc.tickets("bob")?); // KRB5_CONFIG, KRB5CCNAME
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Kdc {
    // Dropped in this order: the process before its port and data.
    process: Option<Process>,
    port: Port,
    dir: RunDir,
}

impl Kdc {
    /// Makes a realm and starts its server. As root on Debian the programs are installed if they
    /// are missing.
    ///
    /// # Errors
    ///
    /// [`Error::NoKerberos`]; [`Error::Command`] with what a program of Kerberos said;
    /// [`Error::NoHome`], [`Error::NoPorts`], [`Error::Io`].
    pub fn start() -> Result<Self, Error> {
        programs()?;
        let dir = RunDir::create()?;
        let port = Port::claim()?;
        let mut kdc = Self {
            process: None,
            port,
            dir,
        };
        write(&kdc.config(), kdc.krb5_conf().as_bytes())?;
        write(&kdc.path("kdc.conf"), kdc.kdc_conf().as_bytes())?;
        run(kdc.command("kdb5_util")?.args([
            "create",
            "-s",
            "-r",
            REALM,
            "-P",
            "of no use to anybody",
        ]))?;
        kdc.resume()?;
        Ok(kdc)
    }

    /// Ends the server. The realm stays, for [`resume`](Self::resume).
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts the server again, on the same port.
    ///
    /// # Errors
    ///
    /// [`Error::NoKerberos`] with the end of its log if it does not serve.
    pub fn resume(&mut self) -> Result<(), Error> {
        let log = self.path("log");
        let process = Process::spawn(
            Path::new("env"),
            &[
                format!("KRB5_CONFIG={}", self.config().display()),
                format!("KRB5_KDC_PROFILE={}", self.path("kdc.conf").display()),
                program("krb5kdc")?.display().to_string(),
                "-n".to_owned(),
            ],
            self.dir.path(),
            &log,
        );
        let process = process.map_err(Error::io("start krb5kdc"))?;
        let serves = || TcpStream::connect(self.port.address()).ok();
        let up = eventually(READY_WITHIN, || {
            (process.has_ended() || serves().is_some()).then_some(())
        });
        if up.is_none() || process.has_ended() {
            return Err(Error::NoKerberos {
                why: format!("krb5kdc does not serve: {}", tail(&log, 15)),
            });
        }
        self.process = Some(process);
        Ok(())
    }

    /// The realm's configuration, for `KRB5_CONFIG`.
    pub fn config(&self) -> PathBuf {
        self.path("krb5.conf")
    }

    /// Makes a principal such as `bob` or `zookeeper/localhost`, if there is none yet, and a table
    /// with its key, for `KRB5_CLIENT_KTNAME`.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with what `kadmin.local` said.
    pub fn key_table(&self, principal: &str) -> Result<PathBuf, Error> {
        let table = self.path(&format!("{}.keytab", principal.replace('/', "-")));
        if !table.exists() {
            for query in [
                format!("addprinc -randkey {principal}"),
                format!("ktadd -k {} {principal}", table.display()),
            ] {
                run(self
                    .command("kadmin.local")?
                    .args(["-r", REALM, "-q", &query]))?;
            }
        }
        Ok(table)
    }

    /// A cache with a ticket of a principal, for `KRB5CCNAME`; another one at each call.
    ///
    /// # Errors
    ///
    /// As [`key_table`](Self::key_table), and of `kinit`.
    pub fn tickets(&self, principal: &str) -> Result<PathBuf, Error> {
        let table = self.key_table(principal)?;
        let caches = fs::read_dir(self.dir.path()).map_err(Error::io("list the realm's files"))?;
        let cache = self.path(&format!("cache-{}", caches.count()));
        run(self
            .command("kinit")?
            .arg("-k")
            .arg("-t")
            .arg(&table)
            .arg("-c")
            .arg(&cache)
            .arg(principal))?;
        Ok(cache)
    }

    /// A file of the realm's.
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, name: &'static str) -> Result<Command, Error> {
        let mut command = Command::new(program(name)?);
        command
            .env("KRB5_CONFIG", self.config())
            .env("KRB5_KDC_PROFILE", self.path("kdc.conf"))
            .current_dir(self.dir.path());
        Ok(command)
    }

    fn krb5_conf(&self) -> String {
        let port = self.port.number();
        format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n \
             dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n \
             udp_preference_limit = 1\n[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
        )
    }

    fn kdc_conf(&self) -> String {
        let (port, dir) = (self.port.number(), self.dir.path().display());
        format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {REALM} = {{\n  database_name = {dir}/principals\n  \
             key_stash_file = {dir}/stash\n  acl_file = {dir}/acl\n }}\n\
             [logging]\n kdc = FILE:{dir}/log\n"
        )
    }
}

/// Sees to it that all programs are here.
fn programs() -> Result<(), Error> {
    let missing = || PROGRAMS.iter().any(|name| program(name).is_err());
    if missing() {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::NoKerberos {
                why: "it is not installed, and that needs root".to_owned(),
            });
        }
        eprintln!("testkit: installing {}", PACKAGES.join(" "));
        install(&PACKAGES)?;
    }
    PROGRAMS.iter().try_for_each(|name| program(name).map(drop))
}

fn program(name: &str) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(PLACES.iter().map(PathBuf::from));
    let mut found = dirs.map(|dir| dir.join(name)).filter(|path| path.is_file());
    found.next().ok_or_else(|| Error::NoKerberos {
        why: format!("there is no {name}"),
    })
}
