//! What rustls says went wrong, in words about ZooKeeper servers and with what to do.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, CommonState, Error};
use zk_session::{LayerError, LayerErrorKind as Kind};

/// What is known besides the error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// The server has answered in TLS.
    pub(crate) answered: bool,
    /// The server's certificate was seen, and found good.
    pub(crate) server_known: bool,
    /// This side has a certificate to show.
    pub(crate) has_certificate: bool,
    /// The first bytes were those of an HTTP server.
    pub(crate) is_http: bool,
}

impl Circumstances {
    pub(crate) fn of(common: &CommonState, has_certificate: bool, is_http: bool) -> Self {
        Self {
            answered: common.protocol_version().is_some(),
            server_known: common.peer_certificates().is_some(),
            has_certificate,
            is_http,
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest needs no advice of its own, and rustls adds to it"
)]
pub(crate) fn explain(error: &Error, seen: Circumstances) -> LayerError {
    match error {
        Error::InvalidCertificate(why) => bad_certificate(why),
        Error::NoCertificatesPresented => {
            LayerError::of(Kind::BadCertificate, "TLS: the server shows no certificate")
        }
        Error::AlertReceived(alert) => refused(*alert, seen),
        Error::InvalidMessage(_) if !seen.answered => no_tls(seen),
        Error::PeerIncompatible(_) => LayerError::of(
            Kind::Incompatible,
            format!("TLS: the server has no version or algorithm that this side takes: {error}"),
        ),
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidMessage(_)
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord
        | Error::DecryptError => LayerError::of(
            Kind::Violation,
            format!("TLS: what arrived was changed on the way, or was never right: {error}"),
        ),
        _ => LayerError::of(Kind::Other, format!("TLS: {error}")),
    }
}

/// The server has closed the connection in the middle of something.
pub(crate) fn cut_off(established: bool, heard: bool) -> LayerError {
    if established {
        LayerError::of(
            Kind::Truncated,
            "TLS: the connection was cut in the middle of a message",
        )
    } else if heard {
        LayerError::of(
            Kind::Truncated,
            "TLS: the server closed the connection in the middle of the handshake; its log may say why",
        )
    } else {
        LayerError::of(
            Kind::Plaintext,
            "the server closed the connection instead of answering in TLS: this looks like clientPort, which is without; connect to secureClientPort",
        )
    }
}

fn no_tls(seen: Circumstances) -> LayerError {
    let message = if seen.is_http {
        "an HTTP server answered, without TLS: is this the AdminServer's port? Clients with TLS connect to secureClientPort"
    } else {
        "what answered does not speak TLS: connect to secureClientPort"
    };
    LayerError::of(Kind::Plaintext, message)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest needs no advice of its own, and rustls adds to it"
)]
fn bad_certificate(why: &CertificateError) -> LayerError {
    match why {
        CertificateError::ExpiredContext { not_after, .. } => expired(&date(*not_after)),
        CertificateError::Expired => expired("a day in the past"),
        CertificateError::NotValidYetContext { not_before, .. } => not_yet(&date(*not_before)),
        CertificateError::NotValidYet => not_yet("a day in the future"),
        CertificateError::UnknownIssuer => LayerError::of(
            Kind::UnknownAuthority,
            "TLS: nobody who is trusted here vouches for the server's certificate: name its authority by ca_file",
        ),
        CertificateError::BadSignature => LayerError::of(
            Kind::UnknownAuthority,
            "TLS: the server's certificate is not signed by the authority that it names: is the ca_file that of an older authority of the same name?",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            LayerError::of(
                Kind::WrongName,
                format!(
                    "TLS: the server's certificate is for another name; connect to a name that is in it, or name one by server_name: {why}"
                ),
            )
        }
        _ => LayerError::of(
            Kind::BadCertificate,
            format!("TLS: the server's certificate is refused: {why}"),
        ),
    }
}

fn expired(when: &str) -> LayerError {
    LayerError::of(
        Kind::Expired,
        format!(
            "TLS: the server's certificate has expired on {when}; renew it, or set the clock here"
        ),
    )
}

fn not_yet(when: &str) -> LayerError {
    LayerError::of(
        Kind::NotYetValid,
        format!(
            "TLS: the server's certificate is not valid before {when}; is the clock here right?"
        ),
    )
}

/// The day of a moment, in UTC.
fn date(time: UnixTime) -> String {
    // Counted in eras of 400 years that begin with a March, so that leap days come last.
    const ERA: u64 = 146_097;
    let day = time.as_secs() / 86_400 + 719_468;
    let (era, of_era) = (day / ERA, day % ERA);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{of_month:02}", year + era * 400 + next)
}

/// The server has said why not.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest needs no advice of its own, and rustls adds to it"
)]
fn refused(alert: AlertDescription, seen: Circumstances) -> LayerError {
    use AlertDescription as Alert;

    let about_certificate = match alert {
        Alert::CertificateRequired
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => true,
        // Servers with older versions say no more than this, also before they show a certificate.
        Alert::HandshakeFailure => seen.server_known,
        _ => false,
    };
    if about_certificate && !seen.has_certificate {
        return LayerError::of(
            Kind::CertificateRequired,
            format!(
                "TLS: the server wants a certificate of this side, and there is none: give one by certificate_files ({alert:?})"
            ),
        );
    }
    if about_certificate {
        return LayerError::of(
            Kind::CertificateRefused,
            format!("TLS: the server does not take the certificate of this side ({alert:?})"),
        );
    }
    match alert {
        Alert::ProtocolVersion | Alert::InsufficientSecurity | Alert::HandshakeFailure => {
            LayerError::of(
                Kind::Incompatible,
                format!(
                    "TLS: the server takes no version or algorithm that this side has ({alert:?})"
                ),
            )
        }
        _ => LayerError::of(
            Kind::Refused,
            format!("TLS: the server refused ({alert:?})"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_told_in_words_of_the_calendar() {
        let day = |days: u64| {
            date(UnixTime::since_unix_epoch(Duration::from_secs(
                days * 86_400,
            )))
        };
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(59), "1970-03-01");
        assert_eq!(day(11_016), "2000-02-29");
        assert_eq!(day(11_017), "2000-03-01");
        assert_eq!(day(20_453), "2025-12-31");
        assert_eq!(day(47_541), "2100-03-01");
        assert_eq!(day(47_540), "2100-02-28");
    }
}
