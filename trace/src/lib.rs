//! Spans that continue one another where `tracing` alone cannot see it: across processes, and from one image
//! to the batch that it was part of.
//!
//! Roles use these functions instead of OpenTelemetry's own, so that they neither link it nor know whether
//! anybody listens. Without the feature `otel`, or while nothing is exported, [`context`] is `None` and the
//! others do nothing.

use std::ops::Deref;

use lobar_core::trace::TraceContext;
use tracing::Span;

/// A span that lasts until this is dropped, and not only until it was last entered: for work that is handed on
/// between tasks and threads.
#[derive(Debug)]
pub struct Ongoing(Span);

impl Ongoing {
    /// The span of work that goes on.
    pub fn new(span: Span) -> Self {
        Self(span)
    }
}

impl Deref for Ongoing {
    type Target = Span;

    fn deref(&self) -> &Span {
        &self.0
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        // Leaving a span sets its end.
        self.0.in_scope(|| ());
    }
}

/// Makes `span` a child of a span of another process or task. Call it before the span is entered and before
/// its [`context`] is asked for. Without a parent the span stays where `tracing` has put it.
pub fn continue_from(span: &Span, parent: Option<TraceContext>) {
    if let Some(parent) = parent {
        imp::set_parent(span, parent);
    }
}

/// Says that `span` is about the same work as a span that is not its parent: a batch and its images.
pub fn link(span: &Span, other: Option<TraceContext>) {
    if let Some(other) = other {
        imp::add_link(span, other);
    }
}

/// What another process or task needs to continue `span`; `None` where nobody records it.
pub fn context(span: &Span) -> Option<TraceContext> {
    imp::context(span)
}

/// The id of the trace that a span belongs to, in hexadecimal, as log lines have it; `None` where nothing is recorded.
pub fn trace_id(span: &Span) -> Option<String> {
    context(span).map(|context| format!("{:032x}", context.trace_id()))
}

/// Marks the work of `span` as failed. `why` must hold nothing personal.
pub fn failed(span: &Span, why: &'static str) {
    imp::failed(span, why);
}

#[cfg(feature = "otel")]
mod imp {
    use lobar_core::trace::TraceContext;
    use opentelemetry::Context;
    use opentelemetry::trace::{
        SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    };
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    pub(super) fn set_parent(span: &Span, parent: TraceContext) {
        let parent = Context::new().with_remote_span_context(remote(parent));
        // It fails where nothing is exported, or where this span is filtered out.
        let _ = span.set_parent(parent);
    }

    pub(super) fn add_link(span: &Span, other: TraceContext) {
        span.add_link(remote(other));
    }

    pub(super) fn context(span: &Span) -> Option<TraceContext> {
        let context = span.context();
        let here = context.span().span_context().clone();
        let trace_id = u128::from_be_bytes(here.trace_id().to_bytes());
        let span_id = u64::from_be_bytes(here.span_id().to_bytes());
        TraceContext::new(trace_id, span_id, here.trace_flags().to_u8())
    }

    pub(super) fn failed(span: &Span, why: &'static str) {
        span.set_status(Status::error(why));
    }

    fn remote(context: TraceContext) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(context.trace_id().to_be_bytes()),
            SpanId::from_bytes(context.span_id().to_be_bytes()),
            TraceFlags::new(context.flags()),
            true,
            TraceState::NONE,
        )
    }
}

#[cfg(not(feature = "otel"))]
mod imp {
    use lobar_core::trace::TraceContext;
    use tracing::Span;

    pub(super) fn set_parent(_: &Span, _: TraceContext) {}
    pub(super) fn add_link(_: &Span, _: TraceContext) {}
    pub(super) fn context(_: &Span) -> Option<TraceContext> {
        None
    }
    pub(super) fn failed(_: &Span, _: &'static str) {}
}
