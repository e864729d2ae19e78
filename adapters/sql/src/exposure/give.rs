//! Giving a first opinion: lock, look, insert in one transaction.

use lobar_core::exposure::{Answer, FirstOpinion, NewOpinion, OpinionError};
use uuid::Uuid;

use super::super::verdicts::standing;
use super::super::{Db, DbError, Driver, Sql};

/// Given, refused, or not known.
type GiveResult = Result<Result<FirstOpinion, OpinionError>, DbError>;

pub(super) async fn give<D: Driver>(db: &Db<D>, new: &NewOpinion) -> GiveResult {
    let mut tx = db.begin().await?;
    // Held to the end of the transaction, so that a reader gives one once.
    let judged = match standing(&mut tx, new.image).await? {
        None => Err(OpinionError::Unknown),
        Some((_, None)) => Err(OpinionError::NoResult),
        Some((_, Some((_, finding)))) => Ok(finding),
    };
    let before = Sql::<D>::new("select id from first_opinion where image = $1 and reader = $2");
    let before: Option<(Uuid,)> =
        before.bind(new.image.0).bind(new.reader.id).optional(&mut tx).await?;
    let judged = judged.and_then(|finding| match before {
        Some(_) => Err(OpinionError::Given),
        None => Ok(finding),
    });
    let finding = match judged {
        Ok(finding) => finding,
        // It commits only so that its connection can be used again.
        Err(refusal) => return tx.commit().await.map(|()| Err(refusal)),
    };
    let (answer, found) = (Answer::from(&finding), finding.label);
    let given =
        FirstOpinion { id: Uuid::now_v7(), opinion: new.clone(), answer, found, at: db.now() };
    Sql::<D>::new(
        "insert into first_opinion
           (id, image, reader, name, role, session, label, rendering, model_version, model_sha256, found, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(given.id)
    .bind(new.image.0)
    .bind(new.reader.id)
    .bind(new.reader.name.as_str())
    .bind(new.role.as_str())
    .bind(new.session)
    .bind(new.label.map(|label| label.word().to_owned()))
    .bind(new.rendering.clone())
    .bind(given.answer.model_version.as_str())
    .bind(given.answer.model_sha256.as_str())
    .bind(given.found.word())
    .bind(given.at.0)
    .run(&mut tx)
    .await?;
    tx.commit().await?;
    Ok(Ok(given))
}
