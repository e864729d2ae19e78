//! The addresses of the API, each method with its handler and its right.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::{self, Guard};
use actix_web::middleware::{Next, from_fn};
use actix_web::rt::spawn;
use actix_web::{
    Error, FromRequest, Handler, HttpMessage as _, HttpResponse, Resource, Responder,
    ResponseError as _, Route, web,
};
use lobar_core::access::{Right, Who};
use uuid::Uuid;

use super::Granted;
use super::allowed::Guarded;
use crate::context::Context;
use crate::problem::Problem;
use crate::rate::{RateLimits, Slot};
use crate::request::continued;

/// Where the browser comes back from another provider.
const OIDC_CALLBACK: &str = "/v1/oidc/callback";

/// One address. A handler whose arguments do not begin with a right does not compile here.
pub(crate) struct Address {
    path: &'static str,
    methods: Vec<(&'static str, Right)>,
    routes: Vec<Route>,
}

impl Address {
    /// An address that takes no method yet.
    pub(crate) fn new(path: &'static str) -> Self {
        Self { path, methods: Vec::new(), routes: Vec::new() }
    }

    /// Takes GET, and HEAD with it.
    pub(crate) fn get<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        H::Output: Responder + 'static,
    {
        self.take("GET", web::route().guard(readable()), handler)
    }

    /// Takes POST.
    pub(crate) fn post<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        H::Output: Responder + 'static,
    {
        self.take("POST", web::post(), handler)
    }

    /// Takes PUT.
    pub(crate) fn put<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        H::Output: Responder + 'static,
    {
        self.take("PUT", web::put(), handler)
    }

    /// Takes DELETE.
    pub(crate) fn delete<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        H::Output: Responder + 'static,
    {
        self.take("DELETE", web::delete(), handler)
    }

    fn take<H, Args>(mut self, method: &'static str, route: Route, handler: H) -> Self
    where
        H: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        H::Output: Responder + 'static,
    {
        let route = route.to(handler);
        self.methods.push((method, Args::RIGHT));
        self.routes.push(match Args::RIGHT {
            Right::Open => route.wrap(from_fn(finish)),
            _ => route.wrap(from_fn(require::<Args>)),
        });
        self
    }

    /// Its path, as a pattern.
    pub(crate) fn path(&self) -> &'static str {
        self.path
    }

    /// The methods that it takes, with their rights.
    pub(crate) fn methods(&self) -> &[(&'static str, Right)] {
        &self.methods
    }

    /// What the server routes. Other methods get a problem that names the allowed ones.
    pub(crate) fn into_resource(self) -> Resource {
        let methods: Vec<_> = self.methods.iter().map(|(method, _)| *method).collect();
        let allow = methods.join(", ");
        let refuse = move || {
            let problem = Problem::wrong_method(&allow);
            async move { Err::<HttpResponse, _>(problem) }
        };
        let resource = web::resource(self.path).default_service(web::to(refuse));
        self.routes.into_iter().fold(resource, Resource::route)
    }
}

fn readable() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

/// Finds out who asks and whether they may, before anything else of the request is read.
async fn require<Args: Guarded + 'static>(
    context: web::Data<Context>,
    limits: web::Data<RateLimits>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let granted = match context.recorder.ready() {
        Ok(()) => context.identity.check(&context, request.request(), Args::RIGHT).await,
        Err(problem) => Err(problem),
    };
    let passed = granted.and_then(|granted| {
        let place = limit(&limits, &granted, request.path())?;
        request.extensions_mut().insert(granted);
        Ok(place)
    });
    match passed {
        Ok(place) if !request.method().is_safe() => to_the_end(request, next, place).await,
        Ok(_place) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(problem) => Ok(request.into_response(problem.error_response())),
    }
}

/// What anybody may call: signing in changes something too, also by the GET that comes back from another provider.
async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.method().is_safe() && request.path() != OIDC_CALLBACK {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    to_the_end(request, next, ()).await
}

/// What changes something is not given up half-way, between the change and its record, when the client hangs up. `held` is
/// let go of afterwards.
async fn to_the_end(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    held: impl Sized + 'static,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let answer = next.call(request);
    let whole = continued(async move {
        let _held = held;
        answer.await.map(ServiceResponse::map_into_boxed_body)
    });
    spawn(whole).await.map_err(|error| Problem::internal("request", &error))?
}

/// Counts a request of somebody who signed in. Thousands of uploads in a row are ordinary, and streams have a bound of
/// their own.
fn limit(
    limits: &RateLimits,
    granted: &Granted,
    path: &str,
) -> Result<Option<Slot<Uuid>>, Problem> {
    let caller = match &granted.caller.who {
        Who::Local => return Ok(None),
        who => who.id(),
    };
    if !matches!(granted.right, Right::Upload | Right::Predict) {
        limits.check_caller(caller)?;
    }
    Ok(match path {
        "/v1/events" => None,
        _ => Some(limits.enter_caller(caller)?),
    })
}
