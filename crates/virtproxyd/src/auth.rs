//! The authentication of one client.

use gate::tls::Link;
use virt_proto::{AuthType, AuthTypes, Payload, Procedure, RemoteError};

use crate::conversation::Goodbye;
use crate::session::{Caller, Live};

#[derive(Debug, Default)]
pub(crate) struct AuthSettings;

#[derive(Debug)]
pub(crate) struct Authentication;

impl Authentication {
    pub(crate) fn new(_: &Caller, _: &Live, _: &Link) -> Result<Authentication, Goodbye> {
        Ok(Authentication)
    }

    pub(crate) fn is_done(&self) -> bool {
        true
    }

    pub(crate) async fn answer(
        &mut self,
        procedure: Procedure,
        _payload: &[u8],
    ) -> Result<Vec<u8>, RemoteError> {
        if procedure == Procedure::AUTH_LIST {
            Ok(AuthTypes(vec![AuthType::NONE]).encode())
        } else {
            Err(RemoteError::auth_failed())
        }
    }
}
