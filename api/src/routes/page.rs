//! The web page: files that are part of the program.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use actix_web::http::header::{self, ETag, EntityTag, IfNoneMatch};
use actix_web::{HttpResponse, web};

use crate::access::Open;
use crate::access::route::Address;

/// Address, media type, content.
type File = (&'static str, &'static str, &'static str);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! web_file {
    ($address:literal, $kind:expr, $name:literal) => {
        ($address, $kind, include_str!(concat!("../../web/", $name)))
    };
}

const FILES: &[File] = &[
    web_file!("/", HTML, "index.html"),
    web_file!("/web/page.css", CSS, "page.css"),
    web_file!("/web/worklist.css", CSS, "worklist.css"),
    web_file!("/web/upload.css", CSS, "upload.css"),
    web_file!("/web/viewer.css", CSS, "viewer.css"),
    web_file!("/web/people.css", CSS, "people.css"),
    web_file!("/web/reading.css", CSS, "reading.css"),
    web_file!("/web/icon.svg", SVG, "icon.svg"),
    web_file!("/web/main.js", SCRIPT, "main.js"),
    web_file!("/web/account.js", SCRIPT, "account.js"),
    web_file!("/web/address.js", SCRIPT, "address.js"),
    web_file!("/web/api.js", SCRIPT, "api.js"),
    web_file!("/web/arrangement.js", SCRIPT, "arrangement.js"),
    web_file!("/web/audit.js", SCRIPT, "audit.js"),
    web_file!("/web/batch.js", SCRIPT, "batch.js"),
    web_file!("/web/batches.js", SCRIPT, "batches.js"),
    web_file!("/web/chain.js", SCRIPT, "chain.js"),
    web_file!("/web/columns.js", SCRIPT, "columns.js"),
    web_file!("/web/copy.js", SCRIPT, "copy.js"),
    web_file!("/web/course.js", SCRIPT, "course.js"),
    web_file!("/web/covered.js", SCRIPT, "covered.js"),
    web_file!("/web/door.js", SCRIPT, "door.js"),
    web_file!("/web/drop.js", SCRIPT, "drop.js"),
    web_file!("/web/early.js", SCRIPT, "early.js"),
    web_file!("/web/elements.js", SCRIPT, "elements.js"),
    web_file!("/web/erase.js", SCRIPT, "erase.js"),
    web_file!("/web/events.js", SCRIPT, "events.js"),
    web_file!("/web/exposure.js", SCRIPT, "exposure.js"),
    web_file!("/web/facts.js", SCRIPT, "facts.js"),
    web_file!("/web/film.js", SCRIPT, "film.js"),
    web_file!("/web/filters.js", SCRIPT, "filters.js"),
    web_file!("/web/forms.js", SCRIPT, "forms.js"),
    web_file!("/web/geometry.js", SCRIPT, "geometry.js"),
    web_file!("/web/gestures.js", SCRIPT, "gestures.js"),
    web_file!("/web/gpu.js", SCRIPT, "gpu.js"),
    web_file!("/web/grants.js", SCRIPT, "grants.js"),
    web_file!("/web/head.js", SCRIPT, "head.js"),
    web_file!("/web/kept.js", SCRIPT, "kept.js"),
    web_file!("/web/keyhelp.js", SCRIPT, "keyhelp.js"),
    web_file!("/web/keymap.js", SCRIPT, "keymap.js"),
    web_file!("/web/keys.js", SCRIPT, "keys.js"),
    web_file!("/web/link.js", SCRIPT, "link.js"),
    web_file!("/web/look.js", SCRIPT, "look.js"),
    web_file!("/web/loupe.js", SCRIPT, "loupe.js"),
    web_file!("/web/marks.js", SCRIPT, "marks.js"),
    web_file!("/web/measure.js", SCRIPT, "measure.js"),
    web_file!("/web/notify.js", SCRIPT, "notify.js"),
    web_file!("/web/once.js", SCRIPT, "once.js"),
    web_file!("/web/opinion.js", SCRIPT, "opinion.js"),
    web_file!("/web/options.js", SCRIPT, "options.js"),
    web_file!("/web/order.js", SCRIPT, "order.js"),
    web_file!("/web/pages.js", SCRIPT, "pages.js"),
    web_file!("/web/painter.js", SCRIPT, "painter.js"),
    web_file!("/web/patient.js", SCRIPT, "patient.js"),
    web_file!("/web/people.js", SCRIPT, "people.js"),
    web_file!("/web/pixels.js", SCRIPT, "pixels.js"),
    web_file!("/web/place.js", SCRIPT, "place.js"),
    web_file!("/web/pointer.js", SCRIPT, "pointer.js"),
    web_file!("/web/priors.js", SCRIPT, "priors.js"),
    web_file!("/web/processor.js", SCRIPT, "processor.js"),
    web_file!("/web/reading.js", SCRIPT, "reading.js"),
    web_file!("/web/request.js", SCRIPT, "request.js"),
    web_file!("/web/rows.js", SCRIPT, "rows.js"),
    web_file!("/web/said.js", SCRIPT, "said.js"),
    web_file!("/web/section.js", SCRIPT, "section.js"),
    web_file!("/web/sending.js", SCRIPT, "sending.js"),
    web_file!("/web/session.js", SCRIPT, "session.js"),
    web_file!("/web/signin.js", SCRIPT, "signin.js"),
    web_file!("/web/sites.js", SCRIPT, "sites.js"),
    web_file!("/web/stage.js", SCRIPT, "stage.js"),
    web_file!("/web/table.js", SCRIPT, "table.js"),
    web_file!("/web/thumbnails.js", SCRIPT, "thumbnails.js"),
    web_file!("/web/tokens.js", SCRIPT, "tokens.js"),
    web_file!("/web/tone.js", SCRIPT, "tone.js"),
    web_file!("/web/tools.js", SCRIPT, "tools.js"),
    web_file!("/web/undo.js", SCRIPT, "undo.js"),
    web_file!("/web/upload.js", SCRIPT, "upload.js"),
    web_file!("/web/verdicts.js", SCRIPT, "verdicts.js"),
    web_file!("/web/viewer.js", SCRIPT, "viewer.js"),
    web_file!("/web/words.js", SCRIPT, "words.js"),
    web_file!("/web/worklist.js", SCRIPT, "worklist.js"),
];

/// The files' addresses. Anybody may read them: signing in happens on the page.
pub(super) fn addresses() -> Vec<Address> {
    let files = FILES.iter().copied();
    files
        .map(|(address, kind, content)| {
            let mut hasher = DefaultHasher::new();
            content.hash(&mut hasher);
            let tag = EntityTag::new_strong(format!("{:016x}", hasher.finish()));
            Address::new(address).get(move |_: Open, known: web::Header<IfNoneMatch>| {
                let answer = answer(kind, content, &tag, &known);
                async move { answer }
            })
        })
        .collect()
}

/// Not personal: a browser may keep it, but asks each time whether it is still the same.
fn answer(kind: &str, content: &'static str, tag: &EntityTag, known: &IfNoneMatch) -> HttpResponse {
    let same = super::is_known(known, tag);
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, "no-cache")).insert_header(ETag(tag.clone()));
    if same { response.finish() } else { response.content_type(kind).body(content) }
}
