//! One image, as far as the caller may know of it.

use lobar_core::erasure::Tombstone;
use lobar_core::image::Image;
use lobar_core::object::ImageId;

use crate::access::{Allowed, Need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::record::refused;
use crate::timestamp::rfc3339;

/// The image, if it is of a site where the caller has the right `N`. Of another's image nobody learns more than of one
/// that is not known.
pub(crate) async fn visible<N: Need>(
    context: &Context,
    allowed: &Allowed<N>,
    id: ImageId,
) -> Result<Image, Problem> {
    let image = context.ask(move |store| async move { store.image(id).await }).await?;
    match image {
        Some(image) if allowed.at(image.object.site()) => Ok(image),
        Some(image) => Err(hidden(context, allowed, id, image.object.site())),
        None => Err(missing(context, allowed, id).await?),
    }
}

/// The image is of another site. That it was asked for is on record; the answer is as of one that is not known, whether or
/// not that could be recorded.
pub(crate) fn hidden<N: Need>(
    context: &Context,
    allowed: &Allowed<N>,
    id: ImageId,
    site: Option<&str>,
) -> Problem {
    if context.recorder.note_refused(refused(allowed, Some(id), site)).is_err() {
        tracing::warn!("a refusal was not recorded: the audit record cannot be written");
    }
    unknown()
}

/// Why there is no such image: whoever would see it were it there is told when it was erased.
pub(crate) async fn missing<N: Need>(
    context: &Context,
    allowed: &Allowed<N>,
    id: ImageId,
) -> Result<Problem, Problem> {
    let erasures = &context.erasure.erasures;
    let tombstone = context.ask_port(erasures, |port| async move { port.tombstone(id).await });
    let site = |tombstone: &Tombstone| tombstone.site.as_ref().map(|site| site.as_str().to_owned());
    Ok(match tombstone.await? {
        Some(tombstone) if allowed.at(site(&tombstone).as_deref()) => erased(&tombstone),
        _ => unknown(),
    })
}

fn erased(tombstone: &Tombstone) -> Problem {
    let problem = Problem::new(Kind::Erased, "Nothing of it is kept but that it was erased.");
    problem.with("erased_at", rfc3339(tombstone.asked_at))
}

const DETAIL: &str = "An upload to the bucket is known as soon as its notification has been read.";

/// There is no such image, or none that the caller may know of.
pub(crate) fn unknown() -> Problem {
    Problem::new(Kind::UnknownImage, DETAIL)
}
