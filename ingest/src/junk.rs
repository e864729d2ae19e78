//! Which objects are put aside because they are no images: by their name, and then by their content, of which little is read
//! and only where the name asks for it.

use lobar_core::failure::PortError;
use lobar_core::junk::{JunkNames, LARGEST};
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{FetchError, ObjectStore};

/// Whether an object is no image by name and content. What cannot be read may be one.
///
/// # Errors
/// The bucket is away: ask again later.
pub(crate) async fn is_junk(
    names: &JunkNames,
    objects: &dyn ObjectStore,
    object: &ObjectVersion,
) -> Result<bool, PortError> {
    if !names.include(&object.key) || object.size.is_some_and(|size| size > LARGEST) {
        return Ok(false);
    }
    match objects.fetch(object, LARGEST).await {
        Ok(fetched) => Ok(names.match_file(&object.key, &fetched.bytes)),
        Err(FetchError::Port(error)) if error.is_transient() => Err(error),
        Err(_) => Ok(false),
    }
}
