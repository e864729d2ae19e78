//! One image, as far as the caller may know of it.

use lobar_core::image::Image;
use lobar_core::object::ImageId;

use crate::access::{Allowed, Need};
use crate::context::Context;
use crate::problem::{Kind, Problem};

/// The image, if it is of a site where the caller has the right `N`. Of another's image nobody learns more than of one
/// that is not known.
pub(crate) async fn visible<N: Need>(
    context: &Context,
    allowed: &Allowed<N>,
    id: ImageId,
) -> Result<Image, Problem> {
    let image = context.ask(move |store| async move { store.image(id).await }).await?;
    image.filter(|image| allowed.at(image.object.site())).ok_or_else(unknown)
}

const DETAIL: &str = "An upload to the bucket is known as soon as its notification has been read.";

/// There is no such image, or none that the caller may know of.
pub(crate) fn unknown() -> Problem {
    Problem::new(Kind::UnknownImage, DETAIL)
}
