//! The labelled images of one site, in memory: what a calibration to the site is fitted on.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use futures::stream::{self, StreamExt};
use lobar_console::noteln;
use lobar_core::access::SiteName;
use lobar_core::failure::chain;
use lobar_core::object::ImageId;
use lobar_core::study::{Identity, Studies};

use super::LabelPorts;
use super::export::{AT_ONCE, LabelledImage, labels};
use super::picture::{Fetched, NoPicture, fetched};
use crate::dataset::{Class, Sample, Split};
use crate::error::LabError;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct SiteImages {
    /// The images. A patient is named by their opaque id, or where nobody is known by the digest of the file.
    pub samples: Vec<Sample>,
    /// Labelled images of the site without a result: the model did not answer them, so no threshold was held against them.
    pub without_result: usize,
    /// Images that have the very bytes of another one, which stands for both with the newest label.
    pub doubles: usize,
    /// Images whose objects cannot be read, or asked for, with the reason.
    pub missing: Vec<(ImageId, String)>,
}

/// The images of `site` that doctors labelled and a model answered, by the rules of [`export`](super::export()).
///
/// # Errors
/// When labels or patients cannot be asked for, or the object store is away.
pub async fn of_site(
    source: &LabelPorts,
    studies: &dyn Studies,
    site: &SiteName,
) -> Result<SiteImages, LabError> {
    let mut images = SiteImages::default();
    let mut wanted = labels(&*source.verdicts).await?;
    wanted.retain(|_, image| image.object.site() == Some(site.as_str()));
    images.without_result = wanted.values().filter(|image| !image.has_result).count();
    wanted.retain(|_, image| image.has_result);
    let ids: Vec<ImageId> = wanted.keys().copied().collect();
    let whose = studies.of(&ids).await.map_err(|error| LabError::failed(chain(&error)))?;
    let mut arriving =
        stream::iter(&wanted)
            .map(|(id, image)| async move {
                (*id, image, fetched(&*source.objects, &image.object).await)
            })
            .buffered(AT_ONCE);
    let (mut newest, mut away) = (HashMap::new(), 0);
    while let Some((id, image, picture)) = arriving.next().await {
        match picture {
            Ok(picture) => {
                let order = image.order;
                let sample = sample(id, image, whose.get(&id), picture);
                images.keep(sample, order, &mut newest);
            }
            Err(NoPicture::Unreadable(why)) => images.missing.push((id, why)),
            Err(NoPicture::Away(why)) => {
                away += 1;
                images.missing.push((id, why));
            }
        }
    }
    match away {
        0 => Ok(images),
        count => {
            images.name_missing();
            Err(LabError::failed(format!(
                "{count} images could not be fetched; start the object store, or open the way to it, and give the command \
                 again"
            )))
        }
    }
}

fn sample(
    id: ImageId,
    image: &LabelledImage,
    whose: Option<&Identity>,
    picture: Fetched,
) -> Sample {
    Sample {
        name: id.to_string(),
        split: Split::Train,
        class: image.class,
        subtype: None,
        patient: whose.map_or_else(|| picture.sha256.clone(), |whose| whose.patient.to_string()),
        original_size: Some(picture.size),
        sha256: picture.sha256,
        pixels: picture.input.pixels().to_vec(),
    }
}

impl SiteImages {
    /// Adds an image, or its label to one of the same bytes where it is newer. `newest` has the place of each file and the order
    /// of its label.
    fn keep(&mut self, sample: Sample, order: usize, newest: &mut HashMap<String, (usize, usize)>) {
        match newest.get_mut(&sample.sha256) {
            None => {
                newest.insert(sample.sha256.clone(), (self.samples.len(), order));
                self.samples.push(sample);
            }
            Some((at, known)) => {
                self.doubles += 1;
                if order > *known {
                    *known = order;
                    self.samples[*at].class = sample.class;
                }
            }
        }
    }

    /// Names on standard error what is missing, by image.
    pub fn name_missing(&self) {
        for (id, why) in &self.missing {
            noteln!("lobar: image {id} is left out: {why}");
        }
    }
}

impl fmt::Display for SiteImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_class: BTreeMap<Class, usize> =
            self.samples.iter().fold(BTreeMap::new(), |mut of, it| {
                *of.entry(it.class).or_default() += 1;
                of
            });
        let of = |class| by_class.get(&class).copied().unwrap_or(0);
        write!(
            f,
            "{} images labelled pneumonia, {} labelled normal",
            of(Class::Pneumonia),
            of(Class::Normal)
        )?;
        for (count, what) in [
            (self.without_result, "have no result"),
            (self.doubles, "have the very bytes of another one"),
            (self.missing.len(), "cannot be read"),
        ] {
            if count > 0 {
                write!(f, "; {count} more {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_images_with_the_same_bytes_one_is_kept_with_the_newest_label() {
        let sample = |class, sha256: &str| Sample {
            name: String::new(),
            split: Split::Train,
            class,
            subtype: None,
            patient: sha256.to_owned(),
            original_size: None,
            sha256: sha256.to_owned(),
            pixels: Vec::new(),
        };
        let (mut images, mut newest) = (SiteImages::default(), HashMap::new());
        for (class, sha256, order) in [
            (Class::Normal, "same", 2),
            (Class::Pneumonia, "same", 7),
            (Class::Normal, "same", 1),
            (Class::Normal, "other", 3),
        ] {
            images.keep(sample(class, sha256), order, &mut newest);
        }
        let kept: Vec<_> = images.samples.iter().map(|it| (it.class, &*it.sha256)).collect();
        assert_eq!(kept, [(Class::Pneumonia, "same"), (Class::Normal, "other")]);
        assert_eq!(
            images.to_string(),
            "1 images labelled pneumonia, 1 labelled normal; 2 more have the very bytes of another one"
        );
    }
}
