//! `lobar user`, `lobar token`, `lobar site`: who may do what, worked on directly in the configured store, whether or
//! not anything runs. Whoever can run them on this store is an admin: they ask nobody to sign in.

mod grants;
mod link;
mod shown;
mod site;
mod token;
mod user;

use std::sync::Arc;

use lobar_console::outln;
use lobar_core::accounts::{AccountError, Accounts};
use lobar_core::failure::PortError;
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use lobar_signin::{AddError, SignIn};
use serde_json::Value;

use crate::cli::{PeopleArgs, Site, Token, User};
use crate::failure::{Failure, chain};
use crate::on_record::Record;
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener};
use crate::settings::Settings;

/// What a command answers: the same for programs and for people.
struct Answer {
    json: Value,
    text: String,
}

/// The store that a command works on.
struct Open {
    settings: Settings,
    opener: Opener,
    sign_in: SignIn,
    record: Record,
}

impl Open {
    async fn new(args: &PeopleArgs) -> Result<Self, Failure> {
        let settings = Settings::load(args.service.given.clone(), args.service.config.clone())?;
        refuse_nowhere(&settings.store)?;
        let clock = Arc::new(SystemClock);
        let opener = opener(&settings, clock.clone());
        let database = opener.database("store", &settings.store).await.map_err(failed)?;
        let accounts: Arc<dyn Accounts> = database.clone();
        let sign_in = SignIn::new(accounts, clock, settings.sign_in());
        Ok(Self { settings, opener, sign_in, record: Record::new(database) })
    }

    async fn end(self, answered: Result<Answer, Failure>, as_json: bool) -> Result<(), Failure> {
        self.opener.close().await;
        let answer = answered?;
        let text = if as_json { answer.json.to_string() } else { answer.text };
        outln!("{}", text.trim_end());
        Ok(())
    }
}

/// Runs one command about people.
pub async fn user(command: User) -> Result<(), Failure> {
    let open = Open::new(command.args()).await?;
    let answered = user::answer(&command, &open).await;
    open.end(answered, command.args().json).await
}

/// Runs one command about tokens.
pub async fn token(command: Token) -> Result<(), Failure> {
    let open = Open::new(command.args()).await?;
    let answered = token::answer(&command, &open).await;
    open.end(answered, command.args().json).await
}

/// Runs one command about sites.
pub async fn site(command: Site) -> Result<(), Failure> {
    let open = Open::new(command.args()).await?;
    let answered = site::answer(&command, &open).await;
    open.end(answered, command.args().json).await
}

fn port(error: PortError) -> Failure {
    Failure::failed(chain(&error))
}

fn refused(error: AccountError) -> Failure {
    match error {
        AccountError::Port(error) => port(error),
        error @ AccountError::Disabled => {
            Failure::failed(format!("{error}: `lobar user enable NAME` first"))
        }
        error @ AccountError::NameTaken => Failure::failed(format!("{error}: take another one")),
        error => Failure::failed(error),
    }
}

fn not_added(error: AddError) -> Failure {
    match error {
        AddError::Account(error) => refused(error),
        error @ AddError::Name => Failure::usage(error),
    }
}
