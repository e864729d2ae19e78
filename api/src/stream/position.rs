//! Where a client's stream begins.

use std::sync::Arc;

use lobar_core::event::Seq;
use lobar_core::failure::PortError;
use lobar_core::store::Store;

use crate::problem::{Kind, Problem};

/// Where a stream begins, and whether what the client knows joins it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The stream holds everything after this.
    pub(crate) after: Seq,
    /// The client must load its lists anew first.
    pub(crate) reset: bool,
}

/// The position a client asks for: `Last-Event-ID` goes before `?after=`, since a browser that
/// reconnects sends the first and keeps the second in its address.
pub(crate) fn asked(last: Option<&str>, after: Option<&str>) -> Result<Option<Seq>, Problem> {
    let last = last.filter(|text| !text.is_empty());
    let Some(text) = last.or(after) else { return Ok(None) };
    match text.parse() {
        Ok(number) if number >= 0 => Ok(Some(Seq(number))),
        _ => {
            let detail = "Last-Event-ID and `after` are event numbers: 0 or more.";
            Err(Problem::new(Kind::BadParameter, detail))
        }
    }
}

/// Where to begin for `asked`, when the follower has handed out up to `now`. A position before the
/// first kept event or after the last one gives a reset; what follows it is everything that is kept,
/// or nothing old.
pub(crate) async fn start(
    store: &Arc<dyn Store>,
    asked: Option<Seq>,
    now: Seq,
) -> Result<Start, PortError> {
    let joined = |after| Ok(Start { after, reset: false });
    let Some(asked) = asked else { return joined(now) };
    if asked == now {
        return joined(asked);
    }
    let before = Seq(asked.0.saturating_sub(1));
    let next = store.events(before, 1).await?.first().map(|event| event.seq);
    if next == Some(asked) {
        return joined(asked);
    }
    Ok(place(asked, now, next, store.first_event().await?))
}

/// As [`start`], of a position that is neither `now` nor an event that is kept: `next` is the first kept
/// event behind it, `first` the oldest that is kept.
pub(crate) fn place(asked: Seq, now: Seq, next: Option<Seq>, first: Option<Seq>) -> Start {
    let joined = Start { after: asked, reset: false };
    match first {
        // Nothing lies between the position and the first event, or inside what is kept there is
        // no event of that very number.
        Some(first) if next.is_some() && asked.0 >= first.0 - 1 => joined,
        Some(first) if asked < first => Start { after: Seq(first.0 - 1), reset: true },
        None if asked == Seq(0) => joined,
        _ => Start { after: now, reset: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_goes_before_the_address_and_garbage_is_refused() {
        assert_eq!(asked(Some("7"), Some("3")).expect("valid"), Some(Seq(7)));
        assert_eq!(asked(Some(""), Some("3")).expect("valid"), Some(Seq(3)));
        assert_eq!(asked(None, None).expect("valid"), None);
        for bad in ["-1", "x", "1.5", "99999999999999999999"] {
            assert!(asked(None, Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_largest_position_of_all_is_answered_with_a_reset() {
        let start = place(Seq(i64::MAX), Seq(9), None, Some(Seq(1)));
        assert_eq!(start, Start { after: Seq(9), reset: true });
    }
}
