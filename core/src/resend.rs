//! Storing the bytes of an image that is dead once more: one that failed, or was removed or erased, while the bucket still has
//! its object. It becomes another version, and is assessed as a new image.
//!
//! Several receivers may be sent the same instance at once. Conditions on a put do not tell them apart, since what they put is
//! the same; so whoever does it holds the dead image in the store meanwhile.

use std::time::Duration;

use crate::object::ObjectVersion;
use crate::object_store::{FetchError, ObjectStore, Upload};
use crate::store::Store;

/// How long a receiver that ended may have held an image: longer than any put takes.
const LEASE: Duration = Duration::from_secs(150);

/// Stores `upload` under the key of `dead`, which is what the bucket has there. `None` where another receiver is at it, or was
/// first: then the bucket is to be looked at again.
///
/// # Errors
/// When the store or the bucket cannot be asked.
pub async fn store_again(
    store: &dyn Store,
    objects: &dyn ObjectStore,
    dead: &ObjectVersion,
    upload: Upload,
) -> Result<Option<ObjectVersion>, FetchError> {
    let id = dead.id();
    let Some(held) = store.hold_resend(id, LEASE).await? else { return Ok(None) };
    // Another one may have stored it between the caller's look and now.
    let stored = match objects.current(dead).await {
        Ok(Some(found)) if found.object.id() == id => objects.put(upload).await.map(Some),
        Ok(_) | Err(FetchError::Gone | FetchError::Missing) => Ok(None),
        Err(FetchError::Port(error)) => Err(error),
        Err(error) => {
            let _ = store.release_resend(id, held).await;
            return Err(error);
        }
    };
    // Where that fails, it lapses.
    let _ = store.release_resend(id, held).await;
    stored.map_err(FetchError::Port)
}
