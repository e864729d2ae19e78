//! Where a client's stream begins.

use std::sync::Arc;

use actix_web::HttpRequest;
use lobar_core::failure::PortError;
use lobar_core::position::Position;
use lobar_core::store::{Resumed, Store};

use crate::problem::{Kind, Problem};

/// Where a stream begins, and whether what the client knows joins it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The stream holds everything after this.
    pub(crate) after: Position,
    /// The client must load its lists anew first.
    pub(crate) reset: bool,
}

/// The position that a client says it has come to, in the header `Last-Event-ID` or as `after`.
pub(crate) fn seen(
    request: &HttpRequest,
    after: Option<&str>,
) -> Result<Option<Position>, Problem> {
    let last = request.headers().get("last-event-id");
    asked(last.map(|id| id.to_str().unwrap_or("not text")), after)
}

/// `Last-Event-ID` goes before `?after=`, since a browser that reconnects sends the first and keeps the second in its
/// address.
pub(crate) fn asked(last: Option<&str>, after: Option<&str>) -> Result<Option<Position>, Problem> {
    let last = last.filter(|text| !text.is_empty());
    let Some(text) = last.or(after) else { return Ok(None) };
    let detail = "Last-Event-ID and `after` are the `id` of an event, or 0.";
    let position = Position::parse(text).ok_or_else(|| Problem::new(Kind::BadParameter, detail));
    position.map(Some)
}

/// Where to begin for `asked`, when the follower has handed out up to `now`. A position whose next events were pruned
/// gives a reset and then everything that is kept; one that the log does not know, a reset and nothing old.
pub(crate) async fn start(
    store: &Arc<dyn Store>,
    asked: Option<Position>,
    now: Position,
) -> Result<Start, PortError> {
    let joined = |after| Ok(Start { after, reset: false });
    let Some(asked) = asked else { return joined(now) };
    if asked == now {
        return joined(asked);
    }
    match store.resume(asked, 0).await? {
        Resumed::Joined(_) => joined(asked),
        // Not after what the follower has handed out: that comes with its batch.
        Resumed::Pruned { after } | Resumed::Unknown { newest: after } => {
            Ok(Start { after: after.min(now), reset: true })
        }
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::event::Seq;

    use super::*;

    #[test]
    fn the_header_goes_before_the_address_and_garbage_is_refused() {
        let number = |number| Some(Position::unchecked(Seq(number)));
        assert_eq!(asked(Some("7"), Some("3")).expect("valid"), number(7));
        assert_eq!(asked(Some(""), Some("3")).expect("valid"), number(3));
        assert_eq!(asked(None, None).expect("valid"), None);
        for bad in ["-1", "x", "1.5", "99999999999999999999"] {
            assert!(asked(None, Some(bad)).is_err(), "{bad}");
        }
    }
}
