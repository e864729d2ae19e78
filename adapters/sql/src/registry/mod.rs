//! The model registry. Every change is one transaction, and there is one at a time: see [`transaction`].

mod change;
mod row;
mod shadow;
mod transaction;

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::model_registry::{
    Assignment, Comparison, ModelChange, ModelRegistry, NewModel, RegisteredModel, RegistryError,
    ShadowFinding,
};

pub(super) use row::{AssignmentRow, ChangeRow, ModelRow};
pub(super) use shadow::ComparisonRow;

use super::{Db, DbError, Driver};

/// What a change comes to: done, refused, or not known.
type ChangeResult<T> = Result<Result<T, RegistryError>, DbError>;

/// The same as the port says it.
fn answer<T>(outcome: ChangeResult<T>, what: &'static str) -> Result<T, RegistryError> {
    outcome.map_err(|fault| fault.during(what))?
}

#[async_trait]
impl<D: Driver> ModelRegistry for Db<D> {
    async fn register(&self, model: &NewModel, by: &str) -> Result<RegisteredModel, RegistryError> {
        let done = self.retry_on_conflict(|| change::register(self, model, by)).await;
        answer(done, "registry: register")
    }

    async fn models(&self) -> Result<Vec<RegisteredModel>, PortError> {
        row::models(self).await.map_err(|fault| fault.during("registry: models"))
    }

    async fn model(&self, version: &str) -> Result<Option<RegisteredModel>, PortError> {
        row::model(self, version).await.map_err(|fault| fault.during("registry: model"))
    }

    async fn assignment(&self) -> Result<Assignment, PortError> {
        row::assignment(self).await.map_err(|fault| fault.during("registry: assignment"))
    }

    async fn activate(&self, version: &str, by: &str) -> Result<Assignment, RegistryError> {
        let done = self.retry_on_conflict(|| change::activate(self, version, by)).await;
        answer(done, "registry: activate")
    }

    async fn activate_first(&self, version: &str, by: &str) -> Result<bool, RegistryError> {
        let done = self.retry_on_conflict(|| change::activate_first(self, version, by)).await;
        answer(done, "registry: activate first")
    }

    async fn roll_back(&self, by: &str) -> Result<Assignment, RegistryError> {
        let done = self.retry_on_conflict(|| change::roll_back(self, by)).await;
        answer(done, "registry: roll back")
    }

    async fn retire(&self, version: &str, by: &str) -> Result<RegisteredModel, RegistryError> {
        let done = self.retry_on_conflict(|| change::retire(self, version, by)).await;
        answer(done, "registry: retire")
    }

    async fn shadow(&self, version: Option<&str>, by: &str) -> Result<Assignment, RegistryError> {
        let done = self.retry_on_conflict(|| change::shadow(self, version, by)).await;
        answer(done, "registry: shadow")
    }

    async fn stop_shadow(&self, version: &str, by: &str) -> Result<Assignment, RegistryError> {
        let done = self.retry_on_conflict(|| change::stop_shadow(self, version, by)).await;
        answer(done, "registry: stop shadow")
    }

    async fn history(&self, limit: usize) -> Result<Vec<ModelChange>, PortError> {
        row::history(self, limit).await.map_err(|fault| fault.during("registry: history"))
    }

    async fn record_shadow(&self, findings: &[ShadowFinding]) -> Result<(), PortError> {
        let done = self.retry_on_conflict(|| shadow::record(self, findings)).await;
        done.map_err(|fault| fault.during("registry: record shadow findings"))
    }

    async fn compare(&self, version: &str) -> Result<Vec<Comparison>, PortError> {
        shadow::compare(self, version).await.map_err(|fault| fault.during("registry: compare"))
    }
}
