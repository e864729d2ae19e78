//! Taking a verdict back: lock, check, insert, mark and event in one transaction.

use lobar_core::image::State;
use lobar_core::time::Stamp;
use lobar_core::verdict::{Verdict, WithdrawError, Withdrawal};
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::worklist::mark;
use super::super::{Db, DbError, Driver, Sql};
use super::add::{Course, standing, tell};

/// Withdrawn, or refused.
type WithdrawResult = Result<Result<Verdict, WithdrawError>, DbError>;

pub(super) async fn withdraw<D: Driver>(db: &Db<D>, withdrawal: &Withdrawal) -> WithdrawResult {
    let mut tx = db.begin().await?;
    let Some((state, _)) = standing(&mut tx, withdrawal.image).await? else {
        return tx.commit().await.map(|()| Err(WithdrawError::Unknown));
    };
    let mut course = Course::of(db, &mut tx, withdrawal.image).await?;
    let (place, mut verdict) = match withdrawable(&course, withdrawal) {
        Ok(found) => found,
        // It commits only so that its connection can be used again.
        Err(refusal) => return tx.commit().await.map(|()| Err(refusal)),
    };
    if !verdict.counts() {
        return tx.commit().await.map(|()| Ok(verdict));
    }
    // A clock may be behind that of who gave it.
    let at = db.now().max(verdict.at);
    verdict.withdrawn_at = Some(at);
    course.verdicts[place].0 = verdict.clone();
    keep(&mut tx, withdrawal, at).await?;
    if !matches!(state, State::Superseded) {
        mark(&mut tx, withdrawal.image, course.read_at()).await?;
    }
    tell(&mut tx, withdrawal.image, state, at).await?;
    tx.commit().await?;
    Ok(Ok(verdict))
}

/// The verdict and its place, if this reader may take it back.
fn withdrawable(
    course: &Course,
    withdrawal: &Withdrawal,
) -> Result<(usize, Verdict), WithdrawError> {
    let verdicts = course.verdicts.iter().map(|(verdict, _)| verdict).enumerate();
    let mut own = verdicts.filter(|(_, verdict)| verdict.verdict.reader == withdrawal.reader);
    let found = own.find(|(_, verdict)| verdict.id == withdrawal.verdict);
    let (place, verdict) = found.ok_or(WithdrawError::Unknown)?;
    if own.any(|(_, later)| later.counts()) && verdict.counts() {
        return Err(WithdrawError::NotNewest);
    }
    Ok((place, verdict.clone()))
}

async fn keep<D: Driver>(
    tx: &mut Tx<D>,
    withdrawal: &Withdrawal,
    at: Stamp,
) -> Result<(), DbError> {
    let Withdrawal { image: _, verdict, reader, role } = withdrawal;
    Sql::<D>::new(
        "insert into verdict_withdrawal (verdict, reader, role, at) values ($1, $2, $3, $4)",
    )
    .bind::<Uuid>(*verdict)
    .bind(reader.as_str())
    .bind(role.as_str())
    .bind(at.0)
    .run(tx)
    .await
    .map(drop)
}
