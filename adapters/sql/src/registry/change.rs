//! The changes. What changes nothing gets no revision and no entry in the history.

use lobar_core::model_registry::{Assignment, NewModel, RegisteredModel, RegistryError, Stage};

use super::super::{Db, Driver, Fault, Sql};
use super::Outcome;
use super::turn::Turn;

pub(super) async fn register<D: Driver>(
    db: &Db<D>,
    new: &NewModel,
    by: &str,
) -> Outcome<RegisteredModel> {
    let mut turn = Turn::begin(db).await?;
    if let Some(known) = turn.model(&new.version).await? {
        if known.model.sha256 == new.sha256 {
            return turn.end(known).await;
        }
        let (version, registered) = (new.version.clone(), known.model.sha256);
        return turn.refuse(RegistryError::Taken { version, registered }).await;
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
    turn.change(insert).await?;
    turn.note("register", &new.version, by).await?;
    end_with(turn, &new.version).await
}

pub(super) async fn activate<D: Driver>(
    db: &Db<D>,
    version: &str,
    by: &str,
) -> Outcome<Assignment> {
    let mut turn = Turn::begin(db).await?;
    let Some(model) = turn.model(version).await? else {
        return turn.refuse(RegistryError::Unknown(version.to_owned())).await;
    };
    if let Some(refusal) = unfit(&model) {
        return turn.refuse(refusal).await;
    }
    if model.stage != Stage::Active {
        make_active(&mut turn, version).await?;
        turn.note_activation(version, by).await?;
    }
    turn.end_assigned().await
}

pub(super) async fn activate_first<D: Driver>(
    db: &Db<D>,
    version: &str,
    by: &str,
) -> Outcome<bool> {
    let mut turn = Turn::begin(db).await?;
    let Some(model) = turn.model(version).await? else {
        return turn.refuse(RegistryError::Unknown(version.to_owned())).await;
    };
    if let Some(refusal) = unfit(&model) {
        return turn.refuse(refusal).await;
    }
    // Once a model was active, one always is: the active one is only ever replaced.
    if turn.standing.is_some() {
        return turn.end(false).await;
    }
    make_active(&mut turn, version).await?;
    turn.note_activation(version, by).await?;
    turn.end(true).await
}

pub(super) async fn roll_back<D: Driver>(db: &Db<D>, by: &str) -> Outcome<Assignment> {
    let mut turn = Turn::begin(db).await?;
    let Some((activation, version)) = turn.beneath().await? else {
        let why = "there is no earlier model to roll back to: activate one by its version";
        return turn.refuse(RegistryError::Refused(why)).await;
    };
    if let Some(refusal) = turn.model(&version).await?.as_ref().and_then(unfit) {
        return turn.refuse(refusal).await;
    }
    make_active(&mut turn, &version).await?;
    turn.standing = Some(activation);
    turn.note("rollback", &version, by).await?;
    turn.end_assigned().await
}

pub(super) async fn retire<D: Driver>(
    db: &Db<D>,
    version: &str,
    by: &str,
) -> Outcome<RegisteredModel> {
    let mut turn = Turn::begin(db).await?;
    let Some(model) = turn.model(version).await? else {
        return turn.refuse(RegistryError::Unknown(version.to_owned())).await;
    };
    match model.stage {
        Stage::Active => {
            let why =
                "the active model cannot be retired: activate another one, or roll back, first";
            return turn.refuse(RegistryError::Refused(why)).await;
        }
        Stage::Retired if !model.shadow => return turn.end(model).await,
        Stage::Candidate | Stage::Retired => {}
    }
    let retire = |now: i64| {
        let set =
            "update model set stage = 'retired', shadow = 0, changed_at = $1 where version = $2";
        Sql::<D>::new(set).bind(now).bind(version)
    };
    turn.change(retire).await?;
    turn.note("retire", version, by).await?;
    end_with(turn, version).await
}

pub(super) async fn shadow<D: Driver>(
    db: &Db<D>,
    version: Option<&str>,
    by: &str,
) -> Outcome<Assignment> {
    let mut turn = Turn::begin(db).await?;
    let before = turn.assignment().await?.shadow.map(|shadow| shadow.model.version);
    if before.as_deref() == version {
        return turn.end_assigned().await;
    }
    if let Some(version) = version {
        let Some(model) = turn.model(version).await? else {
            return turn.refuse(RegistryError::Unknown(version.to_owned())).await;
        };
        if model.stage == Stage::Active {
            let why = "the active model cannot be its own shadow: name another one";
            return turn.refuse(RegistryError::Refused(why)).await;
        }
        if let Some(refusal) = unfit(&model) {
            return turn.refuse(refusal).await;
        }
    }
    if before.is_some() {
        end_shadowing(&mut turn).await?;
    }
    if let Some(version) = version {
        let begin = "update model set shadow = 1, changed_at = $1 where version = $2";
        turn.change(|now| Sql::<D>::new(begin).bind(now).bind(version)).await?;
        turn.note("shadow", version, by).await?;
    } else if let Some(before) = before {
        turn.note("unshadow", &before, by).await?;
    }
    turn.end_assigned().await
}

pub(super) async fn stop_shadow<D: Driver>(
    db: &Db<D>,
    version: &str,
    by: &str,
) -> Outcome<Assignment> {
    let mut turn = Turn::begin(db).await?;
    let Some(model) = turn.model(version).await? else {
        return turn.refuse(RegistryError::Unknown(version.to_owned())).await;
    };
    if model.shadow {
        end_shadowing(&mut turn).await?;
        turn.note("unshadow", version, by).await?;
    }
    turn.end_assigned().await
}

/// Why a model cannot be put to work by this release: a newer one may have set it aside, in a stage of its own.
fn unfit(model: &RegisteredModel) -> Option<RegistryError> {
    let why = "the model stands in a stage that this release does not know: use the newer release that put it there";
    model.unreadable.contains(&"stage").then_some(RegistryError::Refused(why))
}

/// Takes its mark from the model that shadows, of which there is one at most.
async fn end_shadowing<D: Driver>(turn: &mut Turn<D>) -> Result<(), Fault> {
    let end = "update model set shadow = 0, changed_at = $1 where shadow = 1";
    turn.change(|now| Sql::<D>::new(end).bind(now)).await
}

/// Puts a model in the place of the active one, which is retired. In two steps, since a database looks at
/// its unique indexes row by row.
async fn make_active<D: Driver>(turn: &mut Turn<D>, version: &str) -> Result<(), Fault> {
    let retire = "update model set stage = 'retired', changed_at = $1 where stage = 'active'";
    turn.change(|now| Sql::<D>::new(retire).bind(now)).await?;
    let activate =
        "update model set stage = 'active', shadow = 0, changed_at = $1 where version = $2";
    turn.change(|now| Sql::<D>::new(activate).bind(now).bind(version)).await
}

/// Ends a turn with a model that it has just written.
async fn end_with<D: Driver>(mut turn: Turn<D>, version: &str) -> Outcome<RegisteredModel> {
    match turn.model(version).await? {
        Some(model) => turn.end(model).await,
        None => Err(Fault::of::<D>(sqlx::Error::RowNotFound)),
    }
}
