//! Answers on their way to their clients: cut into pieces, and bounded in bytes as long as they are not taken.
//!
//! The framework puts a piece of a body into a buffer as soon as the one before has left it, so a client that reads slowly
//! holds its answer and little more; whoever holds a place or a room for it holds that until then. A client that takes
//! nothing at all is cut off by the system: see `server`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::{Kind, Problem};
use crate::rate::{Client, Shares};

/// Bytes that are handed to the connection at once.
const PIECE: usize = 16 << 10;
/// How long an answer waits for room before its request is refused.
const PATIENCE: Duration = Duration::from_secs(3);

/// Room for answers that are made and not sent yet.
pub(crate) struct Sending {
    room: Arc<Semaphore>,
    limit: usize,
    shares: Shares<Client>,
}

/// A part of the room, until it is dropped.
pub(crate) struct Reserved {
    own: Option<OwnedSemaphorePermit>,
    room: OwnedSemaphorePermit,
}

impl Sending {
    /// Room for `limit` bytes, of which one client has half, and the largest answer in any case.
    pub(crate) fn new(limit: usize, largest: usize) -> Self {
        let limit = limit.max(largest).min(Semaphore::MAX_PERMITS);
        let shares = Shares::new((limit / 2).max(largest));
        Self { room: Arc::new(Semaphore::new(limit)), limit, shares }
    }

    /// Waits for room for an answer. A client's own share comes first, so that nobody stands in the common line for more
    /// than they may have.
    ///
    /// # Errors
    /// 503 when there is none in a few seconds.
    pub(crate) async fn reserve(
        &self,
        client: Option<Client>,
        bytes: usize,
    ) -> Result<Reserved, Problem> {
        // What is larger than all that one may have takes all of that.
        let most = client.map_or(self.limit, |_| self.shares.most());
        let permits = u32::try_from(bytes.min(most)).unwrap_or(u32::MAX);
        let taking = async {
            let own = match client {
                Some(client) => self.shares.of(client).acquire_many_owned(permits).await.map(Some),
                None => Ok(None),
            };
            let room = Arc::clone(&self.room).acquire_many_owned(permits).await;
            // Neither is ever closed.
            Some(Reserved { own: own.ok()?, room: room.ok()? })
        };
        timeout(PATIENCE, taking).await.ok().flatten().ok_or_else(|| {
            let detail = "Earlier answers have not been taken yet; read them, and ask again.";
            Problem::new(Kind::Busy, detail)
        })
    }
}

impl Reserved {
    /// Gives back what the answer did not need.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        for permit in self.own.as_mut().into_iter().chain([&mut self.room]) {
            drop(permit.split(permit.num_permits().saturating_sub(bytes)));
        }
    }
}

/// Keeps `held` until the body was taken by the connection, piece by piece, or is given up.
pub(crate) fn hold<T: Unpin + 'static>(
    response: ServiceResponse<BoxBody>,
    held: T,
) -> ServiceResponse<BoxBody> {
    response.map_body(|_, body| BoxBody::new(Pieces { body, rest: Bytes::new(), _held: held }))
}

struct Pieces<T> {
    body: BoxBody,
    /// What the body has given and the connection has not taken.
    rest: Bytes,
    _held: T,
}

impl<T: Unpin> MessageBody for Pieces<T> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        match self.body.size() {
            BodySize::Sized(bytes) => BodySize::Sized(bytes + self.rest.len() as u64),
            size => size,
        }
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_next(context)) {
                Some(Ok(bytes)) => this.rest = bytes,
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(this.rest.split_to(this.rest.len().min(PIECE)))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    #[actix_web::test]
    async fn a_body_is_whole_in_pieces_and_what_is_held_for_it_ends_with_it() {
        let held = Arc::new(());
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let response = HttpResponse::Ok().body(bytes.clone());
        let response = TestRequest::default().to_srv_response(response);
        let mut body = Box::pin(hold(response, Arc::clone(&held)).into_body());
        assert_eq!(body.size(), BodySize::Sized(100_000));
        let first = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await;
        assert!(first.expect("some").expect("whole") == bytes[..PIECE]);
        assert_eq!(Arc::strong_count(&held), 2);
        let rest = to_bytes(Pin::into_inner(body)).await.expect("whole");
        assert!(rest == bytes[PIECE..]);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn who_takes_nothing_holds_a_share_and_others_find_room() {
        let sending = Sending::new(100, 10);
        let [one, other] = [1, 2].map(|id| Some(Client::Caller(Uuid::from_u128(id))));
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(sending.reserve(one, 10).await.expect("room"));
        }
        assert!(sending.reserve(one, 10).now_or_never().is_none(), "it waits");
        assert!(sending.reserve(other, 50).await.is_ok());
        held[0].shrink(4);
        assert!(sending.reserve(one, 6).await.is_ok());
        // What is larger than all has all of its share.
        assert!(sending.reserve(other, 1_000).await.is_ok());
        drop(held);
        assert!(sending.reserve(None, 1_000).await.is_ok());
    }
}
