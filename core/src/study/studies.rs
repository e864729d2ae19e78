//! Port of patients and their studies: whose image each is, which came before, and what people change of it.
//!
//! What is known of an image is written by [`Store::complete`](crate::store::Store::complete), in the transaction of its
//! outcome. Patients are of one site: the same number elsewhere is somebody else's.
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - What is known of an image is kept with its outcome, also where it needs a human.
//! - An image of which nothing is known has no patient.
//! - An outcome that is refused says nothing of whose image it is.
//! - Images of one patient id at one site are one patient's, and those of another site or issuer another's.
//! - An image without a patient id, or of an unknown site, is a patient's of its own.
//! - What is said first of a patient stands, and what was missing is filled in.
//! - Another birth date, sex or family name under the same patient id is warned of, also where there is no result.
//! - Earlier images of the same patient come newest first, and those of the same study are not among them.
//! - Superseded and removed images are nobody's prior.
//! - The same instance with the same bytes is one image, and the later one is superseded.
//! - Of two with the same bytes the one that has a result stays.
//! - The same instance with other bytes is a new version, with a warning, and the older one is superseded.
//! - An older version that is finished late is superseded, and the newer one has the warning.
//! - A newer version without a result supersedes nothing, and has the warning.
//! - The bytes of an older version again are no new version.
//! - One instance uid of two patients or two studies supersedes nothing, and the later image is warned of.
//! - A derived uid that comes back as a stored one refuses nothing.
//! - When an image goes, what it superseded is queued again.
//! - The same instance again after the earlier one was removed is a new image.
//! - The same instance at another site is another image.
//! - Two workers that finish the same instance leave one image.
//! - A duplicate is not restored by a look into the bucket while its image is there.
//! - Merged patients are one, and late images of the old id come to the one that is left.
//! - A patient merged into an id that is not known takes it.
//! - Merging again changes nothing, and what was merged is merged into no third.
//! - Separated patients have the images of their own ids again.
//! - Separated patients have their own names again.
//! - A correction stands against what later images say, and what was before is kept.
//! - A moved study is another patient's, with what comes of it later.
//! - A study moved and moved back has its patient again.
//! - A study is not moved to an id that was merged into another.
//! - The instances of a study, of a series, or one, are found by their uids at the asked sites only.
//! - An image of which nothing is known is the one instance of a study of its own.
//! - Superseded and removed images are no instances.
//! - A search finds studies, series and instances at the asked sites only, the newest study first.
//! - A search matches single values, lists of uids, wildcards, ranges and numbers.
//! - Names are searched without case and accents, in each of their groups.
//! - A search by a merged id finds the patient that is left.
//! - A study has its counts and modalities, and one that has no instance left is not found.
//! - An image of which nothing is known is found as a study of its own, in the order of the others.
//! - Pages of a search have every result once.
//! - A corrected or moved study is found by what it is now.
//! - A list of images is narrowed to one patient, by their id and by one that was merged into it.
//! - A list of images is searched by a patient's id, an accession number or the beginning of a name.
//! - A change of patients is on record without a name.
//! - Images finished while their patients are merged are lost to neither.
//! - An erased image leaves nothing of its patient, and others keep theirs.
//! - A removed image, or one whose result is pruned, is nobody's.
//! - Images of a patient are found to be erased.
//! - Images of the same instance and patient are found to be erased.
//! - Text that no database would take does not lose a result.
//! - Everything survives closing and opening.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Attributes, Patient, PatientId, Results, Search, SearchError, Uid, Uids};
use crate::access::{SiteName, Sites};
use crate::audit::NewEntry;
use crate::failure::PortError;
use crate::image::Image;
use crate::object::ImageId;
use crate::time::Stamp;

/// The warning of an image whose instance came before with other bytes.
pub const ANOTHER_VERSION: &str = "new_version";
/// The warning of an image whose patient has another birth date, sex or family name by earlier images of the same id.
pub const ANOTHER_PERSON: &str = "patient_differs";
/// The warning of an image whose instance uid an earlier image of another patient or study has.
pub const UID_SHARED: &str = "instance_uid_shared";
/// What an image says that is superseded because its instance is there already.
pub const SAME_INSTANCE: &str = "The same instance with the same bytes was there already.";
/// What an image says that is superseded by a newer version of its instance.
pub const NEWER_VERSION: &str = "A newer version of the same instance took its place.";

/// Whose image it is, as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// What is known, after merges and corrections. UIDs are there: where the file has none, derived ones.
    pub attributes: Attributes,
    /// The patient's opaque id, as the audit record names them.
    pub patient: Uuid,
    /// The study's opaque id.
    pub study: Uuid,
    /// The patient as the object says it, without the age; it differs after a merge, a move or a correction, and where earlier
    /// images of the id say otherwise.
    pub given: Patient,
    /// Warnings, as codes; a result has them as well.
    pub warnings: Vec<String>,
    /// When it was made: the study's date and time, read as UTC, or else when it was received.
    pub made_at: Stamp,
    /// The image whose place it took, as a newer version of the same instance.
    pub replaces: Option<ImageId>,
}

/// What is asked for of a study.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID; all of the study where it is `None`.
    pub series: Option<Uid>,
    /// SOP Instance UID; all of the series, or of the study, where it is `None`.
    pub instance: Option<Uid>,
}

/// An image as an instance of a study.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The image.
    pub image: Image,
    /// Whose it is. UIDs are there always.
    pub identity: Identity,
}

impl Identity {
    /// Of an image of which nothing is known: the one instance of a study of its own, of a patient without a name.
    pub fn of_image(image: ImageId, received_at: Stamp) -> Self {
        let Uids { study, series, instance } = Uids::of_image(image);
        let mut attributes = Attributes::default();
        attributes.study.uid = Some(study);
        attributes.series.uid = Some(series);
        attributes.instance.uid = Some(instance);
        Self {
            attributes,
            patient: image.0,
            study: image.0,
            given: Patient::default(),
            warnings: Vec::new(),
            made_at: received_at,
            replaces: None,
        }
    }
}

/// What a person corrects of a patient; what is `None` stays.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Correction {
    /// Patient's Name.
    pub name: Option<String>,
    /// Patient's Birth Date, `YYYYMMDD`.
    pub birth_date: Option<String>,
    /// Patient's Sex: `M`, `F`, `O`.
    pub sex: Option<String>,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The opaque id of the patient who has the images now.
    pub patient: Uuid,
    /// The images that are shown as another's, or otherwise, by it, in the order of their ids; none where nothing changed.
    pub images: Vec<ImageId>,
}

/// Why a change of patients was refused.
#[derive(Debug, thiserror::Error)]
pub enum PatientError {
    /// There is no such patient, or nothing is known of the image.
    #[error("no such patient or image is known")]
    Unknown,
    /// The id was merged into another patient's.
    #[error("this patient id was merged into another's")]
    Merged,
    /// Both ids are the same.
    #[error("the two patient ids are the same")]
    Same,
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// See the module's documentation. Changes are recorded in their transaction: `by` says who, and is completed by what was
/// changed, in opaque ids.
#[async_trait]
pub trait Studies: Send + Sync {
    /// Whose these images are; those of which nothing is known are left out.
    async fn of(&self, images: &[ImageId]) -> Result<BTreeMap<ImageId, Identity>, PortError>;

    /// Up to `limit` earlier images of the same patient, of other studies than this image's, newest first.
    async fn priors(&self, image: ImageId, limit: usize) -> Result<Vec<Image>, PortError>;

    /// Up to `limit` instances there of images of these sites that are finished, by series number, instance number and image
    /// id. An image of which nothing is known is among them where it has a result or needs a human.
    async fn instances(
        &self,
        sites: &Sites,
        place: &Place,
        limit: usize,
    ) -> Result<Vec<Stored>, PortError>;

    /// Up to a limit of what matches, with what is known of it. Studies come newest first, by date and time, or else by when
    /// the first image of theirs was received; series and instances by number. Only what has an instance, as in
    /// [`Studies::instances`]. What arrives meanwhile stands before what was answered, mostly: a later page may repeat a
    /// result, and leaves none out.
    ///
    /// # Errors
    /// [`SearchError::TooLong`] when the conditions have so much read that it is given up, after seconds.
    async fn search(&self, search: &Search) -> Result<Results, SearchError>;

    /// `from` was `into` all along (HL7 A40): the images of both are `into`'s, and so are later ones of `from`'s id.
    async fn merge(
        &self,
        site: &SiteName,
        from: &PatientId,
        into: &PatientId,
        by: &NewEntry,
    ) -> Result<Changed, PatientError>;

    /// Takes a merge apart: `from` is a patient of their own again, with the studies all of whose images say so, and the
    /// other is called by what their own images say.
    async fn separate(
        &self,
        site: &SiteName,
        from: &PatientId,
        by: &NewEntry,
    ) -> Result<Changed, PatientError>;

    /// Corrects what is known of a patient (HL7 A08).
    async fn correct(
        &self,
        site: &SiteName,
        patient: &PatientId,
        correction: &Correction,
        by: &NewEntry,
    ) -> Result<Changed, PatientError>;

    /// The study of an image is another patient's, who need not be known yet. What comes of it later under the former
    /// patient's id goes there too.
    async fn move_study(
        &self,
        image: ImageId,
        to: &PatientId,
        by: &NewEntry,
    ) -> Result<Changed, PatientError>;
}

impl std::fmt::Debug for Correction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Correction(…)")
    }
}
