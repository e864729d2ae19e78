//! One migration held against the rules of `migrations/README.md`. Pure: text in, refusals out.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateTable,
    Ident, ObjectType, SqliteTableOption, Statement, TableConstraint, visit_relations,
};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::{Parser, ParserError};

/// Which rules a file is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    /// PostgreSQL, by `lobar migrate` only, each statement on its own.
    Deferred,
}

/// A line that begins so says which release used for the last time what the file takes away.
const CONTRACT: &str = "-- contract:";

/// What is wrong with the file: the number of the rule, and a sentence. `tables` are those that earlier
/// files made; the file's own are added.
pub(crate) fn refusals(
    kind: Kind,
    text: &str,
    tables: &mut BTreeSet<String>,
) -> Vec<(u32, String)> {
    let statements = match read(kind, text) {
        Ok(statements) => statements,
        Err(error) => return vec![(0, format!("it cannot be read: {error}"))],
    };
    let contract = text.lines().any(|line| line.starts_with(CONTRACT));
    let mut file = File { kind, contract, earlier: tables.clone(), refused: Vec::new() };
    if kind == Kind::Deferred {
        file.deferred(text, &statements);
    }
    for statement in &statements {
        file.statement(statement);
        if let Statement::CreateTable(table) = statement {
            tables.insert(table.name.to_string());
        }
    }
    file.refused
}

fn read(kind: Kind, text: &str) -> Result<Vec<Statement>, ParserError> {
    let dialect: &dyn Dialect =
        if kind == Kind::Sqlite { &SQLiteDialect {} } else { &PostgreSqlDialect {} };
    if kind != Kind::Deferred {
        return Parser::parse_sql(dialect, text);
    }
    let mut statements = Vec::new();
    for statement in text.split(";\n") {
        let lines = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
        let code = lines.collect::<Vec<_>>().join("\n").to_lowercase();
        // What goes in portions is a procedure: nothing that these rules could read.
        let procedure = ["create procedure", "create or replace procedure", "do ", "call "];
        if procedure.iter().any(|word| code.trim_start().starts_with(word)) {
            continue;
        }
        // The parser does not know the word here.
        let code = code.replace("drop index concurrently", "drop index");
        statements.extend(Parser::parse_sql(dialect, &code)?);
    }
    Ok(statements)
}

struct File {
    kind: Kind,
    contract: bool,
    earlier: BTreeSet<String>,
    refused: Vec<(u32, String)>,
}

impl File {
    fn refuse(&mut self, rule: u32, words: impl Into<String>) {
        self.refused.push((rule, words.into()));
    }

    fn takes_away(&mut self, what: &str) {
        if !self.contract {
            self.refuse(
                2,
                format!("{what}: the release before needs it; say `{CONTRACT} …` when none does"),
            );
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::CreateTable(table) => self.table(table),
            Statement::AlterTable(change) => self.change(change),
            Statement::CreateIndex(index) => {
                let table = index.table_name.to_string();
                if self.kind == Kind::Postgres && self.earlier.contains(&table) {
                    self.refuse(5, format!("an index on {table} is made at start: defer it"));
                }
                if index.name.is_none() {
                    self.refuse(3, format!("an index on {table} has no name"));
                }
                if index.concurrently && self.kind == Kind::Postgres {
                    self.refuse(5, "`concurrently` cannot run in a transaction: defer it");
                }
            }
            Statement::Drop { object_type: ObjectType::Index, .. } => {}
            Statement::Drop { .. } | Statement::Truncate(_) => {
                self.takes_away(&statement.to_string())
            }
            Statement::CreateType { .. } | Statement::CreateDomain(_) => {
                self.refuse(6, format!("{statement}: enumerations are words under a named check"));
            }
            Statement::StartTransaction { .. } | Statement::Commit { .. } => {
                self.refuse(5, "a migration does not begin or end transactions");
            }
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Lock(_) => {
                self.data(statement);
            }
            _ => {}
        }
    }

    /// Reading or writing the rows of a table that is there already may take long.
    fn data(&mut self, statement: &Statement) {
        if self.kind != Kind::Postgres {
            return;
        }
        let _ = visit_relations(statement, |table| {
            if self.earlier.contains(&table.to_string()) {
                self.refuse(5, format!("rows of {table} are read or written at start: defer it"));
            }
            ControlFlow::<()>::Continue(())
        });
    }

    fn table(&mut self, table: &CreateTable) {
        for column in &table.columns {
            self.column(&table.name.to_string(), column);
        }
        for constraint in &table.constraints {
            self.constraint(&table.name.to_string(), constraint);
        }
        if self.kind == Kind::Sqlite
            && !table.sqlite_table_options.options.contains(&SqliteTableOption::Strict)
        {
            self.refuse(6, format!("the table {} is not strict", table.name));
        }
    }

    fn column(&mut self, table: &str, column: &ColumnDef) {
        let name = &column.name.value;
        let kind = column.data_type.to_string().to_lowercase();
        for option in &column.options {
            let constraint = match option.option {
                ColumnOption::PrimaryKey(_) => "primary key",
                ColumnOption::Unique(_) => "unique",
                ColumnOption::ForeignKey(_) => "references",
                ColumnOption::Check(_) => "check",
                _ => continue,
            };
            if option.name.is_none() {
                self.refuse(3, format!("`{constraint}` of {table}.{name} has no name"));
            }
        }
        let whole = if self.kind == Kind::Sqlite { "integer" } else { "bigint" };
        if (name == "at" || name.ends_with("_at")) && kind != whole {
            self.refuse(6, format!("{table}.{name} is a time and no {whole}, but {kind}"));
        }
        if ["timestamp", "date", "time", "interval", "serial", "bigserial"]
            .iter()
            .any(|no| kind.starts_with(no))
        {
            self.refuse(
                6,
                format!("{table}.{name} is a {kind}: times are whole microseconds, ids uuids"),
            );
        }
    }

    fn constraint(&mut self, table: &str, constraint: &TableConstraint) {
        let name: Option<&Ident> = match constraint {
            TableConstraint::Unique(constraint) => constraint.name.as_ref(),
            TableConstraint::PrimaryKey(constraint) => constraint.name.as_ref(),
            TableConstraint::ForeignKey(constraint) => constraint.name.as_ref(),
            TableConstraint::Check(constraint) => constraint.name.as_ref(),
            TableConstraint::PrimaryKeyUsingIndex(constraint)
            | TableConstraint::UniqueUsingIndex(constraint) => constraint.name.as_ref(),
            _ => None,
        };
        if name.is_none() {
            self.refuse(3, format!("`{constraint}` of {table} has no name"));
        }
    }

    fn change(&mut self, change: &AlterTable) {
        let table = change.name.to_string();
        for operation in &change.operations {
            match operation {
                AlterTableOperation::AddColumn { column_def, .. } => {
                    self.column(&table, column_def);
                    self.added_column(&table, column_def);
                }
                AlterTableOperation::AddConstraint { constraint, not_valid } => {
                    self.constraint(&table, constraint);
                    let using_index = matches!(
                        constraint,
                        TableConstraint::UniqueUsingIndex(_)
                            | TableConstraint::PrimaryKeyUsingIndex(_)
                    );
                    if self.kind == Kind::Postgres && !not_valid && !using_index {
                        self.refuse(
                            5,
                            format!("a constraint of {table} is checked at start: `not valid`"),
                        );
                    }
                }
                AlterTableOperation::ValidateConstraint { .. } => {
                    if self.kind == Kind::Postgres {
                        self.refuse(5, format!("{table} is checked at start: defer it"));
                    }
                }
                AlterTableOperation::AlterColumn {
                    op: AlterColumnOperation::DropNotNull | AlterColumnOperation::SetDefault { .. },
                    ..
                }
                | AlterTableOperation::SetOptionsParens { .. } => {}
                other => self.takes_away(&format!("alter table {table} {other}")),
            }
        }
    }

    /// A release that does not know the column still writes rows.
    fn added_column(&mut self, table: &str, column: &ColumnDef) {
        let mut options = column.options.iter().map(|option| &option.option);
        let default = options.clone().find_map(|option| match option {
            ColumnOption::Default(value) => Some(value.to_string()),
            _ => None,
        });
        let name = &column.name;
        if default.is_none() && options.any(|option| matches!(option, ColumnOption::NotNull)) {
            self.refuse(2, format!("{table}.{name} is neither nullable nor has a default"));
        }
        if default.is_some_and(|value| value.contains('(')) {
            self.refuse(
                5,
                format!("{table}.{name} has a default that is not constant: it rewrites the table"),
            );
        }
    }

    /// Rules 5, 8 and 9: begun again, statement by statement.
    fn deferred(&mut self, text: &str, statements: &[Statement]) {
        if !text.starts_with("--") {
            self.refuse(5, "it does not say how it avoids harm: begin with a comment");
        }
        let code = |line: &&str| !line.trim_start().starts_with("--");
        for line in text.lines().filter(code) {
            if line.trim_end().trim_end_matches(';').contains(';') {
                self.refuse(9, format!("a semicolon within a line, where nothing is cut: {line}"));
            }
        }
        if !text.trim_end().ends_with(';') {
            self.refuse(9, "the last statement does not end with a semicolon");
        }
        let mut dropped = BTreeSet::new();
        for statement in statements {
            match statement {
                Statement::Drop {
                    object_type: ObjectType::Index, if_exists: true, names, ..
                } => {
                    dropped.extend(names.iter().map(ToString::to_string));
                }
                Statement::CreateIndex(index) => {
                    let name = index.name.as_ref().map(ToString::to_string).unwrap_or_default();
                    if !index.concurrently {
                        self.refuse(5, format!("the index {name} is not made concurrently"));
                    }
                    if !dropped.contains(&name) {
                        self.refuse(
                            8,
                            format!("the index {name} is not dropped before it is made"),
                        );
                    }
                }
                Statement::CreateTable(table) if !table.if_not_exists => {
                    self.refuse(
                        8,
                        format!("the table {} is made without `if not exists`", table.name),
                    );
                }
                _ => {}
            }
        }
    }
}
