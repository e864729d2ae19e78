//! Calling others: C-ECHO, and reports on storage commitment.

use std::sync::Arc;

use dicom_ul::pdu::{
    AssociationRQ, Pdu, PresentationContextProposed, PresentationContextResultReason,
    RequestorRoles, UserVariableItem,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::command::{Command, field};
use crate::message::{End, Messages};
use crate::negotiation::{Service, send_limit};
use crate::pdu::{self, Connection, Lengths, ReadError};
use crate::tables::{
    APPLICATION_CONTEXT, IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION, TRANSFER_SYNTAXES,
    TransferSyntax, VERIFICATION, is_plain,
};
use crate::tls::Tls;
use crate::{AeTitle, DicomTls, Limits, Peer};
use lobar_core::study::Uid;

/// Why another application entity did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It has no address in the list.
    #[error("it has no address")]
    NoAddress,
    /// There is no connection to it.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// It does not answer in time.
    #[error("no answer in time")]
    Silent,
    /// It closed the connection or aborted the association.
    #[error("it closed the connection")]
    Closed,
    /// It rejects the association.
    #[error("it rejects the association: {0}")]
    Rejected(String),
    /// It does not take what is asked of it.
    #[error("it does not accept {0}")]
    NotAccepted(&'static str),
    /// It answered with an error.
    #[error("it answers with status {0:04X}")]
    Status(u16),
    /// What it sends cannot be read.
    #[error("it does not keep to the standard: {0}")]
    Invalid(&'static str),
    /// It is to be called by TLS, and nothing says which authority to trust.
    #[error("it is to be called by TLS, and no authority is set: LOBAR_DICOM_TLS_CLIENT_CA")]
    NoAuthority,
    /// The TLS handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Tls(std::io::Error),
    /// Who asked may not come any more, or to another site.
    #[error("it is not on the list any more, or of another site")]
    NotListed,
    /// The bucket did not say what it has of what is to be reported.
    #[error("the bucket did not say of each instance whether it has it")]
    Unknown,
    /// The store cannot be asked.
    #[error("the store cannot be asked: {0}")]
    Store(String),
}

impl From<End> for CallError {
    fn from(end: End) -> Self {
        match end {
            End::Silent | End::Stopping => Self::Silent,
            End::Invalid(why, _) => Self::Invalid(why),
            End::Released | End::Aborted | End::Closed => Self::Closed,
        }
    }
}

/// Asks a peer whether it is there (C-ECHO, PS3.4, annex A); with the certificates `tls` where it is to be called by TLS.
///
/// # Errors
/// When it is not, or does not let Lobar ask.
pub async fn echo(
    peer: &Peer,
    own: &AeTitle,
    tls: Option<&DicomTls>,
    limits: &Limits,
) -> Result<(), CallError> {
    let limits = Arc::new(limits.clone());
    let tls = tls.filter(|_| peer.by_tls).map(|files| Tls::open(files.clone())).transpose();
    let tls = tls.map_err(|error| CallError::Tls(std::io::Error::other(error)))?;
    let wanted = Wanted { service: Service::Verification, uid: VERIFICATION.uid, as_scp: false };
    let (mut messages, _) = associate(peer, own, wanted, tls.as_ref(), &limits).await?;
    let command = Command {
        field: field::ECHO,
        class: Uid::parse(VERIFICATION.uid),
        message: 1,
        ..Command::default()
    };
    let answered = ask(&mut messages, &command, None, &limits).await;
    messages.release().await;
    answered
}

/// What an association is wanted for.
pub(crate) struct Wanted {
    pub(crate) service: Service,
    pub(crate) uid: &'static str,
    /// Whether Lobar is its SCP, although it asks for the association.
    pub(crate) as_scp: bool,
}

/// An association for one service, with the transfer syntax that the peer chose.
pub(crate) async fn associate(
    peer: &Peer,
    own: &AeTitle,
    wanted: Wanted,
    tls: Option<&Tls>,
    limits: &Arc<Limits>,
) -> Result<(Messages, &'static TransferSyntax), CallError> {
    let connecting = timeout(limits.calling, connect(peer, tls)).await;
    let mut stream = connecting.map_err(|_| CallError::Silent)??;
    let request = request(peer, own, &wanted, limits);
    let write = pdu::write(&mut *stream, &Pdu::AssociationRQ(request), limits.write).await;
    write.map_err(|_| CallError::Closed)?;
    let lengths = Lengths { associate: limits.request_bytes, data: 0 };
    let answer = match pdu::read(&mut *stream, lengths, limits.calling).await {
        Ok(Pdu::AssociationAC(answer)) => answer,
        Ok(Pdu::AssociationRJ(rejected)) => {
            return Err(CallError::Rejected(rejected.source.to_string()));
        }
        Ok(_) | Err(ReadError::Closed) => return Err(CallError::Closed),
        Err(ReadError::Silent) => return Err(CallError::Silent),
        Err(ReadError::Invalid { why, .. }) => return Err(CallError::Invalid(why)),
    };
    let limit = send_limit(&answer.user_variables);
    let messages = Messages::new(stream, vec![ID], Arc::clone(limits), limit);
    let accepted = answer
        .presentation_contexts
        .iter()
        .find(|one| one.id == ID && one.reason == PresentationContextResultReason::Acceptance);
    let syntax = accepted.and_then(|one| {
        let chosen = one.transfer_syntax.trim_end_matches(['\0', ' ']);
        TRANSFER_SYNTAXES.iter().find(|ours| is_plain(ours) && ours.uid == chosen)
    });
    let has_role = !wanted.as_scp || has_role(&answer.user_variables, wanted.uid);
    match syntax {
        Some(syntax) if has_role => Ok((messages, syntax)),
        _ => {
            messages.release().await;
            Err(CallError::NotAccepted(match wanted.service {
                Service::Commitment => "reports on storage commitment",
                Service::Verification | Service::Storage => "C-ECHO",
            }))
        }
    }
}

/// A connection to a peer's address, by TLS where its entry says so.
async fn connect(peer: &Peer, tls: Option<&Tls>) -> Result<Box<dyn Connection>, CallError> {
    let address = peer.address.as_ref().ok_or(CallError::NoAddress)?;
    let stream = TcpStream::connect(address.as_str()).await.map_err(CallError::Connect)?;
    let _ = stream.set_nodelay(true);
    if !peer.by_tls {
        return Ok(Box::new(stream));
    }
    let tls = tls.filter(|tls| tls.has_authority()).ok_or(CallError::NoAuthority)?;
    let stream = tls.connect(stream, address.host(), &peer.certificates).await;
    Ok(Box::new(stream.map_err(CallError::Tls)?))
}

/// Whether the other side lets Lobar be the SCP. Without an answer about roles it does not (PS3.7, D.3.3.4), but many that take
/// reports say nothing: only who refuses is believed.
fn has_role(items: &[UserVariableItem], uid: &str) -> bool {
    !items.iter().any(|item| match item {
        UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) => {
            class.trim_end_matches(['\0', ' ']) == uid && !roles.scp
        }
        _ => false,
    })
}

/// The one presentation context of such an association.
const ID: u8 = 1;

fn request(peer: &Peer, own: &AeTitle, wanted: &Wanted, limits: &Limits) -> AssociationRQ {
    let plain = TRANSFER_SYNTAXES.iter().filter(|one| is_plain(one));
    let mut user_variables = vec![
        UserVariableItem::MaxLength(limits.pdu_bytes),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS.into()),
    ];
    if wanted.as_scp {
        let roles = RequestorRoles { scu: false, scp: true };
        let item = UserVariableItem::ScuScpRoleSelectionSubItem(wanted.uid.into(), roles);
        user_variables.push(item);
    }
    user_variables.push(UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.into()));
    AssociationRQ {
        protocol_version: 1,
        calling_ae_title: own.to_string(),
        called_ae_title: peer.title.to_string(),
        application_context_name: APPLICATION_CONTEXT.into(),
        presentation_contexts: vec![PresentationContextProposed {
            id: ID,
            abstract_syntax: wanted.uid.into(),
            transfer_syntaxes: plain.map(|one| one.uid.into()).collect(),
        }],
        user_variables,
    }
}

/// Sends a request and waits for its answer.
pub(crate) async fn ask(
    messages: &mut Messages,
    command: &Command,
    data: Option<&[u8]>,
    limits: &Limits,
) -> Result<(), CallError> {
    messages.send(ID, command, data).await?;
    let never = CancellationToken::new();
    let answer = timeout(limits.calling, messages.command(&never)).await;
    let (_, answer) = answer.map_err(|_| CallError::Silent)??;
    match answer.status {
        _ if !answer.is_response() => Err(CallError::Invalid("a request instead of an answer")),
        Some(0) => Ok(()),
        Some(status) => Err(CallError::Status(status)),
        None => Err(CallError::Invalid("an answer without a status")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_not_sent_to_who_refuses_that_lobar_is_its_scp() {
        let answered = |scp| {
            let roles = RequestorRoles { scu: false, scp };
            let class = format!("{}\0", crate::tables::COMMITMENT.uid);
            vec![UserVariableItem::ScuScpRoleSelectionSubItem(class, roles)]
        };
        let has_role = |items: &[UserVariableItem]| has_role(items, crate::tables::COMMITMENT.uid);
        assert!(has_role(&answered(true)) && has_role(&[]));
        assert!(!has_role(&answered(false)));
    }
}
