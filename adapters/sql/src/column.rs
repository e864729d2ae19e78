//! A column that may hold what this release cannot read, without harm to its row.

use lobar_core::reading::Reading;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Type};

/// A value, or the fact that it cannot be decoded. Null is an error, as it is for a `T`: `Option<Column<T>>`
/// takes it.
#[derive(Clone, Debug)]
pub(super) enum Column<T> {
    /// It was decoded.
    Read(T),
    /// It is damaged, or of a newer release.
    Unreadable,
}

impl<DB: Database, T: Type<DB>> Type<DB> for Column<T> {
    fn type_info() -> DB::TypeInfo {
        T::type_info()
    }

    fn compatible(ty: &DB::TypeInfo) -> bool {
        T::compatible(ty)
    }
}

impl<'r, DB: Database, T: Decode<'r, DB>> Decode<'r, DB> for Column<T> {
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(T::decode(value).map_or(Self::Unreadable, Self::Read))
    }
}

impl<T> Column<T> {
    /// What it says, where `parse` understands it.
    pub(super) fn reading<U>(self, parse: impl FnOnce(T) -> Option<U>) -> Reading<U> {
        match self {
            Self::Read(value) => Reading::known(parse(value)),
            Self::Unreadable => Reading::Unreadable,
        }
    }

    /// The same of a column that may be null.
    pub(super) fn reading_of<U>(
        column: Option<Self>,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Reading<U> {
        column.map_or(Reading::Missing, |column| column.reading(parse))
    }
}
