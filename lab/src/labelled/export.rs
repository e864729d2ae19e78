//! Brings a folder to what the labels say now.

use std::collections::BTreeMap;
use std::fmt;

use futures::stream::{self, StreamExt};
use lobar_console::noteln;
use lobar_core::failure::chain;
use lobar_core::finding::Label;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::verdict::{LabelKey, Verdicts};

use super::picture::{Decoded, NoPicture, decoded};
use super::{Folder, LabelPorts, Picture};
use crate::dataset::Class;
use crate::error::LabError;

/// Labels asked for at once, and pictures after which the manifest is written.
const PAGE: usize = 200;
/// Objects fetched and decoded at once.
pub(super) const AT_ONCE: usize = 4;

/// What an export did.
#[derive(Debug, Default)]
pub struct Exported {
    /// Pictures that are new.
    pub added: usize,
    /// Pictures that were there.
    pub kept: usize,
    /// Of those, pictures with another label than before.
    pub relabelled: usize,
    /// Pictures taken out: their images were removed, replaced, or found not assessable.
    pub dropped: usize,
    /// Pictures whose bytes are those of another one. They bear the same label, the newest.
    pub doubles: usize,
    /// Images whose labels are left out because they were given without the picture on the screen.
    pub unseen: u64,
    /// Images that cannot be read, with the reason.
    pub unreadable: Vec<(ImageId, String)>,
    /// Images whose objects could not be asked for, with the reason.
    pub away: Vec<(ImageId, String)>,
}

/// An image with its newest label.
pub(super) struct LabelledImage {
    pub(super) class: Class,
    /// Its place in the order of labels: later ones are newer.
    pub(super) order: usize,
    pub(super) object: ObjectVersion,
    /// Whether the network answered it.
    pub(super) has_result: bool,
}

/// Adds what is new, takes up labels that changed, and takes out what bears no label any more. What cannot be
/// read is counted and stops nothing else.
///
/// # Errors
/// When the labels cannot be asked for, or the folder cannot be written.
pub async fn export(source: &LabelPorts, folder: &mut Folder) -> Result<Exported, LabError> {
    let wanted = labels(&*source.verdicts).await?;
    let unseen = source.verdicts.unseen().await;
    let unseen = unseen.map_err(|error| LabError::failed(chain(&error)))?;
    let mut exported = Exported { unseen, ..Exported::default() };
    let gone: Vec<ImageId> =
        folder.pictures.keys().filter(|id| !wanted.contains_key(*id)).copied().collect();
    exported.dropped = gone.len();
    for id in gone {
        folder.remove(id)?;
    }
    folder.keep()?;
    exported.kept = folder.pictures.len();
    let known: Vec<ImageId> = folder.pictures.keys().copied().collect();
    fetch(source, folder, &wanted, &mut exported).await?;
    let classes = agreed(folder, &wanted);
    for (id, class) in &classes {
        if folder.pictures.get(id).is_some_and(|picture| picture.class != *class) {
            folder.relabel(*id, *class)?;
            exported.relabelled += usize::from(known.binary_search(id).is_ok());
        }
    }
    let contents = folder.pictures.values().map(|picture| picture.content.as_str());
    let different = contents.collect::<std::collections::BTreeSet<_>>().len();
    exported.doubles = folder.pictures.len() - different;
    folder.keep()?;
    Ok(exported)
}

/// Every labelled image.
pub(super) async fn labels(
    verdicts: &dyn Verdicts,
) -> Result<BTreeMap<ImageId, LabelledImage>, LabError> {
    let (mut wanted, mut after, mut order) = (BTreeMap::new(), None, 0);
    loop {
        let page = verdicts.labelled(after, PAGE).await;
        let page = page.map_err(|error| LabError::failed(chain(&error)))?;
        let Some(last) = page.last() else { return Ok(wanted) };
        after = Some(LabelKey { at: last.at, verdict: last.verdict });
        for one in page {
            let class = match one.label {
                Label::Normal => Class::Normal,
                Label::Pneumonia => Class::Pneumonia,
            };
            order += 1;
            let has_result = one.finding.is_some();
            wanted
                .insert(one.image, LabelledImage { class, order, object: one.object, has_result });
        }
    }
}

/// Fetches what the folder does not have.
async fn fetch(
    source: &LabelPorts,
    folder: &mut Folder,
    wanted: &BTreeMap<ImageId, LabelledImage>,
    exported: &mut Exported,
) -> Result<(), LabError> {
    let missing: Vec<(ImageId, &LabelledImage)> = wanted
        .iter()
        .filter(|(id, _)| !folder.pictures.contains_key(*id))
        .map(|(id, wanted)| (*id, wanted))
        .collect();
    let mut arriving = stream::iter(missing)
        .map(|(id, wanted)| async move {
            (id, wanted.class, decoded(&*source.objects, &wanted.object).await)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((id, class, picture)) = arriving.next().await {
        match picture {
            Ok(Decoded { png, content, size }) => {
                folder.add(id, Picture { class, content, size }, &png)?;
                exported.added += 1;
                if exported.added.is_multiple_of(PAGE) {
                    folder.keep()?;
                }
            }
            Err(NoPicture::Unreadable(why)) => exported.unreadable.push((id, why)),
            Err(NoPicture::Away(why)) => exported.away.push((id, why)),
        }
    }
    Ok(())
}

/// The label of every picture: its own, or that of a newer one with the same bytes.
fn agreed(folder: &Folder, wanted: &BTreeMap<ImageId, LabelledImage>) -> BTreeMap<ImageId, Class> {
    let mut newest: BTreeMap<&str, (usize, Class)> = BTreeMap::new();
    for (id, picture) in &folder.pictures {
        let Some(LabelledImage { class, order, .. }) = wanted.get(id) else { continue };
        let of_content = newest.entry(&picture.content).or_insert((*order, *class));
        if *order > of_content.0 {
            *of_content = (*order, *class);
        }
    }
    let class = |picture: &Picture| newest.get(picture.content.as_str()).map(|(_, class)| *class);
    let pictures = folder.pictures.iter();
    pictures.filter_map(|(id, picture)| Some((*id, class(picture)?))).collect()
}

impl Exported {
    /// Names on standard error what is missing, by image.
    pub fn name_unreadable(&self) {
        for (id, why) in self.unreadable.iter().chain(&self.away) {
            noteln!("lobar: image {id} is left out: {why}");
        }
    }

    /// A failure where the object store could not be asked: what is missing may be had another time.
    pub fn refuse_absence(&self) -> Result<(), LabError> {
        match self.away.len() {
            0 => Ok(()),
            count => Err(LabError::failed(format!(
                "{count} images could not be fetched; start the object store, or open the way to it, and \
                 give the command again"
            ))),
        }
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} labelled images: {} new, {} were there, {} of them with another label now; {} taken out",
            self.added + self.kept,
            self.added,
            self.kept,
            self.relabelled,
            self.dropped
        )?;
        if self.unseen > 0 {
            let unseen = self.unseen;
            write!(f, "; {unseen} left out, labelled without the picture on the screen")?;
        }
        if self.doubles > 0 {
            write!(f, "; {} have the very bytes of another one", self.doubles)?;
        }
        if !self.unreadable.is_empty() {
            write!(f, "; {} cannot be read", self.unreadable.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_images_with_the_same_bytes_the_newest_label_counts_for_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut folder = Folder::open(dir.path()).expect("opens");
        let id = |n: u128| ImageId(uuid::Uuid::from_u128(n));
        let object = ObjectVersion {
            bucket: String::new(),
            key: String::new(),
            version: None,
            etag: None,
            sequencer: None,
            size: None,
        };
        let mut wanted = BTreeMap::new();
        for (n, content, class, order) in [
            (1, "same", Class::Normal, 2),
            (2, "same", Class::Pneumonia, 1),
            (3, "other", Class::Pneumonia, 0),
        ] {
            let picture = Picture { class, content: content.to_owned(), size: (1, 1) };
            folder.add(id(n), picture, b"").expect("added");
            let image = LabelledImage { class, order, object: object.clone(), has_result: true };
            wanted.insert(id(n), image);
        }
        let classes = agreed(&folder, &wanted);
        let expected = [Class::Normal, Class::Normal, Class::Pneumonia];
        assert_eq!(classes.into_values().collect::<Vec<_>>(), expected);
    }
}
