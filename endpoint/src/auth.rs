//! What requests are signed with, and who signed them.
//!
//! The operator's key pair may do everything. Those that were made for a machine or a person
//! ([`lobar_core::accounts::S3Keys`]) may do what [`super::policy`] allows their owner at that moment: the owner is
//! looked up anew for each request, once its signature was found good. So a token that was revoked ends its key pair,
//! and every URL that was signed with it, at once; and whoever holds no secret learns nothing of what exists.

use std::sync::Arc;

use hyper::http::Extensions;
use lobar_core::access::{Caller, Who};
use lobar_core::accounts::{Accounts, KeyOwner, S3Keys};
use lobar_core::failure::PortError;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::region::Region;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::ranges::Signed;

/// An access key and its secret. `Debug` leaves the secret out.
#[derive(Clone)]
pub struct Credentials {
    /// The public half.
    pub access_key: String,
    /// The private half.
    pub secret_key: String,
}

impl Credentials {
    /// A key pair.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into() }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Who signed a request.
#[derive(Clone, Debug)]
pub(super) enum Signer {
    /// Whoever has the operator's key pair.
    Operator,
    /// A machine, a person or the local user, with what they may do now.
    Caller(Arc<Caller>),
}

/// Knows key pairs and their owners.
#[derive(Clone)]
pub(super) struct Auth {
    operator: Credentials,
    /// Where key pairs of others are known: what makes their secrets, and what knows their owners.
    others: Option<(S3Keys, Arc<dyn Accounts>)>,
}

impl Auth {
    /// The operator's key pair, and those of `accounts`, if the operator's secret is long enough to make them of it.
    pub(super) fn new(operator: Credentials, accounts: Option<Arc<dyn Accounts>>) -> Self {
        let others = S3Keys::of_operator(&operator.secret_key).zip(accounts);
        Self { operator, others }
    }

    async fn signer(&self, access_key: &str) -> S3Result<Signer> {
        if access_key == self.operator.access_key {
            return Ok(Signer::Operator);
        }
        let Some((owner, (_, accounts))) = KeyOwner::parse(access_key).zip(self.others.as_ref())
        else {
            return Err(S3ErrorCode::InvalidAccessKeyId.into());
        };
        match caller(&**accounts, owner).await {
            Ok(Some(caller)) => Ok(Signer::Caller(Arc::new(caller))),
            Ok(None) => Err(S3Error::with_message(
                S3ErrorCode::InvalidAccessKeyId,
                "The key pair has expired or was revoked.",
            )),
            Err(error) => {
                tracing::warn!(operation = error.what, %error, "embedded S3: who signed a request is not known while the store is away; answering 503");
                let why = "Who signed the request cannot be looked up now; try again.";
                Err(S3Error::with_message(S3ErrorCode::ServiceUnavailable, why))
            }
        }
    }
}

/// The owner of a key pair as they are now; `None` when the pair is of no use any more.
async fn caller(accounts: &dyn Accounts, owner: KeyOwner) -> Result<Option<Caller>, PortError> {
    Ok(match owner {
        KeyOwner::Machine(id) => {
            let Some(token) = accounts.token_by_id(id).await? else { return Ok(None) };
            // A full disk shuts no machine out that only reads; its next use is noted.
            if let Err(error) = accounts.note_token_use(&token).await {
                tracing::debug!(%error, "the use of a token was not noted; its next use is");
            }
            let who = Who::Machine { id: token.id.0, name: token.name };
            Some(Caller { who, grants: token.grants })
        }
        KeyOwner::Person(id) => {
            let account = accounts.account(id).await?.filter(|account| !account.disabled);
            account.map(|account| Caller {
                who: Who::Person { id: account.id.0, name: account.name },
                grants: account.grants,
            })
        }
        KeyOwner::Local => (!accounts.any().await?).then(Caller::local),
    })
}

/// Refuses what is signed by Signature Version 2, which alone names no region: it covers neither the body nor all headers,
/// and `s3s` takes it in headers, URLs and forms.
pub(super) fn check_version(region: Option<&Region>, extensions: &Extensions) -> S3Result<()> {
    if region.is_some() || extensions.get::<AskedAgain>().is_some() {
        return Ok(());
    }
    let why = "Sign with AWS Signature Version 4 (AWS4-HMAC-SHA256); version 2 is not taken.";
    Err(S3Error::with_message(S3ErrorCode::AccessDenied, why))
}

/// Marks a request whose signature was checked, and taken off, before.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedAgain;

#[async_trait::async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.operator.access_key {
            return Ok(SecretKey::from(self.operator.secret_key.clone()));
        }
        match KeyOwner::parse(access_key).zip(self.others.as_ref()) {
            Some((owner, (keys, _))) => Ok(SecretKey::from(keys.pair(owner).secret_key)),
            None => Err(S3ErrorCode::InvalidAccessKeyId.into()),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Auth {
    /// Lets in whoever signed, and notes who it is. What they may do is checked by each operation.
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = request.credentials() else {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Signature is required"));
        };
        let access_key = credentials.access_key.clone();
        let signer = self.signer(&access_key).await?;
        let extensions = request.extensions_mut();
        if let Some(signed) = extensions.get::<Signed>() {
            signed.by(signer.clone());
        }
        extensions.insert(signer);
        Ok(())
    }
}
