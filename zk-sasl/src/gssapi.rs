//! GSSAPI for clients: Kerberos 5 (RFC 4752), by the system's Kerberos library.
//!
//! ```text
//! client                                        server
//!   | -- AP-REQ ---------------------------------> |  a ticket for zookeeper/HOST
//!   | <-- AP-REP --------------------------------- |  the server has the service's key
//!   | -- empty ----------------------------------> |
//!   | <-- security layers, wrapped --------------- |
//!   | -- "none", wrapped ------------------------> |
//!   | <-- null token ----------------------------- |
//! ```
//!
//! `exchange` is that, `failure` says what the library's codes mean and what to do about them.

use std::sync::Arc;

use zk_proto::ServerAddr;
use zk_session::{Mechanism, MechanismFactory};

use exchange::Exchange;

mod exchange;
mod failure;

/// SASL GSSAPI with Kerberos tickets, on every connection.
///
/// It asks for no password and keeps no key: tickets come from the credential cache that `kinit`
/// fills (`KRB5CCNAME`), or from a key table that the Kerberos library uses by itself
/// (`KRB5_CLIENT_KTNAME`).
///
/// The server is asked for as `zookeeper/HOST`, where HOST is the server's name as it stands in the
/// client's list: it is not looked up in the DNS, so that nobody who controls that can pass for
/// the server. The realm is the one that the Kerberos servers know the host in, else the default
/// one of `krb5.conf`.
///
/// | kazoo's `sasl_options` | Java client's property | here |
/// |---|---|---|
/// | `"mechanism": "GSSAPI"` | a `Client` section with `Krb5LoginModule` | `Gssapi::new()` |
/// | `"service"` | `zookeeper.sasl.client.username` | [`service`](Self::service) |
/// | `"principal"` | `principal` of that section | [`principal`](Self::principal) |
/// | | `zookeeper.server.realm` | [`realm`](Self::realm) |
/// | | `zookeeper.server.principal` | [`server_principal`](Self::server_principal) |
/// | always | `zookeeper.sasl.client.canonicalize.hostname` | [`canonicalized`](Self::canonicalized) |
///
/// Getting a ticket may take a Kerberos server's answer, so all work is put off
/// ([`Step::Later`](zk_session::Step::Later)) and done on a thread for it. If no Kerberos server
/// answers, the attempt fails and the client tries again. What is wrong with tickets, names or the
/// realm ends the client with [`AuthFailure::Sasl`](zk_session::AuthFailure::Sasl), whose text says
/// what to do; a server that does not take the ticket with
/// [`AuthFailure::SaslRefused`](zk_session::AuthFailure::SaslRefused).
///
/// ```no_run
/// use std::sync::Arc;
/// use zk_sasl::Gssapi;
/// use zk_proto::ServerAddr;
/// use zk_session::Config;
///
/// let mut config = Config::builder(vec![ServerAddr::new("zk1.example.com", 2181)]);
/// config.mechanism(Arc::new(Gssapi::new()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gssapi(Arc<Account>);

/// Both sides' names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) principal: Option<String>,
    service: Option<String>,
    realm: Option<String>,
    server: Option<String>,
    canonicalized: bool,
}

/// A name, and how the Kerberos library is to read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// A principal, as it is.
    Principal(String),
    /// `SERVICE@HOST`, whose host the library may look up.
    Host(String),
}

impl Gssapi {
    /// With the default ticket, for the service `zookeeper`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Signs in as this principal, such as `bob` or `bob@EXAMPLE.COM` (kazoo: `principal`). Default:
    /// whoever the credential cache is for.
    pub fn principal(mut self, principal: impl Into<String>) -> Self {
        self.account().principal = Some(principal.into());
        self
    }

    /// The service's name (kazoo: `service`). Default: `zookeeper`.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.account().service = Some(service.into());
        self
    }

    /// The servers' realm. Default: the one that the Kerberos servers know the host in.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.account().realm = Some(realm.into());
        self
    }

    /// The principal of all servers, such as `zookeeper/service.example.com@EXAMPLE.COM`, whatever
    /// their host names; over [`service`](Self::service) and [`realm`](Self::realm).
    pub fn server_principal(mut self, principal: impl Into<String>) -> Self {
        self.account().server = Some(principal.into());
        self
    }

    /// Lets the Kerberos library turn a server's name into another one by the DNS, as far as
    /// `dns_canonicalize_hostname` and `rdns` of `krb5.conf` say: for lists that name aliases or
    /// addresses. Default: it does not, and the DNS need not be trusted. [`realm`](Self::realm) does not
    /// count then.
    pub fn canonicalized(mut self) -> Self {
        self.account().canonicalized = true;
        self
    }

    fn account(&mut self) -> &mut Account {
        Arc::make_mut(&mut self.0)
    }
}

impl Account {
    /// Whom to get a ticket for.
    pub(crate) fn target(&self, host: &str) -> Target {
        if let Some(server) = &self.server {
            return Target::Principal(server.clone());
        }
        let service = self.service.as_deref().unwrap_or("zookeeper");
        if self.canonicalized {
            return Target::Host(format!("{service}@{host}"));
        }
        // An empty realm asks the Kerberos servers for the right one, by referral.
        let realm = self.realm.as_deref().unwrap_or_default();
        Target::Principal(format!("{service}/{host}@{realm}"))
    }
}

impl MechanismFactory for Gssapi {
    fn mechanism(&self, server: &ServerAddr, _: [u8; 16]) -> Box<dyn Mechanism> {
        let target = self.0.target(server.host());
        Box::new(Exchange::new(Arc::clone(&self.0), target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(gssapi: &Gssapi) -> Target {
        gssapi.0.target("zk1.example.com")
    }

    #[test]
    fn the_server_is_named_as_configured() {
        let principal = |name: &str| Target::Principal(name.to_owned());
        let plain = Gssapi::new();
        assert_eq!(target(&plain), principal("zookeeper/zk1.example.com@"));
        let named = plain.clone().service("zk").realm("EXAMPLE.COM");
        assert_eq!(target(&named), principal("zk/zk1.example.com@EXAMPLE.COM"));
        let looked_up = Target::Host("zk@zk1.example.com".to_owned());
        assert_eq!(target(&named.clone().canonicalized()), looked_up);
        let fixed = named.canonicalized().server_principal("zk/all@REALM");
        assert_eq!(target(&fixed), principal("zk/all@REALM"));
        // A copy is another one.
        assert_eq!(target(&plain), principal("zookeeper/zk1.example.com@"));
    }
}
