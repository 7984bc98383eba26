//! What the Kerberos library's codes mean, and what to do about them.

use libgssapi::error::{Error, MajorFlags};
use zk_session::SaslError;

use crate::gssapi::Target;

/// Where it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    /// Reading a name.
    Naming,
    /// Finding the client's ticket.
    Acquiring,
    /// Getting a ticket for the server.
    Beginning,
    /// Verifying the server.
    Verifying,
    /// Agreeing on security layers.
    Agreeing,
}

/// Codes of MIT's `krb5.h`, as signed numbers there.
mod code {
    pub(super) const SERVER_UNKNOWN: i32 = -1_765_328_377;
    pub(super) const CLIENT_UNKNOWN: i32 = -1_765_328_378;
    pub(super) const TICKET_EXPIRED: i32 = -1_765_328_352;
    pub(super) const SKEW: i32 = -1_765_328_347;
    pub(super) const REALM_UNKNOWN: i32 = -1_765_328_230;
    pub(super) const UNREACHABLE: i32 = -1_765_328_228;
}

pub(crate) fn of(doing: Doing, target: &Target, error: Error) -> SaslError {
    let text = text(doing, target, error);
    // Unreachable now is not refused: later it may be there.
    if minor(error) == code::UNREACHABLE {
        SaslError::temporary(text)
    } else {
        SaslError::new(text)
    }
}

fn minor(error: Error) -> i32 {
    i32::from_ne_bytes(error.minor.to_ne_bytes())
}

fn text(doing: Doing, target: &Target, error: Error) -> String {
    let (Target::Principal(name) | Target::Host(name)) = target;
    let name = name.trim_end_matches('@');
    let advice = match (doing, minor(error)) {
        (_, code::UNREACHABLE) => "no Kerberos server answers".to_owned(),
        (_, code::REALM_UNKNOWN) => {
            "krb5.conf names no Kerberos server for the realm: add it, or point KRB5_CONFIG elsewhere"
                .to_owned()
        }
        (_, code::TICKET_EXPIRED) => "the ticket has expired: run kinit again".to_owned(),
        (_, code::SKEW) => "the clocks of this machine and the others differ too much".to_owned(),
        (_, code::CLIENT_UNKNOWN) => "the Kerberos server does not know this client".to_owned(),
        (_, code::SERVER_UNKNOWN) => format!(
            "the Kerberos server does not know {name}: is the server's name in the list that of its \
             principal? See service, realm, server_principal and canonicalized"
        ),
        (Doing::Acquiring, _) => {
            "no ticket to sign in with: run kinit, or name a key table in KRB5_CLIENT_KTNAME"
                .to_owned()
        }
        (Doing::Naming, _) => format!("a name is malformed, of this client or {name}"),
        (Doing::Beginning, _) => format!("no ticket for {name}"),
        (Doing::Verifying, _) if error.major.contains(MajorFlags::GSS_S_DEFECTIVE_TOKEN) => {
            "the server does not speak Kerberos: it may know passwords only (DigestMd5)".to_owned()
        }
        (Doing::Verifying, _) => format!("the server has not proved that it is {name}"),
        (Doing::Agreeing, _) => "what the server offers makes no sense".to_owned(),
    };
    let expired = error.major.contains(MajorFlags::GSS_S_CREDENTIALS_EXPIRED);
    let hint = if expired && minor(error) != code::TICKET_EXPIRED {
        "; the ticket has expired: run kinit again"
    } else {
        ""
    };
    format!("GSSAPI: {advice}{hint} ({})", error.to_string().trim())
}
