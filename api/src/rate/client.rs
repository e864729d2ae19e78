//! Whose requests are counted together.

use std::net::IpAddr;

use actix_web::HttpMessage;
use lobar_core::access::Who;
use uuid::Uuid;

use super::network;
use crate::peer::Peer;

/// Who shares with others what there is of something: room for bodies, pictures, answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// A person or a machine, from wherever.
    Caller(Uuid),
    /// Whoever has not signed in, by their network.
    Address(IpAddr),
}

impl Client {
    /// Somebody who signed in. `None` for the local user: as long as there is one, nobody else can sign in.
    pub(crate) fn caller(who: &Who) -> Option<Self> {
        match who {
            Who::Local => None,
            who => Some(Self::Caller(who.id())),
        }
    }

    /// Whoever has not signed in.
    pub(crate) fn address(request: &impl HttpMessage) -> Option<Self> {
        let peer = Peer::of(request).filter(|peer| !peer.is_local())?;
        Some(Self::Address(network(peer.address)))
    }
}
