//! The addresses of the API, each method with its handler and its right.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::{self, Guard};
use actix_web::middleware::{Next, from_fn};
use actix_web::rt::spawn;
use actix_web::web::JsonConfig;
use actix_web::{
    Error, FromRequest, Handler, HttpMessage as _, HttpResponse, Resource, Responder,
    ResponseError as _, Route, web,
};
use lobar_core::access::{Right, Who};
use uuid::Uuid;

use super::allowed::Guarded;
use crate::context::Context;
use crate::intake;
use crate::problem::Problem;
use crate::rate::{Client, RateLimits, Slot, Standing, tell};
use crate::request::continued;
use crate::sending::{Reserved, hold};

/// Answers up to so many bytes are sent without room of their own: the connection's buffer takes them.
const SMALL: u64 = 32 << 10;

/// Where the browser comes back from another provider.
const OIDC_CALLBACK: &str = "/v1/oidc/callback";

/// One address. A handler whose arguments do not begin with a right does not compile here.
pub(crate) struct Address {
    path: &'static str,
    methods: Vec<(&'static str, Right)>,
    routes: Vec<Route>,
    json: Option<JsonConfig>,
}

impl Address {
    /// An address that takes no method yet.
    pub(crate) fn new(path: &'static str) -> Self {
        Self { path, methods: Vec::new(), routes: Vec::new(), json: None }
    }

    /// Reads JSON with other bounds than the others.
    pub(crate) fn json(mut self, config: JsonConfig) -> Self {
        self.json = Some(config);
        self
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
        let resource = match self.json {
            Some(json) => resource.app_data(json),
            None => resource,
        };
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
    let known = match context.recorder.ready() {
        Ok(()) => context.identity.check(&context, request.request()).await,
        Err(problem) => Err(problem),
    };
    let passed = known.and_then(|known| {
        let who = known.caller.who.clone();
        let counted = limit(&limits, &who, Args::RIGHT, request.path())?;
        let granted = match context.identity.grant(&context, known, Args::RIGHT) {
            // What is refused is counted though what is asked for has no rate.
            Err(problem) if counted.1.is_none() && who != Who::Local => {
                limits.check_caller(who.id())?;
                return Err(problem);
            }
            granted => granted?,
        };
        let client = Client::caller(&granted.caller.who);
        intake::belongs_to(request.request(), client);
        request.extensions_mut().insert(granted);
        Ok((counted, client))
    });
    let ((place, standing), client) = match passed {
        Ok(passed) => passed,
        Err(problem) => return Ok(request.into_response(problem.error_response())),
    };
    let is_safe = request.method().is_safe();
    let answer = next.call(request);
    let whole = async move { (answer.await, place) };
    let (answered, place) = if is_safe { whole.await } else { to_the_end(whole).await? };
    let mut response = answered?.map_into_boxed_body();
    if let Some(standing) = standing {
        tell(&mut response, standing);
    }
    let Some(place) = place else { return Ok(response) };
    // The place is held until the answer was taken. What was changed is answered whatever room there is.
    let reserved = response.response_mut().extensions_mut().remove::<Reserved>();
    let reserved = match (reserved, response.response().body().size()) {
        (None, BodySize::Sized(bytes)) if is_safe && bytes > SMALL => {
            match context
                .sending
                .reserve(client, usize::try_from(bytes).unwrap_or(usize::MAX))
                .await
            {
                Ok(reserved) => Some(reserved),
                Err(problem) => return Ok(response.into_response(problem.error_response())),
            }
        }
        (reserved, _) => reserved,
    };
    Ok(hold(response, (place, reserved)))
}

/// What anybody may call: signing in changes something too, also by the GET that comes back from another provider.
async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.method().is_safe() && request.path() != OIDC_CALLBACK {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    Ok(to_the_end(next.call(request)).await??.map_into_boxed_body())
}

/// What changes something is not given up half-way, between the change and its record, when the client hangs up.
async fn to_the_end<A: 'static>(work: impl Future<Output = A> + 'static) -> Result<A, Problem> {
    spawn(continued(work)).await.map_err(|error| Problem::internal("request", &error))
}

/// Counts a request of somebody who signed in. Thousands of uploads in a row are ordinary, and streams have a bound of
/// their own.
fn limit(
    limits: &RateLimits,
    who: &Who,
    right: Right,
    path: &str,
) -> Result<(Option<Slot<Uuid>>, Option<Standing>), Problem> {
    let caller = match who {
        Who::Local => return Ok((None, None)),
        who => who.id(),
    };
    let standing = match right {
        Right::Upload | Right::Predict => None,
        _ => Some(limits.check_caller(caller)?),
    };
    let place = match path {
        "/v1/events" => None,
        _ => Some(limits.enter_caller(caller)?),
    };
    Ok((place, standing))
}
