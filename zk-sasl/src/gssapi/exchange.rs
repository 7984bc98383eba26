//! One exchange: a security context, then the agreement that nothing else is protected by it.
//!
//! | stage | the server says | this side sends | next |
//! |---|---|---|---|
//! | `Initial` | nothing yet | AP-REQ | `Context` |
//! | `Context` | AP-REP | the context's answer, else an empty token | `Context`, or `Layers` once it stands |
//! | `Layers` | the layers it can do, wrapped | none of them, wrapped | `Agreed` |
//! | `Agreed` | a null token | | authenticated |

use std::sync::Arc;

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, OidSet};
use zk_session::{Challenge, Mechanism, SaslError, Step};

use crate::gssapi::failure::{self, Doing};
use crate::gssapi::{Account, Target};

/// "No security layer" among the layers that a server offers, and in the answer (RFC 4752, 3.1).
const NO_LAYER: u8 = 1;

pub(crate) struct Exchange {
    account: Arc<Account>,
    target: Target,
    stage: Stage,
}

enum Stage {
    Initial,
    Context(ClientCtx),
    Layers(ClientCtx),
    Agreed,
    Over,
}

impl Exchange {
    pub(crate) fn new(account: Arc<Account>, target: Target) -> Self {
        Self {
            account,
            target,
            stage: Stage::Initial,
        }
    }

    /// A context for the server that the ticket is for. May ask Kerberos servers.
    fn begin(&self) -> Result<ClientCtx, SaslError> {
        let failed = |doing| move |error| failure::of(doing, &self.target, error);
        let name = |error| failed(Doing::Naming)(error);
        let mechanisms = OidSet::singleton(GSS_MECH_KRB5).map_err(name)?;
        let principal = match &self.account.principal {
            None => None,
            Some(text) => {
                let kind = Some(GSS_NT_KRB5_PRINCIPAL);
                Some(Name::new(text.as_bytes(), kind).map_err(name)?)
            }
        };
        let credential = Cred::acquire(
            principal.as_ref(),
            None,
            CredUsage::Initiate,
            Some(&mechanisms),
        );
        let credential = credential.map_err(failed(Doing::Acquiring))?;
        let (text, kind) = match &self.target {
            Target::Principal(text) => (text, GSS_NT_KRB5_PRINCIPAL),
            Target::Host(text) => (text, GSS_NT_HOSTBASED_SERVICE),
        };
        let target = Name::new(text.as_bytes(), Some(kind)).map_err(name)?;
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        Ok(ClientCtx::new(
            Some(credential),
            target,
            flags,
            Some(GSS_MECH_KRB5),
        ))
    }

    fn advance(
        &self,
        mut context: ClientCtx,
        token: Option<&[u8]>,
    ) -> Result<(Stage, Vec<u8>), SaslError> {
        let doing = match token {
            None => Doing::Beginning,
            Some(_) => Doing::Verifying,
        };
        let answer = context
            .step(token, None)
            .map_err(|error| failure::of(doing, &self.target, error))?;
        let answer = answer.map_or(Vec::new(), |token| token.to_vec());
        let stage = if context.is_complete() {
            Stage::Layers(context)
        } else {
            Stage::Context(context)
        };
        Ok((stage, answer))
    }

    /// The server's offer: a set of layers and the longest message, in four bytes. The answer has
    /// the same form; behind it could stand whom to act as, which is the user.
    fn agree(&self, mut context: ClientCtx, offer: &[u8]) -> Result<Vec<u8>, SaslError> {
        let failed = |error| failure::of(Doing::Agreeing, &self.target, error);
        let offer = context.unwrap(offer).map_err(failed)?;
        match *offer {
            [layers, _, _, _] if layers & NO_LAYER != 0 => {}
            [_, _, _, _] => {
                return Err(SaslError::new(
                    "GSSAPI: the server insists on a security layer, which ZooKeeper has none of",
                ));
            }
            _ => return Err(out_of_order()),
        }
        let answer = context.wrap(false, &[NO_LAYER, 0, 0, 0]).map_err(failed)?;
        Ok(answer.to_vec())
    }
}

impl Mechanism for Exchange {
    fn step(&mut self, challenge: Challenge<'_>) -> Result<Step, SaslError> {
        match (&self.stage, challenge) {
            (Stage::Agreed, Challenge::Null) => {
                self.stage = Stage::Over;
                Ok(Step::Done)
            }
            (Stage::Initial, Challenge::Initial)
            | (Stage::Context(_) | Stage::Layers(_), Challenge::Token(_)) => Ok(Step::Later),
            (
                Stage::Initial | Stage::Context(_) | Stage::Layers(_) | Stage::Agreed | Stage::Over,
                Challenge::Initial | Challenge::Token(_) | Challenge::Null,
            ) => Err(out_of_order()),
        }
    }

    fn work(&mut self, challenge: Challenge<'_>) -> Result<Vec<u8>, SaslError> {
        let (stage, answer) = match (std::mem::replace(&mut self.stage, Stage::Over), challenge) {
            (Stage::Initial, Challenge::Initial) => self.advance(self.begin()?, None)?,
            (Stage::Context(context), Challenge::Token(token)) => {
                self.advance(context, Some(token))?
            }
            (Stage::Layers(context), Challenge::Token(offer)) => {
                (Stage::Agreed, self.agree(context, offer)?)
            }
            (
                Stage::Initial | Stage::Context(_) | Stage::Layers(_) | Stage::Agreed | Stage::Over,
                Challenge::Initial | Challenge::Token(_) | Challenge::Null,
            ) => return Err(out_of_order()),
        };
        self.stage = stage;
        Ok(answer)
    }
}

fn out_of_order() -> SaslError {
    SaslError::new("GSSAPI: the exchange has no place for what the server said")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Exchange {
        let target = Target::Principal("zookeeper/h1@".to_owned());
        Exchange::new(Arc::default(), target)
    }

    #[test]
    fn what_may_block_is_put_off() {
        assert_eq!(exchange().step(Challenge::Initial), Ok(Step::Later));
    }

    #[test]
    fn only_what_is_due_is_taken() {
        for challenge in [Challenge::Null, Challenge::Token(b"x")] {
            assert_eq!(exchange().step(challenge), Err(out_of_order()));
            assert_eq!(exchange().work(challenge), Err(out_of_order()));
        }
        let mut agreed = exchange();
        agreed.stage = Stage::Agreed;
        assert_eq!(agreed.step(Challenge::Token(b"x")), Err(out_of_order()));
        assert_eq!(agreed.step(Challenge::Null), Ok(Step::Done));
        assert_eq!(agreed.step(Challenge::Null), Err(out_of_order()));
    }
}
