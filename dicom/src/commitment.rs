//! Storage Commitment, push model (PS3.4, annex J): a peer asks which of its instances are kept, and is told by a report.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use futures::{StreamExt as _, stream};
use lobar_core::access::SiteName;
use lobar_core::commitment::SopReference;
use lobar_core::failure::{PortError, chain};
use lobar_core::study::{Uid, instance_folder};

use crate::command::{Command, field};
use crate::data_set::{self, Asked, Unread};
use crate::metrics::CommitmentOutcome;
use crate::negotiation::Context;
use crate::server::Shared;
use crate::tables::{COMMITMENT, COMMITMENT_INSTANCE, Encoding, Status, TransferSyntax};

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
    entries: Vec<(SopReference, Found)>,
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

/// Looks for instances in the bucket, at the site of the peer.
pub(crate) async fn examine(
    shared: &Shared,
    site: &SiteName,
    transaction: Uid,
    references: Vec<SopReference>,
) -> Report {
    let look = async |one: SopReference| {
        let found = find(shared, site, &one).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = chain(&error),
                "an instance could not be looked for in the bucket; its storage is not confirmed"
            );
            Found::Unknown
        });
        (one, found)
    };
    let entries = stream::iter(references).map(look).buffered(AT_ONCE).collect().await;
    Report { transaction, entries }
}

async fn find(shared: &Shared, site: &SiteName, one: &SopReference) -> Result<Found, PortError> {
    let folder = instance_folder(site, &one.instance);
    let (mut found, mut after) = (Found::Missing, None);
    loop {
        // Never closed.
        let _turn = shared.listings.acquire().await;
        let page = shared.listing.versions(&folder, after).await?;
        for version in page.versions.iter().filter(|version| version.latest) {
            // The bucket may still have what is erased.
            if shared.erasures.tombstone(version.object.id()).await?.is_some() {
                continue;
            }
            let rest = version.object.key.strip_prefix(&folder);
            let class = rest.and_then(|rest| rest.split('/').next());
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
    /// Whether the bucket said of each whether it has it.
    pub(crate) fn is_known(&self) -> bool {
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
        let item = |one: &SopReference, reason: Option<u16>| {
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
            let one = |instance| SopReference { class: uid("1.2.3"), instance: uid(instance) };
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
