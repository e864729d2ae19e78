//! What whose image it is changes of outcomes: duplicates and versions of one instance.

use std::borrow::Cow;
use std::collections::BTreeSet;

use lobar_core::finding::Finding;
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use sqlx::types::Json;

use super::super::studies::{self, Displaced, Kept, Seen};
use super::super::tx::Tx;
use super::super::verdicts::standing;
use super::super::{DbError, Driver, Sql};
use super::changes::{Changes, Kind};
use super::work::Finished;

/// Keeps whose images these are, as far as it is known; ends those that are superseded by it.
pub(super) async fn keep<D: Driver>(
    tx: &mut Tx<D>,
    taken: &[Finished<'_>],
    now: Stamp,
    changes: &mut Changes,
) -> Result<Kept, DbError> {
    let seen: Vec<Seen<'_>> = taken
        .iter()
        .filter_map(|one| {
            let basis = &one.done.basis;
            Some(Seen {
                image: one.done.id,
                site: Some(one.kind.site.as_str()).filter(|site| !site.is_empty()),
                received_at: one.received_at,
                sha256: basis.input,
                attributes: basis.identity.as_deref()?,
            })
        })
        .collect();
    if seen.is_empty() {
        return Ok(Kept::default());
    }
    let kept = studies::keep(tx, &seen).await?;
    for (image, detail) in &kept.ends {
        end(tx, *image, detail).await?;
    }
    for Displaced { image, state, flag, lane, site, why } in &kept.displaced {
        Sql::<D>::new(
            "update image set state = 'superseded', fence = fence + 1, touched_at = $1,
               finished_at = coalesce(finished_at, $1), detail = $2
             where id = $3",
        )
        .bind(now.0)
        .bind(*why)
        .bind(image.0)
        .run(tx)
        .await?;
        let kind = Kind::new(site.clone(), lane.clone());
        changes.moved(*image, kind, (*state, flag), (State::Superseded, flag));
    }
    let finished: BTreeSet<ImageId> = seen.iter().map(|one| one.image).collect();
    for (image, warnings) in kept.warnings.iter().filter(|(image, _)| !finished.contains(image)) {
        warn(tx, *image, warnings, changes).await?;
    }
    Ok(kept)
}

/// Supersedes an image that was finished a moment ago, as if it had ended so.
async fn end<D: Driver>(tx: &mut Tx<D>, image: ImageId, detail: &str) -> Result<(), DbError> {
    Sql::<D>::new(
        "update image set state = 'superseded', flag = 'none', reason = null, detail = $1
         where id = $2",
    )
    .bind(detail)
    .bind(image.0)
    .run(tx)
    .await
    .map(drop)
}

/// Adds warnings to the finding of an image finished earlier, where it has one, and has its image told of.
async fn warn<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
    warnings: &BTreeSet<String>,
    changes: &mut Changes,
) -> Result<(), DbError> {
    let Some((state, finding)) = standing(tx, image).await? else { return Ok(()) };
    if let Some((_, finding)) = finding {
        let finding = warned(&finding, Some(warnings));
        let sql = Sql::<D>::new("update finding set body = $1 where image = $2");
        sql.bind(Json(finding.as_ref())).bind(image.0).run(tx).await?;
    }
    changes.retold(image, state);
    Ok(())
}

/// A finding with further warnings, each once.
pub(super) fn warned<'a>(
    finding: &'a Finding,
    warnings: Option<&BTreeSet<String>>,
) -> Cow<'a, Finding> {
    let mut finding = Cow::Borrowed(finding);
    for warning in warnings.into_iter().flatten() {
        if !finding.warnings.iter().any(|known| known == warning) {
            finding.to_mut().warnings.push(warning.clone());
        }
    }
    finding
}
