//! Which associations are accepted, and with which presentation contexts (PS3.8, 9.3.2 and 9.3.3).

use std::collections::BTreeSet;

use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult as Lasting,
    AssociationRJServiceProviderASCEReason as AcseReason,
    AssociationRJServiceProviderPresentationReason as PresentationReason,
    AssociationRJServiceUserReason as UserReason, AssociationRJSource as Source, AssociationRQ,
    PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason as Result_, RequestorRoles, UserVariableItem,
};

use crate::tables::{
    APPLICATION_CONTEXT, COMMITMENT, IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION, STORAGE_CLASSES,
    TRANSFER_SYNTAXES, TransferSyntax, VERIFICATION, is_plain,
};
use crate::{AeTitle, Origin, Peer, Peers};

/// What associations are judged by.
pub(crate) struct Terms {
    /// Lobar's own title.
    pub(crate) title: AeTitle,
    /// Whether who calls another title is rejected.
    pub(crate) check_called: bool,
    /// Who may come.
    pub(crate) peers: Peers,
    /// Storage SOP classes beside those of the table.
    pub(crate) more_classes: Vec<String>,
    /// Longest P-DATA-TF, in bytes.
    pub(crate) pdu_bytes: u32,
}

/// What a presentation context is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Verification,
    Storage,
    Commitment,
}

/// An accepted presentation context.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) id: u8,
    pub(crate) service: Service,
    pub(crate) class: String,
    pub(crate) syntax: &'static TransferSyntax,
}

/// An association as it was agreed.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) peer: Peer,
    /// The title by which Lobar was called.
    pub(crate) called: AeTitle,
    pub(crate) contexts: Vec<Context>,
    /// Longest P-DATA-TF that the peer takes, in bytes.
    pub(crate) send_limit: usize,
    pub(crate) answer: AssociationAC,
}

/// Why an association is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// Another version of the protocol.
    Version,
    /// Another application context than DICOM's.
    ApplicationContext,
    /// Nobody on the list, or not from where, or with the certificate that, the list says.
    Caller,
    /// Another application entity is called.
    Called,
    /// There are as many associations as there may be.
    Full,
    /// Lobar stops.
    Stopping,
}

impl Rejection {
    /// A word for logs and the audit record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Version => "protocol version",
            Self::ApplicationContext => "application context",
            Self::Caller => "calling AE title, host or certificate",
            Self::Called => "called AE title",
            Self::Full => "too many associations",
            Self::Stopping => "stopping",
        }
    }

    /// The A-ASSOCIATE-RJ.
    pub(crate) fn pdu(self) -> AssociationRJ {
        let (result, source) = match self {
            Self::Version => (
                Lasting::Permanent,
                Source::ServiceProviderASCE(AcseReason::ProtocolVersionNotSupported),
            ),
            Self::ApplicationContext => (
                Lasting::Permanent,
                Source::ServiceUser(UserReason::ApplicationContextNameNotSupported),
            ),
            Self::Caller => {
                (Lasting::Permanent, Source::ServiceUser(UserReason::CallingAETitleNotRecognized))
            }
            Self::Called => {
                (Lasting::Permanent, Source::ServiceUser(UserReason::CalledAETitleNotRecognized))
            }
            Self::Full => (
                Lasting::Transient,
                Source::ServiceProviderPresentation(PresentationReason::LocalLimitExceeded),
            ),
            Self::Stopping => (
                Lasting::Transient,
                Source::ServiceProviderPresentation(PresentationReason::TemporaryCongestion),
            ),
        };
        AssociationRJ { result, source }
    }
}

/// Judges a request. `None` for one whose presentation contexts are none: it is aborted.
pub(crate) fn agree(
    request: &AssociationRQ,
    origin: Origin,
    terms: &Terms,
) -> Option<Result<Agreed, Rejection>> {
    if !has_valid_ids(&request.presentation_contexts) {
        return None;
    }
    Some(judge(request, origin, terms))
}

fn judge(request: &AssociationRQ, origin: Origin, terms: &Terms) -> Result<Agreed, Rejection> {
    // A bit for each version; only the first is tested (PS3.8, table 9-11).
    if request.protocol_version & 1 == 0 {
        return Err(Rejection::Version);
    }
    if request.application_context_name.trim_end_matches(['\0', ' ']) != APPLICATION_CONTEXT {
        return Err(Rejection::ApplicationContext);
    }
    let caller: AeTitle = request.calling_ae_title.parse().map_err(|_| Rejection::Caller)?;
    let peer = terms.peers.find(&caller, origin).ok_or(Rejection::Caller)?;
    let called: AeTitle = request.called_ae_title.parse().map_err(|_| Rejection::Called)?;
    if terms.check_called && called != terms.title {
        return Err(Rejection::Called);
    }
    let judged: Vec<(PresentationContextResult, Option<Context>)> =
        request.presentation_contexts.iter().map(|one| context(one, &peer, terms)).collect();
    let contexts: Vec<Context> = judged.iter().filter_map(|(_, it)| it.clone()).collect();
    let answer = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: APPLICATION_CONTEXT.into(),
        presentation_contexts: judged.into_iter().map(|(result, _)| result).collect(),
        user_variables: user_variables(request, terms, &contexts),
    };
    Ok(Agreed { peer, called, contexts, send_limit: send_limit(&request.user_variables), answer })
}

/// Odd, and each once (PS3.8, 9.3.2.2).
fn has_valid_ids(proposed: &[PresentationContextProposed]) -> bool {
    let ids: BTreeSet<u8> = proposed.iter().map(|one| one.id).collect();
    !proposed.is_empty() && ids.len() == proposed.len() && ids.iter().all(|id| id % 2 == 1)
}

fn context(
    proposed: &PresentationContextProposed,
    peer: &Peer,
    terms: &Terms,
) -> (PresentationContextResult, Option<Context>) {
    let trimmed = |uid: &str| uid.trim_end_matches(['\0', ' ']).to_owned();
    let class = trimmed(&proposed.abstract_syntax);
    let offered: Vec<String> = proposed.transfer_syntaxes.iter().map(|it| trimmed(it)).collect();
    let service = service(&class, terms);
    let syntax = TRANSFER_SYNTAXES.iter().find(|ours| {
        let fits = service == Some(Service::Storage) || is_plain(ours);
        fits && offered.iter().any(|theirs| theirs == ours.uid)
    });
    let (reason, accepted) = match (service, syntax) {
        (None, _) => (Result_::AbstractSyntaxNotSupported, None),
        (Some(Service::Storage | Service::Commitment), _) if !peer.may_store => {
            (Result_::UserRejection, None)
        }
        (_, None) => (Result_::TransferSyntaxesNotSupported, None),
        (Some(service), Some(syntax)) => {
            (Result_::Acceptance, Some(Context { id: proposed.id, service, class, syntax }))
        }
    };
    // Not significant where the context is not accepted, but it has to be there.
    let fallback = || offered.first().cloned().unwrap_or_else(|| TRANSFER_SYNTAXES[0].uid.into());
    let transfer_syntax = accepted.as_ref().map_or_else(fallback, |it| it.syntax.uid.into());
    (PresentationContextResult { id: proposed.id, reason, transfer_syntax }, accepted)
}

fn service(class: &str, terms: &Terms) -> Option<Service> {
    if class == VERIFICATION.uid {
        return Some(Service::Verification);
    }
    if class == COMMITMENT.uid {
        return Some(Service::Commitment);
    }
    let stored = STORAGE_CLASSES.iter().any(|one| one.uid == class)
        || terms.more_classes.iter().any(|one| one == class);
    stored.then_some(Service::Storage)
}

/// Asynchronous operations are not answered, so that there is one at a time (PS3.7, D.3.3.3).
fn user_variables(
    request: &AssociationRQ,
    terms: &Terms,
    contexts: &[Context],
) -> Vec<UserVariableItem> {
    let mut items = vec![
        UserVariableItem::MaxLength(terms.pdu_bytes),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS.into()),
    ];
    for item in &request.user_variables {
        let UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) = item else { continue };
        // They are the SCU of everything.
        if contexts.iter().any(|one| one.class == *class) {
            let agreed = RequestorRoles { scu: roles.scu, scp: false };
            items.push(UserVariableItem::ScuScpRoleSelectionSubItem(class.clone(), agreed));
        }
    }
    items.push(UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.into()));
    items
}

/// Longest P-DATA-TF that the other side takes, in bytes; 0 says that there is no limit (PS3.8, D.1).
pub(crate) fn send_limit(items: &[UserVariableItem]) -> usize {
    /// As most others have it.
    const UNLIMITED: u32 = 16 << 10;
    let given = items.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    match given {
        None | Some(0) => UNLIMITED as usize,
        // Less than a value of one byte takes is no length.
        Some(length) => length.clamp(7, UNLIMITED) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CR: &str = "1.2.840.10008.5.1.4.1.1.1";
    const IMPLICIT: &str = "1.2.840.10008.1.2";
    const EXPLICIT: &str = "1.2.840.10008.1.2.1";

    fn terms() -> Terms {
        Terms {
            title: "LOBAR".parse().expect("a title"),
            check_called: false,
            peers: "CR1=10.0.0.5 site=north; ECHO=10.0.0.6 site=north store=off"
                .parse()
                .expect("a list"),
            more_classes: vec!["1.2.3".into()],
            pdu_bytes: 4096,
        }
    }

    fn request(contexts: &[(&str, &[&str])]) -> AssociationRQ {
        let proposed = contexts.iter().zip((1_u8..).step_by(2)).map(|((class, syntaxes), id)| {
            PresentationContextProposed {
                id,
                abstract_syntax: (*class).into(),
                transfer_syntaxes: syntaxes.iter().map(|it| (*it).into()).collect(),
            }
        });
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CR1".into(),
            called_ae_title: "LOBAR".into(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: proposed.collect(),
            user_variables: vec![],
        }
    }

    fn judged(request: &AssociationRQ, from: &str, terms: &Terms) -> Result<Agreed, Rejection> {
        agree(request, origin(from), terms).expect("valid")
    }

    fn origin(from: &str) -> Origin {
        Origin { address: from.parse().expect("an address"), certificate: None }
    }

    #[test]
    fn each_context_is_answered_and_the_transfer_syntax_is_our_choice() {
        let request = request(&[
            (CR, &[IMPLICIT, "1.2.840.10008.1.2.4.50", EXPLICIT]),
            (CR, &["1.2.840.10008.1.2.4.50\0", "9.9"]),
            (CR, &["9.9"]),
            ("1.2.840.10008.1.1", &[IMPLICIT]),
            ("1.2.3", &[IMPLICIT]),
            ("1.2.4", &[IMPLICIT]),
            ("1.2.840.10008.1.20.1", &["1.2.840.10008.1.2.4.50"]),
        ]);
        let agreed = judged(&request, "10.0.0.5", &terms()).expect("accepted");
        let syntaxes: Vec<_> = agreed.contexts.iter().map(|one| (one.id, one.syntax.uid)).collect();
        let jpeg = "1.2.840.10008.1.2.4.50";
        assert_eq!(syntaxes, [(1, EXPLICIT), (3, jpeg), (7, IMPLICIT), (9, IMPLICIT)]);
        let reasons: Vec<_> = agreed
            .answer
            .presentation_contexts
            .iter()
            .map(|one| one.reason.clone() as u8)
            .collect();
        assert_eq!(reasons, [0, 0, 4, 0, 0, 3, 4]);
        assert_eq!(agreed.peer.site.as_str(), "north");
    }

    #[test]
    fn who_may_not_store_may_ask_whether_somebody_is_there() {
        let mut request = request(&[(CR, &[EXPLICIT]), ("1.2.840.10008.1.1", &[IMPLICIT])]);
        request.calling_ae_title = "ECHO".into();
        let agreed = judged(&request, "10.0.0.6", &terms()).expect("accepted");
        assert_eq!(agreed.contexts.iter().map(|one| one.id).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn who_is_rejected_is_told_why() {
        let good = request(&[(CR, &[EXPLICIT])]);
        let checked = Terms { check_called: true, ..terms() };
        let rejected = |change: fn(&mut AssociationRQ), from: &str| {
            let mut request = good.clone();
            change(&mut request);
            judged(&request, from, &checked).expect_err("rejected")
        };
        assert_eq!(rejected(|_| {}, "10.0.0.9"), Rejection::Caller);
        assert_eq!(rejected(|it| it.calling_ae_title = "X".into(), "10.0.0.5"), Rejection::Caller);
        assert_eq!(rejected(|it| it.calling_ae_title.clear(), "10.0.0.5"), Rejection::Caller);
        assert_eq!(rejected(|it| it.called_ae_title = "X".into(), "10.0.0.5"), Rejection::Called);
        assert_eq!(rejected(|it| it.protocol_version = 2, "10.0.0.5"), Rejection::Version);
        let other = |it: &mut AssociationRQ| it.application_context_name = "1.2".into();
        assert_eq!(rejected(other, "10.0.0.5"), Rejection::ApplicationContext);
        let mut later = good.clone();
        later.protocol_version = 3;
        assert!(judged(&later, "10.0.0.5", &checked).is_ok(), "it speaks the first version too");
    }

    #[test]
    fn no_more_is_sent_in_a_pdu_than_the_other_side_takes() {
        let limit = |length| send_limit(&[UserVariableItem::MaxLength(length)]);
        assert_eq!([0, 64, 100_000].map(limit), [16 << 10, 64, 16 << 10]);
        assert_eq!(send_limit(&[]), 16 << 10);
    }

    #[test]
    fn contexts_with_even_or_repeated_ids_are_no_request() {
        for ids in [[1, 1], [1, 2]] {
            let mut request = request(&[(CR, &[EXPLICIT]), (CR, &[EXPLICIT])]);
            request.presentation_contexts[0].id = ids[0];
            request.presentation_contexts[1].id = ids[1];
            assert!(agree(&request, origin("10.0.0.5"), &terms()).is_none());
        }
    }
}
