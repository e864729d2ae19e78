//! Side effects of a store transaction: events to insert, counters to update (table `tally`), entries of the audit record.
//!
//! The counts (table `tally`) answer how many images there are of a kind without reading them. They are
//! moved by the transaction that moves the images, at its very end and in the turn of the events: one
//! transaction after the other, so that none is lost and no two wait for each other.

use std::collections::BTreeMap;

use lobar_core::audit::NewEntry;
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;

use super::super::tx::Tx;
use super::super::{BATCH, DbError, Driver, Sql, audit};

/// What images are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Kind {
    /// Empty without one.
    pub(super) site: String,
    pub(super) lane: String,
}

/// A state with what is known of the finding: `none`, `no`, `yes`.
pub(in super::super) type Standing<'a> = (State, &'a str);

/// One event to be.
struct Told {
    image: ImageId,
    state: State,
    /// Whether the state is as before.
    aside: bool,
    trace: Option<TraceContext>,
}

/// See the module's documentation.
#[derive(Default)]
pub(in super::super) struct Changes {
    events: Vec<Told>,
    counts: BTreeMap<(Kind, &'static str, String), i64>,
    entries: Vec<NewEntry>,
}

impl Changes {
    /// An image changed its state in a way that is not counted: between queued and analysing.
    pub(super) fn told(&mut self, id: ImageId, state: State) {
        self.events.push(Told { image: id, state, aside: false, trace: None });
    }

    /// An image is in the state that it was in, but what is shown of it changed.
    pub(in super::super) fn retold(&mut self, id: ImageId, state: State) {
        self.events.push(Told { image: id, state, aside: true, trace: None });
    }

    /// An image that is new.
    pub(super) fn came(&mut self, id: ImageId, kind: Kind, state: State) {
        self.told(id, state);
        self.count(kind, (state, "none"), 1);
    }

    /// An image changed its state.
    pub(in super::super) fn moved(
        &mut self,
        id: ImageId,
        kind: Kind,
        from: Standing<'_>,
        to: Standing<'_>,
    ) {
        self.told(id, to.0);
        self.count(kind.clone(), from, -1);
        self.count(kind, to, 1);
    }

    /// An image is counted no more.
    pub(super) fn went(&mut self, id: ImageId, kind: Kind, from: Standing<'_>) {
        self.told(id, State::Removed);
        self.count(kind, from, -1);
    }

    /// An image is counted elsewhere, and its state is as before.
    pub(super) fn recounted(&mut self, kind: Kind, from: Standing<'_>, to: Standing<'_>) {
        self.count(kind.clone(), from, -1);
        self.count(kind, to, 1);
    }

    /// Something for the audit record. It needs an event beside it, whose turn it is written in.
    pub(in super::super) fn recorded(&mut self, entry: NewEntry) {
        self.entries.push(entry);
    }

    /// What the event that was told of last continues.
    pub(super) fn traced(&mut self, trace: Option<TraceContext>) {
        if let Some(last) = self.events.last_mut() {
            last.trace = trace;
        }
    }

    fn count(&mut self, kind: Kind, (state, flag): Standing<'_>, images: i64) {
        *self.counts.entry((kind, stage(state), flag.to_owned())).or_default() += images;
    }

    /// Writes everything. It must be the last thing that a transaction does: others wait for their turn
    /// from here to its end.
    pub(in super::super) async fn record<D: Driver>(
        self,
        tx: &mut Tx<D>,
        at: Stamp,
    ) -> Result<(), DbError> {
        for batch in self.events.chunks(BATCH) {
            let mut sql =
                Sql::<D>::new("with fresh (image, state, at, verdict, trace) as (values ");
            sql.rows(batch.iter().map(|Told { image, state, aside, trace }| {
                let trace = trace.map(|trace| trace.to_string());
                (image.0, state.as_str(), at.0, i64::from(*aside), trace)
            }));
            sql.push(
                ") insert into event (image, state, at, verdict, trace)
                 select image, state, at, verdict, trace from fresh",
            );
            sql.push(D::EVENT_LOCK);
            sql.run(tx).await?;
        }
        let counts: Vec<_> = self.counts.iter().filter(|(_, images)| **images != 0).collect();
        for batch in counts.chunks(BATCH) {
            let mut sql =
                Sql::<D>::new("insert into tally (site, lane, stage, flag, images) values ");
            sql.rows(batch.iter().map(|((kind, stage, flag), images)| {
                (kind.site.as_str(), kind.lane.as_str(), *stage, flag.as_str(), **images)
            }));
            sql.push(
                " on conflict (site, stage, flag, lane)
                  do update set images = tally.images + excluded.images",
            );
            sql.run(tx).await?;
        }
        debug_assert!(self.entries.is_empty() || !self.events.is_empty(), "no turn to write in");
        audit::write(tx, at, &self.entries).await
    }
}

impl Kind {
    pub(in super::super) fn new(site: Option<String>, lane: String) -> Self {
        Self { site: site.unwrap_or_default(), lane }
    }
}

/// The word that images in a state are counted under.
pub(super) fn stage(state: State) -> &'static str {
    if state.is_terminal() { state.as_str() } else { "unfinished" }
}
