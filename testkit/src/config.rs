//! One member's files and its JVM's command line.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dist::Dist;
use crate::error::Error;
use crate::home::make_dir;
use crate::kdc::REALM;
use crate::options::{ClientAuth, Kerberos, Options, SASL_USERS, Sasl};

/// ZooKeeper's digest of a user: base64 of SHA-1 of `super:superpw`.
const SUPER_DIGEST: &str = "super:g9oN2HttPfn8MMWJZ2r45Np/LIA=";

/// Small and quick to start rather than fast in the long run.
const JVM: [&str; 5] = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Djava.net.preferIPv4Stack=true",
];

const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// What members speak with clients: the first two with TLS 1.3, the others with 1.2.
const CIPHERS: [&str; 4] = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
];

/// How long members may take to find together, and a member to catch up with its leader.
const INIT_LIMIT: Duration = Duration::from_secs(15);

/// How one member sees another, or itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) client: u16,
    /// Where followers reach it when it leads: its own port, or a proxy's.
    pub(crate) quorum: u16,
    pub(crate) election: u16,
    /// Where it serves clients with TLS.
    pub(crate) secure: Option<u16>,
}

/// One member's configuration.
pub(crate) struct Config<'a> {
    pub(crate) options: &'a Options,
    pub(crate) dir: &'a Path,
    pub(crate) member: usize,
    /// Every member as this one is to reach it.
    pub(crate) peers: &'a [Peer],
}

impl Config<'_> {
    /// Writes the member's files and returns the arguments for its JVM.
    pub(crate) fn write(&self, dist: &Dist) -> Result<Vec<String>, Error> {
        let data = self.dir.join("data");
        make_dir(&data)?;
        self.file("zoo.cfg", &self.zoo_cfg(&data))?;
        self.file("data/myid", &format!("{}\n", self.member + 1))?;
        let mut arguments: Vec<String> = JVM.map(str::to_owned).into();
        arguments.extend([
            format!("-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}"),
            format!(
                "-Dzookeeper.forceSync={}",
                if self.options.fsync { "yes" } else { "no" }
            ),
            "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS".to_owned(),
        ]);
        if self.options.read_only {
            arguments.push("-Dreadonlymode.enabled=true".to_owned());
        }
        if self.options.sasl.is_some() {
            let kerberos = self.options.kerberos.as_ref();
            let jaas = self.file(
                "jaas.conf",
                &kerberos.map_or_else(digest_jaas, kerberos_jaas),
            )?;
            arguments.push(format!(
                "-Djava.security.auth.login.config={}",
                jaas.display()
            ));
            arguments.extend(kerberos.map(|kerberos| {
                format!("-Djava.security.krb5.conf={}", kerberos.config.display())
            }));
            // Later releases refuse DIGEST-MD5 in FIPS mode, which is their default.
            arguments.push("-Dzookeeper.fips-mode=false".to_owned());
        }
        arguments.extend(self.options.java.iter().cloned());
        arguments.extend([
            "-cp".to_owned(),
            format!("{}/*", dist.lib().display()),
            MAIN.to_owned(),
            self.dir.join("zoo.cfg").display().to_string(),
        ]);
        Ok(arguments)
    }

    fn zoo_cfg(&self, data: &Path) -> String {
        let options = self.options;
        let tick = options.tick;
        let mut lines = vec![
            format!("tickTime={}", tick.as_millis()),
            format!("initLimit={}", ticks(INIT_LIMIT, tick).max(5)),
            format!("syncLimit={}", ticks(options.sync_limit, tick).max(2)),
            format!("maxSessionTimeout={}", (20 * tick.as_millis()).max(40_000)),
            format!("dataDir={}", data.display()),
        ];
        let fixed = [
            "maxClientCnxns=0",
            "admin.enableServer=false",
            "4lw.commands.whitelist=*",
            "extendedTypesEnabled=true",
        ];
        lines.extend(fixed.map(str::to_owned));
        if options.local_sessions {
            lines.push("localSessionsEnabled=true".to_owned());
            lines.push("localSessionsUpgradingEnabled=true".to_owned());
        }
        if let Some(sasl) = options.sasl {
            let provider = "org.apache.zookeeper.server.auth.SASLAuthenticationProvider";
            lines.push(format!("authProvider.sasl={provider}"));
            lines.push("kerberos.removeRealmFromPrincipal=true".to_owned());
            if sasl == Sasl::Required {
                lines.push("enforce.auth.enabled=true".to_owned());
                lines.push("enforce.auth.schemes=sasl".to_owned());
            }
        }
        self.add_tls(&mut lines);
        self.add_members(&mut lines);
        lines.extend(options.conf.iter().cloned());
        lines.push(String::new());
        lines.join("\n")
    }

    fn add_tls(&self, lines: &mut Vec<String>) {
        let (Some(tls), Some(port)) = (&self.options.tls, self.peers[self.member].secure) else {
            return;
        };
        let auth = match tls.client_auth {
            ClientAuth::None => "none",
            ClientAuth::Want => "want",
            ClientAuth::Need => "need",
        };
        let package = "org.apache.zookeeper.server";
        lines.extend([
            format!("serverCnxnFactory={package}.NettyServerCnxnFactory"),
            format!("authProvider.x509={package}.auth.X509AuthenticationProvider"),
            format!("secureClientPort={port}"),
            "secureClientPortAddress=127.0.0.1".to_owned(),
            format!("ssl.keyStore.location={}", tls.key_store.display()),
            format!("ssl.trustStore.location={}", tls.trust_store.display()),
            format!("ssl.clientAuth={auth}"),
            // By default 3.8 speaks TLS 1.2 alone, and 3.9 only 1.3.
            "ssl.protocol=TLSv1.3".to_owned(),
            "ssl.enabledProtocols=TLSv1.2,TLSv1.3".to_owned(),
            format!("ssl.ciphersuites={}", CIPHERS.join(",")),
        ]);
    }

    /// The lines about who is who. In a dynamic configuration they name the client ports as well.
    fn add_members(&self, lines: &mut Vec<String>) {
        let dynamic = self.peers.len() > 1 && !self.options.proxied_quorum;
        if !dynamic {
            lines.push(format!("clientPort={}", self.peers[self.member].client));
            lines.push("clientPortAddress=127.0.0.1".to_owned());
        }
        if self.peers.len() == 1 {
            return;
        }
        lines.push(format!("reconfigEnabled={dynamic}"));
        lines.push("standaloneEnabled=false".to_owned());
        if self.member >= self.options.voters {
            lines.push("peerType=observer".to_owned());
        }
        for (index, peer) in self.peers.iter().enumerate() {
            let role = if index < self.options.voters {
                "participant"
            } else {
                "observer"
            };
            let Peer {
                client,
                quorum,
                election,
                ..
            } = peer;
            let mut line = format!("server.{}=127.0.0.1:{quorum}:{election}:{role}", index + 1);
            if dynamic {
                let _ = write!(line, ";127.0.0.1:{client}");
            }
            lines.push(line);
        }
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        Ok(path)
    }
}

/// A length in ticks, rounded up.
fn ticks(length: Duration, tick: Duration) -> u128 {
    length.as_millis().div_ceil(tick.as_millis())
}

fn kerberos_jaas(kerberos: &Kerberos) -> String {
    let key_table = kerberos.key_table.display();
    format!(
        "Server {{\n  com.sun.security.auth.module.Krb5LoginModule required\n  useKeyTab=true\n  \
         storeKey=true\n  useTicketCache=false\n  keyTab=\"{key_table}\"\n  \
         principal=\"zookeeper/localhost@{REALM}\";\n}};\n"
    )
}

fn digest_jaas() -> String {
    let users = SASL_USERS.map(|(user, password)| format!("  user_{user}=\"{password}\""));
    let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
    format!(
        "Server {{\n  {module} required\n{};\n}};\n",
        users.join("\n")
    )
}
