//! What a handler is given once its caller was found to have the route's right.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use lobar_core::access::{Caller, Right, Role, SiteName, Sites};
use lobar_core::accounts::SessionId;

use crate::problem::{Kind, Problem};

/// A right at the level of types.
pub(crate) trait Need: 'static {
    /// Which.
    const RIGHT: Right;
}

/// The rights that routes ask for.
pub(crate) mod need {
    use super::{Need, Right};

    macro_rules! needs {
        ($($name:ident),+) => {
            $(
                /// The right of the same name.
                #[derive(Clone, Copy, Debug)]
                pub(crate) struct $name;
                impl Need for $name {
                    const RIGHT: Right = Right::$name;
                }
            )+
        };
    }

    needs!(
        Own,
        ReadImages,
        GiveVerdicts,
        Upload,
        Predict,
        ManagePatients,
        EraseImages,
        ReadModels,
        ManageModels,
        ReadQueues,
        ManageQuarantine,
        ManagePeople,
        ReadAudit
    );
}

/// A caller who was found to have a right somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    /// Who asks.
    pub(crate) caller: Arc<Caller>,
    /// By which session; `None` for tokens and the local user.
    pub(crate) session: Option<SessionId>,
    /// Which right was asked for.
    pub(crate) right: Right,
    /// Where they have it.
    pub(crate) sites: Sites,
}

/// Proof that the caller has the right `N`, and where.
pub(crate) struct Allowed<N> {
    granted: Granted,
    need: PhantomData<N>,
}

impl<N: Need> Allowed<N> {
    /// Where the caller has the right.
    pub(crate) fn sites(&self) -> &Sites {
        &self.granted.sites
    }

    /// Whether the caller has it where this belongs; `None` is an unknown site.
    pub(crate) fn at(&self, site: Option<&str>) -> bool {
        self.granted.sites.include(site)
    }

    /// The one site of a caller who has the right at no other.
    pub(crate) fn only_site(&self) -> Option<&SiteName> {
        match &self.granted.sites {
            Sites::Only(sites) if sites.len() == 1 => sites.first(),
            _ => None,
        }
    }

    /// All that was found.
    pub(crate) fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Who asks.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.granted.caller
    }

    /// By which session.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.granted.session
    }

    /// What records call the caller.
    pub(crate) fn name(&self) -> &str {
        self.granted.caller.who.name()
    }

    /// A role that gives the right somewhere.
    pub(crate) fn any_role(&self) -> Option<Role> {
        let mut grants = self.granted.caller.grants.iter();
        grants.find(|grant| grant.role.allows(N::RIGHT)).map(|grant| grant.role)
    }

    /// The role that gives the right there.
    pub(crate) fn role(&self, site: Option<&str>) -> Option<Role> {
        self.granted.caller.grants.role_for(N::RIGHT, site)
    }
}

impl<N> Clone for Allowed<N> {
    fn clone(&self) -> Self {
        Self { granted: self.granted.clone(), need: PhantomData }
    }
}

impl<N: Need> FromRequest for Allowed<N> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let granted = request.extensions().get::<Granted>().cloned();
        // The route checked it, or it is not there: never let through what nobody checked.
        let granted = granted.filter(|granted| granted.right == N::RIGHT);
        ready(match granted {
            Some(granted) => Ok(Self { granted, need: PhantomData }),
            None => Err(Problem::new(Kind::NotAllowed, "Nobody checked this request.")),
        })
    }
}

/// Stands first in a handler that anybody may call: it shows nothing of an image or a person.
pub(crate) struct Open;

impl FromRequest for Open {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

/// Arguments of a handler that begin with a right.
pub(crate) trait Guarded {
    /// Which.
    const RIGHT: Right;
}

/// The first argument of a handler.
pub(crate) trait NamesRight {
    /// Which.
    const RIGHT: Right;
}

impl<N: Need> NamesRight for Allowed<N> {
    const RIGHT: Right = N::RIGHT;
}

impl NamesRight for Open {
    const RIGHT: Right = Right::Open;
}

macro_rules! guarded {
    ($($argument:ident)*) => {
        impl<First: NamesRight, $($argument),*> Guarded for (First, $($argument,)*) {
            const RIGHT: Right = First::RIGHT;
        }
    };
}

guarded!();
guarded!(A);
guarded!(A B);
guarded!(A B C);
guarded!(A B C D);
guarded!(A B C D E);
guarded!(A B C D E F);
