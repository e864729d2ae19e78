//! The picture and the heatmap, as PNG.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{ETag, EntityTag};
use actix_web::web::{Bytes, Data, Path};
use futures::future::OptionFuture;
use lobar_core::audit::Action;
use lobar_core::exposure::{Answer, Visible};
use lobar_core::image::{Image, State};
use lobar_core::object::ImageId;
use lobar_core::object_store::FetchError;
use lobar_imaging::{DrawError, draw, heatmap_png};
use uuid::Uuid;

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::file_room::Room;
use crate::picture::rendering;
use crate::problem::{Kind, Problem};
use crate::rate::Client;
use crate::record::about;
use crate::settings::png_bytes;
use crate::visible::visible;

/// Side of the heatmap in pixels. It covers the whole picture, whatever the picture's shape: the
/// page stretches it.
const HEATMAP_SIDE: u32 = 448;

/// Longest side of a thumbnail, in pixels: twice as high as a row of the page, for screens of two pixels to a point.
const THUMBNAIL_SIDE: u32 = 96;

/// The image as people see it: upright, 8 bits, at most as large as a page needs.
#[utoipa::path(get, path = "/v1/images/{id}/picture", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    responses(
        (status = 200, description = "The picture. Its `ETag` names the rendering, for a verdict given on it.", content_type = "image/png"),
        (status = 404, description = "Not known, removed, gone, or not an image.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn picture(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let image = known(&context, &allowed, id, Kind::NoPicture).await?;
    let seen = about(&allowed, Action::PictureViewed, &image);
    // Given up when the client hangs up; once there is room, the work ends by itself and holds it.
    let context = context.into_inner();
    let client = Client::caller(&allowed.caller().who);
    let mut reserved = context.sending.reserve(client, context.settings.largest_picture()).await?;
    // One's own turn first: of many pictures that one asks for, two stand in the common line.
    let turn = client.map(|client| context.drawing_shares.of(client).acquire_owned());
    let turn = OptionFuture::from(turn).await;
    let slot = context.drawing.clone().acquire_owned().await;
    let side = context.settings.picture_side;
    let drawn = drawn(&context, image, side, (turn, slot)).await?;
    context.recorder.note(seen)?;
    reserved.shrink(drawn.len());
    let name = EntityTag::new_strong(rendering(id, side));
    let mut response = HttpResponse::Ok();
    let mut response = response.content_type("image/png").insert_header(ETag(name)).body(drawn);
    response.extensions_mut().insert(reserved);
    Ok(response)
}

/// The image as small as a list shows it. On record as listed, as its row is: too small to be read from.
#[utoipa::path(get, path = "/v1/images/{id}/thumbnail", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    responses(
        (status = 200, description = "The picture, its longer side 96 pixels at most. No verdict can be given on it.", content_type = "image/png"),
        (status = 404, description = "Not known, removed, gone, or not an image.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn thumbnail(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let image = known(&context, &allowed, ImageId(id.into_inner()), Kind::NoPicture).await?;
    let (id, seen) = (image.id, about(&allowed, Action::Listed, &image));
    let context = context.into_inner();
    let client = Client::caller(&allowed.caller().who);
    let mut reserved = context.sending.reserve(client, png_bytes(THUMBNAIL_SIDE)).await?;
    // Turns of their own: pictures that somebody waits for wait for no thumbnail.
    let turn = client.map(|client| context.thumbnail_shares.of(client).acquire_owned());
    let turn = OptionFuture::from(turn).await;
    let slot = context.thumbnails.clone().acquire_owned().await;
    let drawn = drawn(&context, image, THUMBNAIL_SIDE, (turn, slot)).await?;
    context.recorder.note_thumbnail(seen, id)?;
    reserved.shrink(drawn.len());
    let mut response = HttpResponse::Ok().content_type("image/png").body(drawn);
    response.extensions_mut().insert(reserved);
    Ok(response)
}

/// An image as PNG, its longer side at most `side` pixels. What is `held` is given back when the work has ended, also where
/// nobody waits for it any more.
async fn drawn(
    context: &Arc<Context>,
    image: Image,
    side: u32,
    held: impl Send + 'static,
) -> Result<Vec<u8>, Problem> {
    let room = context.room.of(image.object.size).await;
    let own = Arc::clone(context);
    let drawing = context.run(async move {
        let _held = held;
        let (bytes, _room) = fetched(&own, &image, room).await?;
        let limits = own.settings.limits;
        own.compute(move || draw(&bytes, &limits, side).map_err(not_drawn)).await?
    });
    drawing.await?
}

/// The file's bytes, in the room that was reserved for them, or for any file if it is larger than said.
pub(crate) async fn fetched(
    context: &Context,
    image: &Image,
    room: Room,
) -> Result<(Bytes, Room), Problem> {
    match context.objects.fetch(&image.object, room.bytes()).await {
        Err(FetchError::TooLarge { limit }) if limit < context.settings.limits.max_bytes as u64 => {
            drop(room);
            let room = context.room.of(None).await;
            let fetched = context.objects.fetch(&image.object, room.bytes()).await;
            Ok((fetched.map_err(not_fetched)?.bytes, room))
        }
        fetched => Ok((fetched.map_err(not_fetched)?.bytes, room)),
    }
}

pub(crate) fn not_drawn(error: DrawError) -> Problem {
    match error {
        DrawError::Refused(refused) => {
            Problem::new(Kind::NoPicture, refused.detail).with("reason", refused.reason.code())
        }
        DrawError::Render(error) => Problem::internal("picture", &error),
        DrawError::Outside => Problem::new(
            Kind::BadParameter,
            "Nothing of the picture lies in the region of `viewport`.",
        ),
    }
}

/// What influenced the score, as a layer over the whole picture. Not a lesion outline.
#[utoipa::path(get, path = "/v1/images/{id}/heatmap", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    responses(
        (status = 200, description = "A square layer with transparency, to be stretched over the picture.", content_type = "image/png"),
        (status = 404, description = "Not known, removed, or without a heatmap.", content_type = "application/problem+json"),
        (status = 409, description = "Withheld until the caller has given their own opinion.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn heatmap(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let image = known(&context, &allowed, ImageId(id.into_inner()), Kind::NoHeatmap).await?;
    if let Some(why) = context.withheld_of(&allowed, &image).await {
        return Err(why.problem());
    }
    let seen = about(&allowed, Action::HeatmapViewed, &image);
    let (id, answer) = (image.id, image.finding.as_ref().map(Answer::from));
    let grid = image.finding.and_then(|finding| finding.heatmap).ok_or_else(|| {
        Problem::new(Kind::NoHeatmap, "It was not assessed, or explanations were off.")
    })?;
    let drawing = move || heatmap_png(&grid, HEATMAP_SIDE, HEATMAP_SIDE);
    let drawn = context.compute(drawing).await?;
    let png = drawn.map_err(|error| Problem::internal("heatmap", &error))?;
    context.recorder.note(seen)?;
    if let Some(answer) = answer {
        context.sent.note(&allowed, id, Visible::HEATMAP, || answer)?;
    }
    Ok(HttpResponse::Ok().content_type("image/png").body(png))
}

/// The image, unless it was removed: of such a one, there is nothing (`none`) to see.
pub(crate) async fn known(
    context: &Context,
    allowed: &Allowed<need::ReadImages>,
    id: ImageId,
    none: Kind,
) -> Result<Image, Problem> {
    let image = visible(context, allowed, id).await?;
    if image.state == State::Removed {
        return Err(Problem::new(none, "It was removed."));
    }
    Ok(image)
}

pub(crate) fn not_fetched(error: FetchError) -> Problem {
    match error {
        FetchError::Port(error) => error.into(),
        other => Problem::new(Kind::NoPicture, format!("{other}.")),
    }
}
