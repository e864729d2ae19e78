//! `GET /v1/images` and `GET /v1/images/{id}`.

use actix_web::http::header::{self, ContentType, ETag, EntityTag, IfNoneMatch};
use actix_web::web::{Data, Header, Json, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use lobar_core::audit::Action;
use lobar_core::exposure::{Answer, Visible};
use lobar_core::failure::PortError;
use lobar_core::image::Image;
use lobar_core::object::ImageId;
use lobar_core::position::Position;
use lobar_core::store::Filter;
use lobar_core::verdict::Verdict;
use lobar_core::worklist::Urgency;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::image_query::{ListQuery, Start, filter, order, start};
use super::parameters::read_limit;
use crate::access::{Allowed, Need, need};
use crate::context::Context;
use crate::exposure::has_result;
use crate::item::ImageItem;
use crate::page_token::{self, UrgentPlace};
use crate::problem::{Kind, Problem};
use crate::readership::{ReadingBody, Standing};
use crate::record::entry;
use crate::response_cache::CachedResponse;
use crate::statement::STATEMENT_OF_USE;
use crate::stream::seen;
use crate::visible::{hidden, missing, unknown};

pub(super) const DEFAULT_LIMIT: usize = 50;
pub(super) const MAX_LIMIT: usize = 200;
/// One page, in the order that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImagePage {
    items: Vec<ImageItem>,
    /// Ask with `?after=` this for the next page; null on the last.
    next: Option<String>,
    /// How many images the filter matches in all.
    total: u64,
    /// Every change that this page may lack has an event after this position: follow
    /// `/v1/events?after=` it, and nothing is missed.
    last_event: i64,
    /// What results are for.
    #[schema(value_type = String)]
    statement_of_use: &'static str,
}

/// A page of images, newest first or the most urgent first. Filters and `total` go by what is stored: an image whose result cannot be read is
/// listed where that result put it, with the status `needs_human` and the reason `result_unreadable`.
#[utoipa::path(get, path = "/v1/images", tag = "images", params(ListQuery), responses(
    (status = 200, body = ImagePage),
    (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
    (status = 409, description = "`flagged`, from a caller whose own opinion is asked for before some results are shown.", content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    query: Query<ListQuery>,
) -> Result<Json<ImagePage>, Problem> {
    let filter = filter(&query, allowed.sites())?;
    if filter.flagged.is_some() && context.asks_first(allowed.caller()) {
        let detail = "Of some images your own opinion is asked for before their result is shown: lists cannot be filtered by it.";
        return Err(Problem::new(Kind::OwnOpinionFirst, detail));
    }
    let limit = read_limit(query.limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let order = order(&query)?;
    let by_flag = !context.asks_first(allowed.caller());
    let start = start(&query, order, by_flag, context.second_reader(&allowed))?;
    // Before the page is read, so that no change falls between the two.
    let last_event = context.hub.position().number();
    let mut seen = entry(&allowed, Action::Listed, None);
    let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
    let mut detail = json!({
        "sites": filter.sites.to_string(),
        "status": states,
        "flagged": filter.flagged,
        "patient": filter.patient.is_some(),
        "search": filter.search.is_some(),
        "batch": filter.batch.map(|batch| batch.to_string()),
        "order": order.as_str(),
        "further": query.after.is_some(),
    });
    // Hashed: a page of one patient is not that of another.
    let (after_key, patient) = (query.after.as_deref(), query.patient.as_deref());
    let which = format!("{detail} {after_key:?} {patient:?} {:?}", query.search.as_deref());
    let page = read(&context, filter, start, limit).await?;
    (detail["images"], detail["total"]) = (page.items.len().into(), page.total.into());
    seen.detail = detail;
    let ids: Vec<Uuid> = page.items.iter().map(|image| image.id.0).collect();
    context.recorder.note_list(seen, &which, &ids)?;
    Ok(Json(ImagePage {
        items: items(&context, &allowed, page.items).await?,
        next: page.next,
        total: page.total,
        last_event,
        statement_of_use: STATEMENT_OF_USE,
    }))
}

/// A page as it was read.
struct Read {
    items: Vec<Image>,
    next: Option<String>,
    total: u64,
}

async fn read(
    context: &Context,
    filter: Filter,
    start: Start,
    limit: usize,
) -> Result<Read, Problem> {
    match start {
        Start::Newest(after) => {
            let page = context
                .ask(move |store| async move { store.list(&filter, after, limit).await })
                .await?;
            let next = page.next.map(page_token::encode);
            Ok(Read { items: page.items, next, total: page.total })
        }
        Start::Urgent { after, by_flag, reader } => {
            let (now, cap) = (context.clock.now(), context.settings.reading_cap);
            let first = Urgency::at(now, cap, by_flag);
            let overdue_before = after.map_or(first.overdue_before, |after| after.overdue_before);
            let urgency = Urgency { overdue_before, ..first };
            let after = after.map(|after| after.place);
            let page = context.ask_port(&context.worklist, move |worklist| async move {
                worklist.to_read(&filter, &urgency, reader.as_deref(), after, limit).await
            });
            let page = page.await?;
            let token = |place| page_token::encode_urgent(UrgentPlace { overdue_before, place });
            Ok(Read { items: page.items, next: page.next.map(token), total: page.total })
        }
    }
}

/// Images as this caller may see them, in their order.
pub(super) async fn items(
    context: &Context,
    allowed: &Allowed<need::ReadImages>,
    images: Vec<Image>,
) -> Result<Vec<ImageItem>, Problem> {
    let with_result = images.iter().filter(|image| has_result(image));
    let drawn = with_result.map(|image| (image.id, image.object.site(), image.lane));
    let withheld = context.withheld(allowed, drawn).await;
    let mut whose = context.whose(images.iter().map(|image| image.id).collect()).await?;
    let standing = images.iter().map(|image| Standing {
        id: image.id,
        state: image.state,
        received_at: image.received_at,
        site: image.object.site().map(str::to_owned),
    });
    // It only adds to what is shown: a record that cannot be read must not keep a list from its readers.
    let reading = context.readership(standing.collect(), allowed.name()).await;
    let mut reading = reading.unwrap_or_default();
    let now = context.clock.now();
    let mut items = Vec::with_capacity(images.len());
    for image in images {
        let (id, received_at, item) = (image.id, image.received_at, ImageItem::from(image));
        let read = reading.remove(&id).map(|read| read.with_wait(received_at, now));
        let item = item.with_whose(whose.remove(&id)).with_reading(read);
        items.push(match withheld.get(&id) {
            Some(why) => item.withhold(*why),
            None => {
                if let Some(answer) = item.answer() {
                    context.sent.note(allowed, id, Visible::RESULT, || answer)?;
                }
                item
            }
        });
    }
    Ok(items)
}

/// One image. Its ETag names the body; a client that sends it back gets 304 while it is the same.
#[utoipa::path(get, path = "/v1/images/{id}", tag = "images",
    params(
        ("id" = Uuid, Path, description = "The image's id."),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of an answer before."),
        ("Last-Event-ID" = Option<u64>, Header, description = "The `id` of the last event that was seen: the answer is no older, whichever process gives it."),
    ),
    responses(
        (status = 200, body = ImageItem),
        (status = 304, description = "The same as before."),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
        (status = 410, description = "It was erased.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn one(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
    known: Option<Header<IfNoneMatch>>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let told = seen(&request, None)?.unwrap_or_default();
    let shared = Data::clone(&context);
    let answer = match context.run(async move { answer(&shared, id, told).await }).await?? {
        Some(answer) => {
            let read = reading(&context, &allowed, id, &answer).await;
            let shown = shown(&context, &allowed, id, answer).await?.with_reading(read);
            match context.whose(vec![id]).await {
                Ok(mut whose) => shown.with_whose(whose.remove(&id)),
                // A kept answer is worth more than none; its reader is told that nobody knows whose it is.
                Err(_) => shown.with_identity_unavailable(),
            }
        }
        None => {
            let none = missing(&context, &allowed, id).await?;
            let upload = context.accepted.get(id).filter(|_| !none.is_erased());
            let upload = upload.filter(|upload| allowed.at(Some(&upload.site))).ok_or(none)?;
            CachedResponse::of(&ImageItem::accepted(id, upload))
        }
    };
    let site = answer.told().and_then(|told| told.site);
    let mut seen = entry(&allowed, Action::Viewed, site.as_deref());
    seen.image = Some(id);
    context.recorder.note(seen)?;
    let tag = EntityTag::new_strong(answer.tag);
    // What cannot be read names no body.
    let same = known.is_some_and(|known| super::is_known(&known, &tag));
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // A browser keeps it for this person, and asks each time whether it is still the same.
    response.insert_header((header::CACHE_CONTROL, "private, no-cache")).insert_header(ETag(tag));
    Ok(if same {
        response.finish()
    } else {
        response.content_type(ContentType::json()).body(answer.body)
    })
}

/// Who has read an image. An answer without it is worth more than none.
async fn reading(
    context: &Context,
    allowed: &Allowed<need::ReadImages>,
    id: ImageId,
    answer: &CachedResponse,
) -> Option<ReadingBody> {
    let told = answer.told()?;
    let (state, received_at) = (told.state(), told.received_at()?);
    let standing = vec![Standing { id, state, received_at, site: told.site }];
    context.readership(standing, allowed.name()).await.ok()?.remove(&id)
}

/// What of an answer this caller may see.
async fn shown(
    context: &Context,
    allowed: &Allowed<need::ReadImages>,
    id: ImageId,
    answer: CachedResponse,
) -> Result<CachedResponse, Problem> {
    // What cannot be read is shown to nobody: it may tell of anything.
    let told = answer.told().ok_or_else(unknown)?;
    if !allowed.at(told.site.as_deref()) {
        return Err(hidden(context, allowed, id, told.site.as_deref()));
    }
    let answer = match context.keeps_verdicts_from(allowed, id, told.site.as_deref()).await {
        false => answer,
        true => {
            let own = own_verdicts(context, allowed, id).await;
            answer.with_own_verdicts(own.ok().as_deref()).ok_or_else(unknown)?
        }
    };
    let Some(result) = &told.result else { return Ok(answer) };
    let drawn = (id, told.site.as_deref(), told.lane());
    if let Some(why) = context.withheld(allowed, [drawn]).await.remove(&id) {
        return answer.withhold(why).ok_or_else(unknown);
    }
    context.sent.note(allowed, id, Visible::RESULT, || Answer::from(result))?;
    Ok(answer)
}

/// The caller's own verdicts on an image, oldest first.
pub(super) async fn own_verdicts<N: Need>(
    context: &Context,
    allowed: &Allowed<N>,
    id: ImageId,
) -> Result<Vec<Verdict>, Problem> {
    let given = context.ask_port(&context.verdicts, move |port| async move { port.of(id).await });
    let own = given.await?.into_iter();
    Ok(own.filter(|verdict| verdict.verdict.reader == allowed.name()).collect())
}

/// From the cache, or else from the store. A client that was `told` of an event that this process has not followed yet,
/// by another process, gets no answer from before it.
async fn answer(
    context: &Context,
    id: ImageId,
    told: Position,
) -> Result<Option<CachedResponse>, PortError> {
    // Before anything is read: what is read then knows of every event up to here.
    let position = context.hub.position();
    if told <= position
        && let Some(answer) = context.answers.kept(id, position).await
        // Another release may have kept what this one cannot read.
        && answer.told().is_some()
    {
        return Ok(Some(answer));
    }
    let Some(image) = context.store.image(id).await? else { return Ok(None) };
    let verdicts = context.verdicts.of(id).await?;
    let item = ImageItem::from(image.clone()).with_verdicts(image.finished_at, &verdicts);
    let answer = CachedResponse::of(&item);
    context.answers.keep(&image, position, &answer).await;
    Ok(Some(answer))
}
