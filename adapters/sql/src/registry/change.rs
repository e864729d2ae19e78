//! The changes. What changes nothing gets no revision and no entry in the history.

use lobar_core::model_registry::{Assignment, NewModel, RegisteredModel, RegistryError, Stage};

use super::super::{Db, DbError, Driver, Sql};
use super::ChangeResult;
use super::transaction::RegistryTx;

pub(super) async fn register<D: Driver>(
    db: &Db<D>,
    new: &NewModel,
    by: &str,
) -> ChangeResult<RegisteredModel> {
    let mut tx = RegistryTx::begin(db).await?;
    if let Some(known) = tx.model(&new.version).await? {
        if known.model.sha256 == new.sha256 {
            return tx.commit(known).await;
        }
        let (version, registered) = (new.version.clone(), known.model.sha256);
        return tx.rollback_with(RegistryError::Taken { version, registered }).await;
    }
    let insert = |now: i64| {
        Sql::<D>::new(
            "insert into model
               (version, sha256, key, bytes, card, stage, registered_at, changed_at)
             values ($1, $2, $3, $4, $5, 'candidate', $6, $6)",
        )
        .bind(new.version.as_str())
        .bind(new.sha256.as_str())
        .bind(new.key.as_str())
        .bind(i64::try_from(new.bytes).unwrap_or(i64::MAX))
        .bind(new.card.to_string().as_str())
        .bind(now)
    };
    tx.change(insert).await?;
    tx.record_change("register", &new.version, by).await?;
    end_with(tx, &new.version).await
}

pub(super) async fn activate<D: Driver>(
    db: &Db<D>,
    version: &str,
    by: &str,
) -> ChangeResult<Assignment> {
    let mut tx = RegistryTx::begin(db).await?;
    let Some(model) = tx.model(version).await? else {
        return tx.rollback_with(RegistryError::Unknown(version.to_owned())).await;
    };
    if let Some(refusal) = unfit(&model) {
        return tx.rollback_with(refusal).await;
    }
    if model.stage != Stage::Active {
        make_active(&mut tx, version).await?;
        tx.record_activation(version, by).await?;
    }
    tx.commit_with_assignment().await
}

pub(super) async fn activate_first<D: Driver>(
    db: &Db<D>,
    version: &str,
    by: &str,
) -> ChangeResult<bool> {
    let mut tx = RegistryTx::begin(db).await?;
    let Some(model) = tx.model(version).await? else {
        return tx.rollback_with(RegistryError::Unknown(version.to_owned())).await;
    };
    if let Some(refusal) = unfit(&model) {
        return tx.rollback_with(refusal).await;
    }
    // Once a model was active, one always is: the active one is only ever replaced.
    if tx.standing.is_some() {
        return tx.commit(false).await;
    }
    make_active(&mut tx, version).await?;
    tx.record_activation(version, by).await?;
    tx.commit(true).await
}

pub(super) async fn roll_back<D: Driver>(db: &Db<D>, by: &str) -> ChangeResult<Assignment> {
    let mut tx = RegistryTx::begin(db).await?;
    let Some((activation, version)) = tx.previous_activation().await? else {
        let why = "there is no earlier model to roll back to: activate one by its version";
        return tx.rollback_with(RegistryError::Refused(why)).await;
    };
    if let Some(refusal) = tx.model(&version).await?.as_ref().and_then(unfit) {
        return tx.rollback_with(refusal).await;
    }
    make_active(&mut tx, &version).await?;
    tx.standing = Some(activation);
    tx.record_change("rollback", &version, by).await?;
    tx.commit_with_assignment().await
}

pub(super) async fn retire<D: Driver>(
    db: &Db<D>,
    version: &str,
    by: &str,
) -> ChangeResult<RegisteredModel> {
    let mut tx = RegistryTx::begin(db).await?;
    let Some(model) = tx.model(version).await? else {
        return tx.rollback_with(RegistryError::Unknown(version.to_owned())).await;
    };
    match model.stage {
        Stage::Active => {
            let why =
                "the active model cannot be retired: activate another one, or roll back, first";
            return tx.rollback_with(RegistryError::Refused(why)).await;
        }
        Stage::Retired if !model.shadow => return tx.commit(model).await,
        Stage::Candidate | Stage::Retired => {}
    }
    let retire = |now: i64| {
        let set =
            "update model set stage = 'retired', shadow = 0, changed_at = $1 where version = $2";
        Sql::<D>::new(set).bind(now).bind(version)
    };
    tx.change(retire).await?;
    tx.record_change("retire", version, by).await?;
    end_with(tx, version).await
}

pub(super) async fn shadow<D: Driver>(
    db: &Db<D>,
    version: Option<&str>,
    by: &str,
) -> ChangeResult<Assignment> {
    let mut tx = RegistryTx::begin(db).await?;
    let before = tx.assignment().await?.shadow.map(|shadow| shadow.model.version);
    if before.as_deref() == version {
        return tx.commit_with_assignment().await;
    }
    if let Some(version) = version {
        let Some(model) = tx.model(version).await? else {
            return tx.rollback_with(RegistryError::Unknown(version.to_owned())).await;
        };
        if model.stage == Stage::Active {
            let why = "the active model cannot be its own shadow: name another one";
            return tx.rollback_with(RegistryError::Refused(why)).await;
        }
        if let Some(refusal) = unfit(&model) {
            return tx.rollback_with(refusal).await;
        }
    }
    if before.is_some() {
        end_shadowing(&mut tx).await?;
    }
    if let Some(version) = version {
        let begin = "update model set shadow = 1, changed_at = $1 where version = $2";
        tx.change(|now| Sql::<D>::new(begin).bind(now).bind(version)).await?;
        tx.record_change("shadow", version, by).await?;
    } else if let Some(before) = before {
        tx.record_change("unshadow", &before, by).await?;
    }
    tx.commit_with_assignment().await
}

pub(super) async fn stop_shadow<D: Driver>(
    db: &Db<D>,
    version: &str,
    by: &str,
) -> ChangeResult<Assignment> {
    let mut tx = RegistryTx::begin(db).await?;
    let Some(model) = tx.model(version).await? else {
        return tx.rollback_with(RegistryError::Unknown(version.to_owned())).await;
    };
    if model.shadow {
        end_shadowing(&mut tx).await?;
        tx.record_change("unshadow", version, by).await?;
    }
    tx.commit_with_assignment().await
}

/// Why a model cannot be put to work by this release: a newer one may have set it aside, in a stage of its own.
fn unfit(model: &RegisteredModel) -> Option<RegistryError> {
    let why = "the model stands in a stage that this release does not know: use the newer release that put it there";
    model.unreadable.contains(&"stage").then_some(RegistryError::Refused(why))
}

/// Takes its mark from the model that shadows, of which there is one at most.
async fn end_shadowing<D: Driver>(tx: &mut RegistryTx<D>) -> Result<(), DbError> {
    let end = "update model set shadow = 0, changed_at = $1 where shadow = 1";
    tx.change(|now| Sql::<D>::new(end).bind(now)).await
}

/// Puts a model in the place of the active one, which is retired. In two steps, since a database looks at
/// its unique indexes row by row.
async fn make_active<D: Driver>(tx: &mut RegistryTx<D>, version: &str) -> Result<(), DbError> {
    let retire = "update model set stage = 'retired', changed_at = $1 where stage = 'active'";
    tx.change(|now| Sql::<D>::new(retire).bind(now)).await?;
    let activate =
        "update model set stage = 'active', shadow = 0, changed_at = $1 where version = $2";
    tx.change(|now| Sql::<D>::new(activate).bind(now).bind(version)).await
}

/// Commits with a model that it has just written.
async fn end_with<D: Driver>(
    mut tx: RegistryTx<D>,
    version: &str,
) -> ChangeResult<RegisteredModel> {
    match tx.model(version).await? {
        Some(model) => tx.commit(model).await,
        None => Err(DbError::of::<D>(sqlx::Error::RowNotFound)),
    }
}
