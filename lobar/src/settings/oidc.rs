//! The OpenID Connect provider: a name, or none of it is set.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lobar_oidc::{ClaimPath, ClientSecret, GroupRoles, Issuer, OidcSettings};

use super::credentials::Secret;
use super::{LocalPath, PartialSettings, SessionTime};
use crate::failure::Failure;

/// The variable with the client's secret, which no flag and no file of settings holds.
pub const SECRET: &str = "LOBAR_OIDC_CLIENT_SECRET";

/// A word that a provider knows: a client's id, a scope. Printable ASCII, at most 200 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(String);

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let is_word = !text.is_empty()
            && text.len() <= 200
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        match is_word {
            true => Ok(Self(text.to_owned())),
            false => Err("it is no word of 1 to 200 characters without a space"),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the page calls the provider: 1 to 40 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(String);

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let is_label =
            (1..=40).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        match is_label {
            true => Ok(Self(text.to_owned())),
            false => Err("it is no name of 1 to 40 characters"),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The provider, settled.
#[derive(Clone, Debug, PartialEq)]
pub struct OidcProvider {
    pub issuer: Issuer,
    pub client_id: Word,
    pub secret: Option<Secret>,
    /// Where it is, unless it is given itself.
    pub secret_file: Option<LocalPath>,
    pub scopes: Vec<Word>,
    pub groups_claim: ClaimPath,
    pub name_claim: ClaimPath,
    pub roles: GroupRoles,
    pub label: Label,
    pub session_max: Option<SessionTime>,
}

impl OidcProvider {
    /// As the api takes it.
    ///
    /// # Errors
    /// Of usage, when the file of the secret cannot be read.
    pub fn settings(&self) -> Result<OidcSettings, Failure> {
        let secret = match (&self.secret, &self.secret_file) {
            (Some(secret), _) => Some(secret.clone()),
            (None, Some(file)) => Some(read_secret(file)?),
            (None, None) => None,
        };
        Ok(OidcSettings {
            issuer: self.issuer.clone(),
            client_id: self.client_id.to_string(),
            client_secret: secret.map(|one| ClientSecret(one.reveal().to_owned())),
            scopes: self.scopes.iter().map(ToString::to_string).collect(),
            groups_claim: self.groups_claim.clone(),
            name_claim: self.name_claim.clone(),
            roles: self.roles.clone(),
            label: self.label.to_string(),
            longest: self.session_max.map_or(Duration::MAX, SessionTime::time),
        })
    }
}

/// Who the provider is, if one is set.
pub fn settle(
    given: &PartialSettings,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<OidcProvider>, Failure> {
    let secret = env(SECRET).map(|text| text.parse::<Secret>());
    let secret = secret.transpose().map_err(|why| Failure::usage(format!("{SECRET}: {why}")))?;
    let Some(issuer) = given.oidc_issuer.clone() else {
        // A slip of the pen must not turn a provider off.
        let named = [
            ("oidc_client_id", given.oidc_client_id.is_some()),
            (SECRET, secret.is_some()),
            ("oidc_client_secret_file", given.oidc_client_secret_file.is_some()),
            ("oidc_roles", given.oidc_roles.is_some()),
        ];
        return match named.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(Failure::usage(format!(
                "{name} is set and oidc_issuer is not; set LOBAR_OIDC_ISSUER, or none of them"
            ))),
            None => Ok(None),
        };
    };
    let missing = |name: &str, variable: &str| {
        Failure::usage(format!("oidc_issuer is {issuer}, and {name} is not set; set {variable}"))
    };
    let client_id = given.oidc_client_id.clone();
    let client_id = client_id.ok_or_else(|| missing("oidc_client_id", "LOBAR_OIDC_CLIENT_ID"))?;
    let roles = given.oidc_roles.clone();
    let roles = roles.ok_or_else(|| missing("oidc_roles", "LOBAR_OIDC_ROLES"))?;
    let path = |text: &'static str| text.parse::<ClaimPath>().map_err(Failure::usage);
    let words = |words: &[&str]| words.iter().map(|word| Word((*word).to_owned())).collect();
    Ok(Some(OidcProvider {
        issuer,
        client_id,
        secret,
        secret_file: given.oidc_client_secret_file.clone(),
        scopes: given.oidc_scopes.clone().unwrap_or_else(|| words(&["profile"])),
        groups_claim: given.oidc_groups_claim.clone().map_or_else(|| path("groups"), Ok)?,
        name_claim: given.oidc_name_claim.clone().map_or_else(|| path("preferred_username"), Ok)?,
        roles,
        label: given.oidc_label.clone().unwrap_or_else(|| Label("single sign-on".into())),
        session_max: given.oidc_session_max,
    }))
}

fn read_secret(file: &LocalPath) -> Result<Secret, Failure> {
    let refused =
        |why: &dyn fmt::Display| Failure::usage(format!("oidc_client_secret_file {file}: {why}"));
    let text = std::fs::read_to_string(file).map_err(|error| refused(&error))?;
    text.parse().map_err(|why: &str| refused(&why))
}
