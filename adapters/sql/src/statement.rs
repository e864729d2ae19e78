//! A statement in the making: text with `$n` placeholders on every driver, and its arguments.

use std::borrow::Cow;
use std::fmt::Write;

use sqlx::error::BoxDynError;
use sqlx::{Arguments, AssertSqlSafe, Database, Encode, FromRow, Type};

use super::driver::{Driver, Query};
use super::error::DbError;

/// `Self` can send a `T`. A supertrait of [`Driver`], hence implied wherever `D: Driver` is: the turn
/// that spares every generic function its `T: Encode<'q, D> + Type<D>` bounds.
pub trait Binds<T>: Database {
    /// Adds `value` to the arguments.
    fn bind(args: &mut Self::Arguments, value: T) -> Result<(), BoxDynError>;
}

impl<DB: Database, T> Binds<T> for DB
where
    T: for<'q> Encode<'q, DB> + Type<DB>,
{
    fn bind(args: &mut DB::Arguments, value: T) -> Result<(), BoxDynError> {
        args.add(value)
    }
}

/// `Self`'s rows can be read as a `T`.
pub trait Reads<T>: Database {
    /// Reads one row.
    fn read(row: &Self::Row) -> sqlx::Result<T>;
}

impl<DB: Database, T> Reads<T> for DB
where
    T: for<'r> FromRow<'r, DB::Row>,
{
    fn read(row: &DB::Row) -> sqlx::Result<T> {
        T::from_row(row)
    }
}

/// See the module's documentation.
pub struct Sql<D: Database> {
    text: Cow<'static, str>,
    args: D::Arguments,
    unsendable: Option<BoxDynError>,
}

impl<D: Driver> Sql<D> {
    /// Begins with `text`, whose `$n` are bound by [`Sql::bind`], in order.
    pub fn new(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), args: Default::default(), unsendable: None }
    }

    /// More text; `&'static`, so that nothing from outside can become SQL.
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Has the table that was named last read by this index, in its order: see [`Driver::BY_INDEX`].
    pub fn by_index(&mut self, index: &'static str) -> &mut Self {
        match D::BY_INDEX {
            Some(words) => self.push(words).push(index),
            None => self,
        }
    }

    /// Binds the next `$n` that stands in the text already.
    pub fn bind<T>(mut self, value: T) -> Self
    where
        D: Binds<T>,
    {
        self.put(value);
        self
    }

    /// Writes the next `$n` and binds it.
    pub fn arg<T>(&mut self, value: T) -> &mut Self
    where
        D: Binds<T>,
    {
        self.put(value);
        let place = self.args.len();
        write!(self.text.to_mut(), "${place}").expect("writing to a String cannot fail");
        self
    }

    /// `($1, $2), ($3, $4)` from an iterator of tuples. Not of none: that is no SQL.
    pub fn rows<R: Tuple<D>>(&mut self, rows: impl IntoIterator<Item = R>) -> &mut Self {
        for (place, row) in rows.into_iter().enumerate() {
            self.push(if place == 0 { "(" } else { ", (" });
            row.write(self);
            self.push(")");
        }
        self
    }

    /// `$1, $2, $3` from an iterator of values. Not of none.
    pub fn list<T>(&mut self, values: impl IntoIterator<Item = T>) -> &mut Self
    where
        D: Binds<T>,
    {
        for (place, value) in values.into_iter().enumerate() {
            if place > 0 {
                self.push(", ");
            }
            self.arg(value);
        }
        self
    }

    /// The same statement, to be explained instead of run.
    #[cfg(test)]
    pub(super) fn explained(mut self) -> Self {
        self.text.to_mut().insert_str(0, "explain query plan ");
        self
    }

    fn put<T>(&mut self, value: T)
    where
        D: Binds<T>,
    {
        if let Err(error) = D::bind(&mut self.args, value) {
            self.unsendable.get_or_insert(error);
        }
    }

    fn query(self) -> Result<Query<D>, DbError> {
        if let Some(error) = self.unsendable {
            return Err(DbError::of::<D>(sqlx::Error::Encode(error)));
        }
        // SQLite takes a missing argument for NULL and drops one too many.
        if highest(&self.text) != self.args.len() {
            let text = format!("{} arguments for: {}", self.args.len(), self.text);
            return Err(DbError::of::<D>(sqlx::Error::InvalidArgument(text)));
        }
        // Safe: the text is made of `&'static str` and numbers only.
        Ok(sqlx::query_with(AssertSqlSafe(self.text), self.args))
    }

    /// Runs it; answers how many rows it touched.
    pub async fn run(self, conn: &mut D::Connection) -> Result<u64, DbError> {
        D::run(conn, self.query()?).await.map_err(DbError::of::<D>)
    }

    /// Runs it; answers its rows, in the order in which the database gives them.
    pub async fn all<T>(self, conn: &mut D::Connection) -> Result<Vec<T>, DbError>
    where
        D: Reads<T>,
    {
        let rows = D::rows(conn, self.query()?).await.map_err(DbError::of::<D>)?;
        rows.iter().map(D::read).collect::<sqlx::Result<_>>().map_err(DbError::of::<D>)
    }

    /// Runs it; answers its first row.
    pub async fn optional<T>(self, conn: &mut D::Connection) -> Result<Option<T>, DbError>
    where
        D: Reads<T>,
    {
        Ok(self.all(conn).await?.into_iter().next())
    }

    /// Runs it; answers its only row.
    pub async fn one<T>(self, conn: &mut D::Connection) -> Result<T, DbError>
    where
        D: Reads<T>,
    {
        self.optional(conn).await?.ok_or_else(|| DbError::of::<D>(sqlx::Error::RowNotFound))
    }
}

/// The highest `n` among the `$n` of a text.
fn highest(text: &str) -> usize {
    let number = |tail: &str| {
        let digits = tail.bytes().take_while(u8::is_ascii_digit);
        digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0'))
    };
    text.split('$').skip(1).map(number).max().unwrap_or(0)
}

/// What [`Sql::rows`] takes: tuples of values that can be bound.
pub trait Tuple<D: Driver> {
    /// Writes the values, between commas.
    fn write(self, sql: &mut Sql<D>);
}

macro_rules! tuples {
    ($($($T:ident)+;)*) => {$(
        impl<D: Driver, $($T),+> Tuple<D> for ($($T,)+)
        where
            $(D: Binds<$T>),+
        {
            #[allow(non_snake_case)] // a value is named after its type
            fn write(self, sql: &mut Sql<D>) {
                let ($($T,)+) = self;
                let mut first = true;
                $(
                    if !std::mem::take(&mut first) {
                        sql.push(", ");
                    }
                    sql.arg($T);
                )+
            }
        }
    )*};
}

tuples! {
    A;
    A B;
    A B C;
    A B C E;
    A B C E F;
    A B C E F G;
    A B C E F G H;
    A B C E F G H I;
    A B C E F G H I J;
    A B C E F G H I J K;
    A B C E F G H I J K L;
    A B C E F G H I J K L M N O P;
    A B C E F G H I J K L M N O P Q R S T U V W X Y;
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Sqlite;

    #[test]
    fn arguments_that_do_not_match_the_text_are_refused() {
        assert!(Sql::<Sqlite>::new("select $1, $2").bind(1).bind(2).query().is_ok());
        assert!(Sql::<Sqlite>::new("select $1, $2").bind(1).query().is_err());
        assert!(Sql::<Sqlite>::new("select $1").bind(1).bind(2).query().is_err());
    }

    #[test]
    fn arguments_number_themselves() {
        let mut sql = Sql::<Sqlite>::new("values ");
        sql.rows([(1, 2), (3, 4)]).push(" limit ").list([5, 6]);
        assert_eq!(sql.text, "values ($1, $2), ($3, $4) limit $5, $6");
    }
}
