//! The contract of accounts.

mod external;
mod kept;
mod links;
mod passwords;
mod people;
mod sessions;
mod sites;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::access::{Grant, Grants, Right, SiteName};
use lobar_core::accounts::{
    Account, AccountError, AccountId, Accounts, External, ExternalEnd, FORGOTTEN, KeptSession,
    NewAccount, NewLink, NewSession, NewToken, PasswordHash, STRANGERS, SecretHash, Session,
    SessionId, Site, StrangerKey, Token, TokenId, TotpSecret,
};
use lobar_core::failure::chain;
use lobar_core::reading::UnreadableCounts;
use lobar_core::time::{Clock, Stamp};
use uuid::Uuid;

pub use external::*;
pub use kept::*;
pub use links::*;
pub use passwords::*;
pub use people::*;
pub use sessions::*;
pub use sites::*;
pub use tokens::*;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/accounts/mod.rs");

/// An adapter under test.
#[async_trait]
pub trait AccountsHarness: Sized + Send + Sync {
    /// Accounts that nobody has used.
    async fn start() -> Self;
    /// A handle on them, as another process has one, and what it read in vain.
    async fn open(&self) -> (Arc<dyn Accounts>, Arc<dyn UnreadableCounts>);
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> Arc<dyn Accounts>;
    /// What the adapter takes the time to be.
    fn clock(&self) -> Arc<dyn Clock>;
    /// Lets time pass for the adapter.
    fn advance(&self, by: Duration);
    /// Moves the adapter's clock back.
    fn set_back(&self, by: Duration);
    /// Runs a statement of SQL on what is kept, with the adapter's checks put aside: as an accident would, or a newer
    /// release that keeps other values.
    async fn damage(&self, statement: &str);
}

/// Runs the contract of accounts on a harness.
#[macro_export]
macro_rules! accounts_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::accounts, suite::DOCUMENTATION, [
            a_name_belongs_to_one_account_whatever_its_case,
            what_is_no_name_belongs_to_nobody,
            an_account_that_is_added_has_no_password_and_no_session,
            grants_are_kept_as_they_were_given,
            accounts_are_listed_by_name_all_of_them_or_a_page_at_a_time,
            what_is_not_there_is_unknown,
            taking_the_last_account_that_can_sign_in_and_manage_people_away_is_refused_also_by_two_at_once,
            disabling_an_account_ends_its_sessions_and_voids_its_links,
            changing_what_an_account_may_do_holds_for_its_open_sessions_at_once,
            a_new_password_ends_every_session_but_the_one_that_it_was_set_from_which_gets_another_secret_and_voids_the_links,
            a_password_is_set_and_codes_are_only_while_the_password_that_was_proven_is_the_present_one,
            a_hash_that_is_made_anew_takes_the_place_of_the_one_that_it_was_made_of_and_ends_nothing,
            a_link_is_redeemed_once_by_one_of_many_at_once,
            redeeming_a_link_sets_the_password_and_ends_the_sessions,
            a_link_that_has_expired_or_was_replaced_is_not_redeemed,
            a_link_is_no_use_for_an_account_that_is_disabled,
            failures_to_sign_in_are_counted_until_one_succeeds_or_a_day_passes_without_another,
            failures_of_names_that_nobody_has_are_counted_alike_whichever_process_notes_them,
            the_first_key_of_names_that_nobody_has_is_kept_and_is_everybody_s_from_then_on,
            a_code_is_used_once_and_none_from_before_it_afterwards,
            a_session_is_not_opened_with_a_password_that_was_replaced_meanwhile,
            a_session_is_found_by_its_secret_with_its_account_as_it_is_now,
            a_session_is_not_found_after_its_end_its_expiry_or_that_of_its_idle_time,
            the_use_of_a_session_is_noted_never_back_in_time,
            a_session_is_ended_by_its_own_account_only,
            all_sessions_of_an_account_end_at_once_but_for_one_if_it_says_so,
            sessions_that_are_over_are_pruned,
            a_token_is_found_by_its_secret_and_by_its_id_until_it_expires_or_is_revoked,
            the_use_of_a_token_is_noted_to_the_minute,
            the_use_of_a_token_that_was_found_by_its_id_is_noted_too,
            tokens_are_listed_without_their_secrets_those_that_are_over_too,
            a_site_is_added_once_and_listed_by_name,
            a_site_that_is_removed_is_not_listed_any_more,
            an_account_of_another_issuer_is_found_by_its_subject_there,
            an_account_of_another_issuer_gets_no_link,
            another_issuer_ends_the_sessions_that_it_names_of_its_own_people_alone,
            what_another_issuer_says_once_ends_sessions_once,
            what_may_be_used_once_is_used_once_by_one_of_many_at_once,
            grants_that_cannot_be_read_allow_nothing_and_hide_no_other_account,
            everything_survives_closing_and_opening,
        ] }
    };
}

/// After which a session that is not used is over.
const IDLE: Duration = Duration::from_secs(1_800);
/// After which a session or a link is over however it is used.
const LIFE: Duration = Duration::from_secs(43_200);
const SECOND: Duration = Duration::from_secs(1);

fn grants(texts: &[&str]) -> Grants {
    texts.iter().map(|text| text.parse::<Grant>().expect("a grant")).collect()
}

fn new(name: &str, granted: &[&str]) -> NewAccount {
    NewAccount { name: name.into(), grants: grants(granted), external: None }
}

async fn add(accounts: &dyn Accounts, name: &str, granted: &[&str]) -> Account {
    accounts.add(&new(name, granted)).await.expect("added")
}

/// Sets a password, whatever the present one is.
async fn set_password(accounts: &dyn Accounts, id: AccountId, n: u8) {
    let present = account(accounts, id).await.password;
    accounts.set_password(id, present.as_ref(), &password(n), None).await.expect("set");
}

async fn account(accounts: &dyn Accounts, id: AccountId) -> Account {
    accounts.account(id).await.expect("asked").expect("known")
}

fn secret(n: u8) -> SecretHash {
    SecretHash([n; 32])
}

fn password(n: u8) -> PasswordHash {
    PasswordHash(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ${n}"))
}

async fn open_session<H: AccountsHarness>(
    harness: &H,
    accounts: &dyn Accounts,
    account: AccountId,
    n: u8,
) -> Session {
    let expires_at = harness.clock().now().plus(LIFE);
    let client = "Firefox on Linux".to_owned();
    let session =
        NewSession { proven: None, sid: None, account, secret: secret(n), expires_at, client };
    accounts.open_session(&session).await.expect("opened")
}

async fn found(accounts: &dyn Accounts, n: u8) -> Option<(Session, Account)> {
    accounts.session(&secret(n), IDLE).await.expect("asked")
}

/// Which of the sessions with the secrets of these numbers are found.
async fn open_ones(accounts: &dyn Accounts, numbers: &[u8]) -> Vec<u8> {
    let mut open = Vec::new();
    for n in numbers {
        if found(accounts, *n).await.is_some() {
            open.push(*n);
        }
    }
    open
}

async fn add_link<H: AccountsHarness>(
    harness: &H,
    accounts: &dyn Accounts,
    account: AccountId,
    n: u8,
) {
    let expires_at = harness.clock().now().plus(LIFE);
    accounts.add_link(&NewLink { account, secret: secret(n), expires_at }).await.expect("added");
}

async fn linked(accounts: &dyn Accounts, n: u8) -> Option<AccountId> {
    accounts.linked(&secret(n)).await.expect("asked").map(|account| account.id)
}

async fn redeem(accounts: &dyn Accounts, n: u8) -> Option<Account> {
    accounts.redeem(&secret(n), &password(n)).await.expect("asked")
}

fn site(name: &str) -> SiteName {
    name.parse().expect("a name of a site")
}

async fn add_token(accounts: &dyn Accounts, name: &str, n: u8, expires_at: Option<Stamp>) -> Token {
    let granted = grants(&["uploader@north"]);
    let token = NewToken { name: name.into(), grants: granted, secret: secret(n), expires_at };
    accounts.add_token(&token).await.expect("added")
}

async fn token(accounts: &dyn Accounts, n: u8) -> Option<Token> {
    accounts.token(&secret(n)).await.expect("asked")
}

/// Nobody's.
fn nobody() -> AccountId {
    AccountId(Uuid::from_u128(7))
}
