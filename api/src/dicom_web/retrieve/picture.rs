//! Pictures of studies, series, instances and frames (PS3.18, 10.4.1.1.3), and thumbnails (10.4.1.1.5): drawn as the page
//! draws them, or with the window, the size and the quality that the client asks for. Nothing of a result is in them.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures::stream;
use lobar_core::audit::Action;
use lobar_core::study::Stored;
use lobar_imaging::{Encoding, Extent, Format, View, draw_view, sniff};

use super::accept::{Range, ranges};
use super::frames::{FRAMES_MAX, numbers};
use super::multipart::{Part, multipart_of, stream_of};
use super::rendering::Rendering;
use super::{Granted, INSTANCES_MAX, found, not_acceptable, note, reading, worked_on};
use crate::context::Context;
use crate::dicom_web::address::Address;
use crate::problem::{Kind, Problem};
use crate::rate::Client;
use crate::routes::picture::not_drawn;
use crate::sending::Reserved;
use crate::visible::unknown;

/// The longer side of a thumbnail of which no size is asked for, pixels.
const THUMBNAIL_SIDE: u32 = 256;
/// Quality of a thumbnail.
const THUMBNAIL_QUALITY: u8 = 80;
/// Instances of a study or series of which a thumbnail is tried to be drawn.
const THUMBNAIL_TRIES: usize = 4;

/// A frame of an instance.
#[derive(Clone)]
struct Shown {
    stored: Arc<Stored>,
    /// From 0.
    frame: usize,
}

impl Shown {
    /// How many frames the instance says that it has.
    fn frames(stored: &Stored) -> usize {
        stored.identity.attributes.instance.frames.map_or(1, |frames| frames.max(1) as usize)
    }

    /// Where its picture is had by itself.
    fn location(&self, address: &Address) -> Option<String> {
        let attributes = &self.stored.identity.attributes;
        let (study, series) = (attributes.study.uid.as_ref()?, attributes.series.uid.as_ref()?);
        let place = address.instance(study, series, attributes.instance.uid.as_ref()?);
        Some(match Self::frames(&self.stored) {
            1 => format!("{place}/rendered"),
            _ => format!("{place}/frames/{}/rendered", self.frame + 1),
        })
    }

    /// Draws it.
    async fn drawn(
        self,
        context: &Arc<Context>,
        client: Option<Client>,
        view: Arc<View>,
    ) -> Result<Bytes, Problem> {
        let limits = context.settings.limits;
        let frame = self.frame;
        let is_only = frame == 0 && Self::frames(&self.stored) == 1;
        let drawn = worked_on(context, client, &self.stored, move |bytes| {
            let bytes = match is_only {
                true => bytes,
                false if sniff(&bytes) == Some(Format::Dicom) => {
                    reading::frame_of(&bytes, frame, &limits)?
                }
                false if frame == 0 => bytes,
                false => {
                    return Err(Problem::new(Kind::NoPicture, "It has no frame of this number."));
                }
            };
            draw_view(&bytes, &limits, &view).map_err(not_drawn)
        });
        drawn.await.map(Bytes::from)
    }
}

/// The media type, and whether it comes in parts; JPEG where both are taken alike (PS3.18, Table 8.7.4-1).
fn form(ranges: &[Range], several: bool, quality: u8) -> Option<(Encoding, bool)> {
    let fits = |range: &&Range| !several || range.multipart != Some(false);
    ranges.iter().filter(fits).find_map(|range| {
        let encodings = [Encoding::Jpeg(quality), Encoding::Png];
        let taken = encodings.into_iter().find(|it| range.takes(media_type(*it)))?;
        Some((taken, range.multipart.unwrap_or(several)))
    })
}

fn media_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Png => "image/png",
        Encoding::Jpeg(_) => "image/jpeg",
    }
}

/// The frames that an address names, 0 where it names none.
fn asked_frames(request: &HttpRequest) -> Result<Option<Vec<usize>>, Problem> {
    request.match_info().get("frames").map(numbers).transpose()
}

/// Every frame of the instances, or those that are named.
fn shown(found: Vec<Stored>, frames: Option<Vec<usize>>) -> Result<Vec<Shown>, Problem> {
    let mut shown = Vec::new();
    for stored in found {
        let stored = Arc::new(stored);
        let all = Shown::frames(&stored);
        if frames.is_none() && all > FRAMES_MAX {
            let detail =
                format!("An instance has more than {FRAMES_MAX} frames; ask for some of them.");
            return Err(Problem::new(Kind::BadParameter, detail));
        }
        let numbers = frames.clone().unwrap_or_else(|| (1..=all).collect());
        let frames = numbers.into_iter().map(|number| number - 1);
        shown.extend(frames.map(|frame| Shown { stored: Arc::clone(&stored), frame }));
    }
    if shown.len() > INSTANCES_MAX {
        let detail =
            format!("It has more than {INSTANCES_MAX} frames; ask for a series or an instance.");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    Ok(shown)
}

/// Room for the largest of the pictures on its way out.
async fn room(
    context: &Context,
    client: Option<Client>,
    shown: &[Shown],
    extent: &Extent,
) -> Result<Reserved, Problem> {
    let pixels = match extent {
        Extent::Whole => {
            let size = |shown: &Shown| {
                let instance = &shown.stored.identity.attributes.instance;
                let (rows, columns) = (instance.rows?, instance.columns?);
                Some(u64::from(rows).saturating_mul(columns.into()))
            };
            let most = context.settings.limits.max_pixels;
            let largest = shown.iter().map(|shown| size(shown).unwrap_or(most).min(most)).max();
            largest.unwrap_or_default()
        }
        Extent::Within(side) => u64::from(*side) * u64::from(*side),
        Extent::Viewport(it) => u64::from(it.width) * u64::from(it.height),
    };
    // Noise takes more than a byte a pixel in a JPEG of the best quality.
    let bytes = usize::try_from(pixels.saturating_mul(3) / 2).unwrap_or(usize::MAX);
    context.sending.reserve(client, bytes.saturating_add(64 << 10)).await
}

/// Says what of the query changed nothing (PS3.18, 8.3.5.1).
fn warn(response: &mut HttpResponse, ignored: &[&str]) {
    if !ignored.is_empty() {
        let text = format!("299 lobar \"Ignored: {}\"", ignored.join(", "));
        if let Ok(value) = header::HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

/// The pictures of an address.
pub(super) async fn rendered(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let rendering = Rendering::read(request.query_string(), false)?;
    let (ranges, frames) = (ranges(request), asked_frames(request)?);
    // Before it is looked for: what is of another site is not to be told by it.
    let refused = || not_acceptable("Pictures are image/jpeg or image/png, several in parts.");
    form(&ranges, false, rendering.quality).ok_or_else(refused)?;
    let found = found(allowed, context, request).await?;
    let given = found.clone();
    let mut shown = shown(found, frames)?;
    let several = shown.len() > 1;
    let (encoding, in_parts) = form(&ranges, several, rendering.quality).ok_or_else(refused)?;
    note(allowed, context, Action::PictureViewed, &given)?;
    let extent = rendering.viewport.map_or(Extent::Whole, Extent::Viewport);
    let view = Arc::new(View { voi: rendering.voi, extent, encoding });
    let (context, client) = (Arc::clone(context), Client::caller(&allowed.caller().who));
    let mut reserved = room(&context, client, &shown, &view.extent).await?;
    let mut response = if in_parts {
        let address = Address::of(request);
        let own = Arc::clone(&context);
        let part = move |shown: Shown| {
            let (context, view) = (Arc::clone(&own), Arc::clone(&view));
            let location = shown.location(&address);
            async move {
                match shown.drawn(&context, client, view).await {
                    Ok(bytes) => {
                        Ok(Part { media_type: media_type(encoding).into(), location, bytes })
                    }
                    // One that cannot be shown does not hide the others, and is not left out without a word.
                    Err(problem) if several && problem.is_of_this_picture() => {
                        let bytes = problem.document().to_string().into();
                        let media_type = "application/problem+json".into();
                        Ok(Part { media_type, location, bytes })
                    }
                    Err(problem) => Err(problem),
                }
            }
        };
        // The first is drawn before anything is answered: a problem is one then.
        let mut shown = shown.into_iter();
        let first = match shown.next() {
            Some(shown) => part(shown).await?,
            None => return Err(unknown()),
        };
        let rest = stream::unfold((shown, part), |(mut shown, part)| async move {
            let next = part(shown.next()?).await;
            Some((next, (shown, part)))
        });
        multipart_of(media_type(encoding), stream_of(first, rest))
    } else {
        let bytes = match shown.pop() {
            Some(shown) => shown.drawn(&context, client, view).await?,
            None => return Err(unknown()),
        };
        reserved.shrink(bytes.len());
        HttpResponse::Ok().content_type(media_type(encoding)).body(bytes)
    };
    warn(&mut response, &rendering.ignored);
    response.extensions_mut().insert(reserved);
    Ok(response)
}

/// A small picture that stands for what an address names: of a study or series, of its first instance that can be shown.
pub(super) async fn thumbnail(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let rendering = Rendering::read(request.query_string(), true)?;
    let (ranges, frames) = (ranges(request), asked_frames(request)?);
    let form = form(&ranges, false, THUMBNAIL_QUALITY);
    let (encoding, in_parts) =
        form.ok_or_else(|| not_acceptable("Thumbnails are image/jpeg or image/png."))?;
    let mut found = found(allowed, context, request).await?;
    found.sort_by_key(|stored| {
        let attributes = &stored.identity.attributes;
        let numbers = (attributes.series.number, attributes.instance.number);
        (numbers, stored.image.received_at, stored.image.id)
    });
    let extent = rendering.viewport.map_or(Extent::Within(THUMBNAIL_SIDE), Extent::Viewport);
    let view = Arc::new(View { voi: None, extent, encoding });
    let (context, client) = (Arc::clone(context), Client::caller(&allowed.caller().who));
    let mut reserved = room(&context, client, &[], &view.extent).await?;
    let frame = frames.and_then(|frames| frames.first().copied()).unwrap_or(1) - 1;
    let mut refused = unknown();
    for stored in found.into_iter().take(THUMBNAIL_TRIES) {
        let shown = Shown { stored: Arc::new(stored), frame };
        let (given, location) = (Arc::clone(&shown.stored), shown.location(&Address::of(request)));
        let bytes = match shown.drawn(&context, client, Arc::clone(&view)).await {
            Ok(bytes) => bytes,
            Err(problem) if problem.is_of_this_picture() => {
                refused = problem;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        note(allowed, &context, Action::PictureViewed, [given.as_ref()])?;
        reserved.shrink(bytes.len());
        let mut response = if in_parts {
            let part = Part { media_type: media_type(encoding).into(), location, bytes };
            multipart_of(media_type(encoding), stream::iter([Ok(part)]))
        } else {
            HttpResponse::Ok().content_type(media_type(encoding)).body(bytes)
        };
        response.extensions_mut().insert(reserved);
        return Ok(response);
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn formed(accept: &str, several: bool) -> Option<(Encoding, bool)> {
        let request = TestRequest::get().insert_header((header::ACCEPT, accept)).to_http_request();
        form(&ranges(&request), several, 90)
    }

    #[test]
    fn a_picture_is_a_jpeg_unless_png_is_asked_for_and_several_come_in_parts() {
        let jpeg = Encoding::Jpeg(90);
        assert_eq!(formed("*/*", false), Some((jpeg, false)));
        assert_eq!(formed("*/*", true), Some((jpeg, true)));
        assert_eq!(formed("text/html, image/avif, image/*;q=0.8", false), Some((jpeg, false)));
        assert_eq!(formed("image/png, image/jpeg;q=0.5", false), Some((Encoding::Png, false)));
        let parts = "multipart/related; type=\"image/png\"";
        assert_eq!(formed(parts, false), Some((Encoding::Png, true)));
        assert_eq!(formed(parts, true), Some((Encoding::Png, true)));
        assert_eq!(formed("image/jpeg", true), None);
        assert_eq!(formed("image/gif, application/dicom", false), None);
    }
}
