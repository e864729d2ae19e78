//! Accounts in a new SQLite database, and a clock that tests step.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::access::{Grant, Grants};
use lobar_core::accounts::{Account, Accounts};
use lobar_core::time::{ManualClock, Stamp};
use lobar_opener::Opener;
use lobar_signin::{Opened, Secret, SignIn, SignInError, SignInSettings};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const OTHER: &str = "another long sentence";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) struct Fixture {
    pub(crate) sign_in: SignIn,
    pub(crate) clock: ManualClock,
    pub(crate) accounts: Arc<dyn Accounts>,
    _folder: tempfile::TempDir,
}

pub(crate) fn settings() -> SignInSettings {
    // Tests of what is said need not wait for when it is.
    let hashes = NonZeroUsize::MIN;
    SignInSettings { refused_after: Duration::ZERO, hashes, ..SignInSettings::default() }
}

impl Fixture {
    pub(crate) async fn open() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: SignInSettings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = ManualClock::new(Stamp(1_700_000_000_000_000));
        let url = format!("sqlite:{}", folder.path().join("lobar.db").display());
        let opener = Opener::new(Arc::new(clock.clone()));
        let url = url.parse().expect("a URL");
        let accounts: Arc<dyn Accounts> = opener.database("store", &url).await.expect("opens");
        let sign_in = SignIn::new(accounts.clone(), Arc::new(clock.clone()), settings);
        Self { sign_in, clock, accounts, _folder: folder }
    }

    /// Somebody who has set their password.
    pub(crate) async fn person(&self, name: &str) -> Account {
        let (_, link) = self.sign_in.invite(name, clinician()).await.expect("added");
        self.sign_in.redeem(&link.expose(), PASSWORD).await.expect("redeemed")
    }

    pub(crate) async fn enter(&self, name: &str, password: &str) -> Result<Opened, SignInError> {
        self.sign_in.sign_in(name, password, None, "a test").await
    }

    pub(crate) async fn is_open(&self, secret: &Secret) -> bool {
        self.sign_in.session(&secret.expose()).await.expect("answers").is_some()
    }
}

pub(crate) fn clinician() -> Grants {
    ["clinician@north"].iter().map(|grant| grant.parse::<Grant>().expect("a grant")).collect()
}

/// Whether the answer is the one that tells nothing.
pub(crate) fn is_wrong<T>(answer: Result<T, SignInError>) -> bool {
    matches!(answer, Err(SignInError::Wrong))
}
