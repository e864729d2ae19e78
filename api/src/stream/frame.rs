//! Events as the text of an event stream
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::fmt::Write as _;

use bytes::Bytes;
use lobar_core::event::Event;
use lobar_core::position::Position;
use lobar_core::time::Stamp;

use crate::timestamp::rfc3339;

/// A comment, so that both ends know that the connection lives.
pub(crate) const HEARTBEAT: Bytes = Bytes::from_static(b": heartbeat\n\n");
/// The first bytes of every stream: how long a client waits before it comes back, in ms.
pub(crate) const OPENING: &str = "retry: 2000\n: open\n\n";
/// The last bytes of every stream that the server ends.
pub(crate) const GOODBYE: Bytes =
    Bytes::from_static(b"event: goodbye\ndata: {\"why\":\"the server is stopping\"}\n\n");

/// One image's change of state.
pub(super) fn push_image(text: &mut String, event: &Event) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "id: {}\nevent: image\ndata: {{\"id\":\"{}\",\"status\":\"{}\"}}\n\n",
        event.position(),
        event.image,
        event.state
    );
}

/// Several changes in order.
pub(crate) fn images<'a>(events: impl IntoIterator<Item = &'a Event>) -> Bytes {
    let mut text = String::new();
    events.into_iter().for_each(|event| push_image(&mut text, event));
    text.into()
}

/// What the client knows does not join what follows: it must load its lists anew.
pub(crate) fn reset(after: Position) -> String {
    format!("id: {after}\nevent: reset\ndata: {{\"after\":{after}}}\n\n")
}

/// The store could not be read since `since`: silence means nothing now.
pub(crate) fn stale(since: Stamp) -> String {
    format!("event: stale\ndata: {{\"since\":\"{}\"}}\n\n", rfc3339(since))
}

#[cfg(test)]
mod tests {
    use lobar_core::access::SiteName;
    use lobar_core::event::Seq;
    use lobar_core::image::State;
    use lobar_core::object::ImageId;

    use super::*;

    #[test]
    fn an_event_is_framed_with_its_position_and_holds_id_and_status_only() {
        let event = Event {
            seq: Seq(7),
            image: ImageId(uuid::Uuid::from_u128(7)),
            site: SiteName::parse("north"),
            state: State::NeedsHuman,
            at: Stamp(0),
            verdict: false,
            trace: None,
        };
        let position = event.position();
        assert_eq!(position.seq(), Seq(7));
        assert_eq!(
            images([&event]),
            format!(
                "id: {position}\nevent: image\n\
                 data: {{\"id\":\"00000000-0000-0000-0000-000000000007\",\"status\":\"needs_human\"}}\n\n"
            )
        );
    }
}
