//! `GET /v1/images/{id}/pixels`: the image as it was taken, for a viewer that windows it itself.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{ETag, EntityTag, IfNoneMatch};
use actix_web::web::{Data, Header, Path};
use futures::future::OptionFuture;
use lobar_core::audit::Action;
use lobar_core::object::ImageId;
use lobar_imaging::draw_full_depth;
use uuid::Uuid;

use super::is_known;
use super::picture::{fetched, known, not_drawn};
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::full_depth::PixelsBody;
use crate::picture::full_depth_rendering;
use crate::problem::{Kind, Problem};
use crate::rate::Client;
use crate::record::about;

/// The image at its full resolution and depth: a grey PNG of 8 or 16 bits whose samples grow with brightness, upright, after
/// the file's modality transform. Nothing is windowed: what a viewer needs for that, and to measure, is JSON in an
/// `iTXt` chunk with the keyword `Lobar` (`docs/viewer.md`).
#[utoipa::path(get, path = "/v1/images/{id}/pixels", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    responses(
        (status = 200, description = "The pixels. Their `ETag` names the rendering, for a verdict given on it.", content_type = "image/png"),
        (status = 304, description = "The client has them already: `If-None-Match`."),
        (status = 404, description = "Not known, removed, gone, or not an image.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn pixels(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
    had: Header<IfNoneMatch>,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let image = known(&context, &allowed, id, Kind::NoPicture).await?;
    let seen = about(&allowed, Action::PictureViewed, &image);
    let name = EntityTag::new_strong(full_depth_rendering(id));
    if is_known(&had, &name) {
        context.recorder.note(seen)?;
        return Ok(HttpResponse::NotModified().insert_header(ETag(name)).finish());
    }
    let context = context.into_inner();
    let client = Client::caller(&allowed.caller().who);
    // As for the picture: one's own turn first, and the work ends by itself.
    let turn = client.map(|client| context.drawing_shares.of(client).acquire_owned());
    let turn = OptionFuture::from(turn).await;
    let slot = context.drawing.clone().acquire_owned().await;
    let room = context.room.of(image.object.size).await;
    let own = Arc::clone(&context);
    let drawn = context.run(async move {
        let (bytes, _room) = fetched(&own, &image, room).await?;
        let limits = own.settings.limits;
        let drawing = move || draw_full_depth(&bytes, &limits, PixelsBody::note);
        let drawn = own.compute(move || drawing().map_err(not_drawn)).await??;
        Ok::<_, Problem>((drawn, (turn, slot)))
    });
    // How large it is shows when it is there: the place among what is drawn is held until there is room to send it.
    let (drawn, held) = drawn.await??;
    let reserved = context.sending.reserve(client, drawn.len()).await?;
    drop(held);
    context.recorder.note(seen)?;
    let mut response = HttpResponse::Ok();
    let mut response = response.content_type("image/png").insert_header(ETag(name)).body(drawn);
    response.extensions_mut().insert(reserved);
    Ok(response)
}
