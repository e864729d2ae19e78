//! Storage Commitment, push model (PS3.4, annex J): a peer asks which of its instances are kept, and is told by a report.

use std::sync::Arc;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use futures::{StreamExt as _, stream};
use lobar_core::failure::{PortError, chain};
use lobar_core::study::{Uid, instance_folder};

use crate::command::{Command, field};
use crate::data_set::{self, Asked, Reference, Unread};
use crate::metrics::CommitmentOutcome;
use crate::negotiation::{Context, Service};
use crate::reports::Place;
use crate::scu;
use crate::server::Shared;
use crate::tables::{COMMITMENT, COMMITMENT_INSTANCE, Encoding, Status, TransferSyntax};
use crate::{AeTitle, Peer};

/// Request Storage Commitment (PS3.4, J.3.2).
const REQUEST: u16 = 1;
/// Storage Commitment Request Successful, and Complete - Failures Exist (PS3.4, J.3.3).
const ALL_KEPT: u16 = 1;
const FAILURES: u16 = 2;
/// Instances of a request that are looked for at once; [`Limits::listings`](crate::Limits::listings) bounds all of them.
const AT_ONCE: usize = 8;

/// What is known of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Kept,
    /// The bucket has none at the peer's site.
    Missing,
    /// What the bucket has is of another SOP class.
    OtherClass,
    /// The bucket did not say.
    Unknown,
}

impl Found {
    /// Failure Reason (0008,1197; PS3.3, C.14.1.1).
    fn failure(self) -> Option<u16> {
        match self {
            Self::Kept => None,
            Self::Missing => Some(0x0112),
            Self::OtherClass => Some(0x0119),
            Self::Unknown => Some(0x0110),
        }
    }
}

/// What a peer is told.
pub(crate) struct Report {
    transaction: Uid,
    entries: Vec<(Reference, Found)>,
}

/// Reads what a peer asks; the status is what it is answered at once if that cannot be.
pub(crate) fn read(
    shared: &Shared,
    context: &Context,
    command: &Command,
    data: Option<&[u8]>,
) -> Result<Asked, Status> {
    if command.class.as_ref().is_none_or(|class| class.as_str() != COMMITMENT.uid) {
        return Err(Status::WRONG_CLASS);
    }
    if command.instance.as_ref().is_none_or(|it| it.as_str() != COMMITMENT_INSTANCE) {
        return Err(Status::NO_SUCH_INSTANCE);
    }
    if command.kind != Some(REQUEST) {
        return Err(Status::NO_SUCH_ACTION);
    }
    let data = data.ok_or(Status::RESOURCE_LIMITATION)?;
    let most = shared.limits.commitment_instances;
    data_set::asked(data, context.syntax.encoding, most).map_err(|unread| match unread {
        Unread::Malformed => Status::INVALID_ARGUMENT,
        Unread::TooMany => Status::RESOURCE_LIMITATION,
    })
}

/// Looks for the instances in the bucket, at the site of the peer.
pub(crate) async fn examine(shared: &Shared, peer: &Peer, asked: Asked) -> Report {
    let entries = asked.references.into_iter().map(|one| (one, Found::Unknown)).collect();
    let mut report = Report { transaction: asked.transaction, entries };
    report.look(shared, peer).await;
    report
}

async fn find(shared: &Shared, peer: &Peer, one: &Reference) -> Result<Found, PortError> {
    let folder = instance_folder(&peer.site, &one.instance);
    let (mut found, mut after) = (Found::Missing, None);
    loop {
        // Never closed.
        let _turn = shared.listings.acquire().await;
        let page = shared.listing.versions(&folder, after).await?;
        let keys = page.versions.iter().filter(|version| version.latest);
        for key in keys.map(|version| version.object.key.as_str()) {
            let class = key.strip_prefix(&folder).and_then(|rest| rest.split('/').next());
            if class == Some(one.class.as_str()) {
                return Ok(Found::Kept);
            }
            found = Found::OtherClass;
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

impl Report {
    /// Looks for what is not known yet.
    async fn look(&mut self, shared: &Shared, peer: &Peer) {
        let unknown = self.entries.iter().enumerate().filter(|(_, it)| it.1 == Found::Unknown);
        let unknown: Vec<(usize, Reference)> = unknown.map(|(at, it)| (at, it.0.clone())).collect();
        let looked: Vec<(usize, Result<Found, PortError>)> = stream::iter(unknown)
            .map(async |(at, one)| (at, find(shared, peer, &one).await))
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (at, found) in looked {
            match found {
                Ok(found) => self.entries[at].1 = found,
                Err(error) => tracing::warn!(
                    error = chain(&error),
                    "an instance could not be looked for in the bucket; its storage is not confirmed"
                ),
            }
        }
    }

    fn is_known(&self) -> bool {
        self.entries.iter().all(|(_, found)| *found != Found::Unknown)
    }

    fn is_all_kept(&self) -> bool {
        self.entries.iter().all(|(_, found)| *found == Found::Kept)
    }

    /// As it is counted.
    pub(crate) fn outcome(&self) -> CommitmentOutcome {
        match self.is_all_kept() {
            true => CommitmentOutcome::Kept,
            false => CommitmentOutcome::Incomplete,
        }
    }

    /// The N-EVENT-REPORT.
    pub(crate) fn command(&self, message: u16) -> Command {
        Command {
            field: field::EVENT_REPORT,
            class: Uid::parse(COMMITMENT.uid),
            instance: Uid::parse(COMMITMENT_INSTANCE),
            message,
            has_data: true,
            status: None,
            kind: Some(if self.is_all_kept() { ALL_KEPT } else { FAILURES }),
        }
    }

    /// Its data set (PS3.4, table J.3-2).
    pub(crate) fn data(&self, syntax: &TransferSyntax) -> Option<Vec<u8>> {
        let item = |one: &Reference, reason: Option<u16>| {
            let mut elements = vec![
                uid_element(tags::REFERENCED_SOP_CLASS_UID, &one.class),
                uid_element(tags::REFERENCED_SOP_INSTANCE_UID, &one.instance),
            ];
            elements.extend(reason.map(|reason| {
                DataElement::new(tags::FAILURE_REASON, VR::US, PrimitiveValue::from(reason))
            }));
            InMemDicomObject::from_element_iter(elements)
        };
        let (mut kept, mut failed) = (Vec::new(), Vec::new());
        for (one, found) in &self.entries {
            let reason = found.failure();
            let list = if reason.is_none() { &mut kept } else { &mut failed };
            list.push(item(one, reason));
        }
        let mut elements = vec![uid_element(tags::TRANSACTION_UID, &self.transaction)];
        for (tag, items) in
            [(tags::FAILED_SOP_SEQUENCE, failed), (tags::REFERENCED_SOP_SEQUENCE, kept)]
        {
            if !items.is_empty() {
                elements.push(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
            }
        }
        let set = InMemDicomObject::from_element_iter(elements);
        let mut bytes = Vec::new();
        let written = match syntax.encoding {
            Encoding::Implicit => {
                set.write_dataset_with_ts(&mut bytes, &entries::IMPLICIT_VR_LITTLE_ENDIAN.erased())
            }
            _ => {
                set.write_dataset_with_ts(&mut bytes, &entries::EXPLICIT_VR_LITTLE_ENDIAN.erased())
            }
        };
        written.ok().map(|()| bytes)
    }
}

fn uid_element(tag: dicom_core::Tag, uid: &Uid) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::UI, PrimitiveValue::from(uid.as_str()))
}

/// Reports on an association of its own to the peer's address; tries again after pauses, and then gives up. Lobar calls by the
/// title by which it was called, since it is the one that the peer knows.
pub(crate) fn report_later(
    shared: Arc<Shared>,
    peer: Peer,
    called: AeTitle,
    asked: Asked,
    place: Place,
) {
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let stop = shared.stop.receiving.clone();
        let told = Box::pin(report(&shared, &peer, &called, asked));
        tokio::select! {
            () = told => {}
            () = place.is_replaced() => {}
            () = stop.cancelled() => {
                tracing::warn!(ae_title = peer.title.as_str(), "a report on storage commitment was not sent: Lobar stops; the peer has to ask again");
                shared.metrics.committed(CommitmentOutcome::Unreported);
            }
        }
    });
}

async fn report(shared: &Shared, peer: &Peer, called: &AeTitle, asked: Asked) {
    let mut report = examine(shared, peer, asked).await;
    let mut pauses = shared.limits.report_again.iter();
    let title = peer.title.as_str();
    loop {
        let pause = pauses.next();
        // What the bucket did not say is asked again, as long as there is time.
        if report.is_known() || pause.is_none() {
            let Err(error) = send(shared, peer, called, &report).await else {
                return shared.metrics.committed(report.outcome());
            };
            let again = pause.map_or(0.0, |pause| pause.as_secs_f64());
            match pause {
                Some(_) => {
                    tracing::info!(ae_title = title, %error, "a report on storage commitment was not taken; trying again in {again} s");
                }
                None => {
                    tracing::warn!(ae_title = title, %error, "a report on storage commitment was given up; the peer has to ask again");
                }
            }
        }
        let Some(pause) = pause else {
            return shared.metrics.committed(CommitmentOutcome::Unreported);
        };
        tokio::time::sleep(*pause).await;
        report.look(shared, peer).await;
    }
}

async fn send(
    shared: &Shared,
    peer: &Peer,
    called: &AeTitle,
    report: &Report,
) -> Result<(), scu::EchoError> {
    let wanted = scu::Wanted { service: Service::Commitment, uid: COMMITMENT.uid, as_scp: true };
    let (mut messages, syntax) = scu::associate(peer, called, wanted, &shared.limits).await?;
    let data = report.data(syntax);
    let sent = scu::ask(&mut messages, &report.command(1), data.as_deref(), &shared.limits).await;
    messages.release().await;
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::TRANSFER_SYNTAXES;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).expect("a UID")
    }

    #[test]
    fn a_report_is_read_as_a_request_is() {
        for syntax in TRANSFER_SYNTAXES.iter().filter(|it| crate::tables::is_plain(it)) {
            let one = |instance| Reference { class: uid("1.2.3"), instance: uid(instance) };
            let report = Report {
                transaction: uid("1.9"),
                entries: vec![
                    (one("1.5"), Found::Kept),
                    (one("1.7"), Found::Missing),
                    (one("1.6"), Found::Kept),
                ],
            };
            assert_eq!(report.command(1).kind, Some(FAILURES));
            let data = report.data(syntax).expect("written");
            let read = data_set::asked(&data, syntax.encoding, 2).expect("read");
            assert_eq!(read.transaction.as_str(), "1.9");
            assert_eq!(read.references, [one("1.5"), one("1.6")]);
            let more = data_set::asked(&data, syntax.encoding, 1).expect_err("refused");
            assert_eq!(more, Unread::TooMany);
            for end in 0..data.len() {
                assert!(data_set::asked(&data[..end], syntax.encoding, 2).is_err(), "{end}");
            }
        }
    }
}
