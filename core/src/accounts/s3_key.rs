//! S3 key pairs of machines and people, for the embedded S3 endpoint.
//!
//! A signature of S3 (AWS Signature Version 4) is made with the secret key itself, so a server that checks one needs the
//! secret and not its hash. Nothing is stored: the access key names the token or the account, and its secret is computed
//! from that and the operator's own secret key (RFC 2104). Whoever replaces the operator's key pair replaces all of them.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use super::{AccountId, TokenId};
use crate::access::Who;

/// What a secret key begins with, so that scanners of code and logs can recognise one that leaked.
const PREFIX: &str = "lobar_k_";
/// What an access key begins with; a letter for the kind of its owner follows, and the owner's id.
const ACCESS_KEY: &str = "LOBAR";
/// Says what the operator's secret is used for here, and nowhere else.
const CONTEXT: &str = "lobar s3 key pair 1\n";
/// The fewest characters that the operator's secret has where key pairs are made of it. Who holds one of these could try
/// to guess a shorter one.
const OPERATOR_SECRET_MIN: usize = 32;

/// Whose a key pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyOwner {
    /// A machine with a token.
    Machine(TokenId),
    /// A person with an account: links to upload that the api gives them are signed so.
    Person(AccountId),
    /// The local user.
    Local,
}

impl KeyOwner {
    /// The owner that an access key names; `None` for one that was not made here.
    pub fn parse(access_key: &str) -> Option<Self> {
        let rest = access_key.strip_prefix(ACCESS_KEY)?;
        let (kind, id) = rest.split_at_checked(1)?;
        let plain = id.len() == 32 && !id.bytes().any(|byte| byte.is_ascii_lowercase());
        let id = Uuid::try_parse(id).ok().filter(|_| plain)?;
        match kind {
            "M" => Some(Self::Machine(TokenId(id))),
            "P" => Some(Self::Person(AccountId(id))),
            "L" => id.is_nil().then_some(Self::Local),
            _ => None,
        }
    }

    /// Its access key: 38 capital letters and digits. It is no secret, and fit for logs.
    pub fn access_key(self) -> String {
        let (kind, id) = match self {
            Self::Machine(id) => ('M', id.0),
            Self::Person(id) => ('P', id.0),
            Self::Local => ('L', Uuid::nil()),
        };
        format!("{ACCESS_KEY}{kind}{}", id.simple().to_string().to_ascii_uppercase())
    }
}

impl From<&Who> for KeyOwner {
    fn from(who: &Who) -> Self {
        match who {
            Who::Person { id, .. } => Self::Person(AccountId(*id)),
            Who::Machine { id, .. } => Self::Machine(TokenId(*id)),
            Who::Local => Self::Local,
        }
    }
}

/// An access key and its secret key. `Debug` leaves the secret out.
#[derive(Clone, PartialEq, Eq)]
pub struct S3KeyPair {
    /// Names the owner.
    pub access_key: String,
    /// What requests are signed with.
    pub secret_key: String,
}

impl fmt::Debug for S3KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3KeyPair({})", self.access_key)
    }
}

/// Makes the secret keys. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct S3Keys(Hmac<Sha256>);

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Keys")
    }
}

impl S3Keys {
    /// From the operator's secret key; `None` where it has fewer than 32 characters.
    pub fn of_operator(secret_key: &str) -> Option<Self> {
        let long = secret_key.chars().count() >= OPERATOR_SECRET_MIN;
        // A key of any length is one (RFC 2104, section 2).
        let mac = Hmac::new_from_slice(secret_key.as_bytes()).ok();
        mac.filter(|_| long).map(Self)
    }

    /// The key pair of an owner. That it exists gives no right: those are the token's or the account's.
    pub fn pair(&self, owner: KeyOwner) -> S3KeyPair {
        let access_key = owner.access_key();
        let mac = self.0.clone().chain_update(CONTEXT).chain_update(&access_key);
        let secret_key = format!("{PREFIX}{}", hex::encode(mac.finalize().into_bytes()));
        S3KeyPair { access_key, secret_key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: &str = "0123456789012345678901234567890123456789";

    fn keys(secret: &str) -> S3Keys {
        S3Keys::of_operator(secret).expect("long enough")
    }

    #[test]
    fn an_access_key_names_its_owner_and_nobody_else() {
        let id = Uuid::from_u128(0xabcd_ef01);
        for owner in
            [KeyOwner::Machine(TokenId(id)), KeyOwner::Person(AccountId(id)), KeyOwner::Local]
        {
            let key = owner.access_key();
            assert_eq!((KeyOwner::parse(&key), key.len()), (Some(owner), 38));
            assert_eq!(KeyOwner::parse(&key.to_lowercase()), None);
            assert_eq!(KeyOwner::parse(&key[..37]), None);
            assert_eq!(KeyOwner::parse(&format!("{key}0")), None);
        }
        for none in ["", "LOBAR", "LOBARM", "AKIAIOSFODNN7EXAMPLE", "LOBAR\u{e4}", "LOBARX"] {
            assert_eq!(KeyOwner::parse(none), None, "{none}");
        }
        assert_eq!(KeyOwner::parse("LOBARM00000000-0000-0000-0000-000000000001"), None);
        assert_eq!(KeyOwner::parse(&format!("LOBARL{}", "1".repeat(32))), None);
    }

    #[test]
    fn a_secret_depends_on_its_owner_and_on_the_operators_secret_and_on_nothing_else() {
        let id = Uuid::from_u128(7);
        let (machine, person) = (KeyOwner::Machine(TokenId(id)), KeyOwner::Person(AccountId(id)));
        let pair = keys(OPERATOR).pair(machine);
        assert_eq!(keys(OPERATOR).pair(machine), pair);
        assert_ne!(keys(OPERATOR).pair(person).secret_key, pair.secret_key);
        assert_ne!(keys(&OPERATOR.replace('9', "8")).pair(machine).secret_key, pair.secret_key);
        assert!(pair.secret_key.starts_with(PREFIX) && pair.secret_key.len() == 72);
        assert!(!format!("{pair:?} {:?}", keys(OPERATOR)).contains(PREFIX));
    }

    #[test]
    fn no_key_pair_is_made_of_a_secret_that_can_be_guessed() {
        assert!(S3Keys::of_operator("minioadmin").is_none());
        assert!(S3Keys::of_operator(&OPERATOR[..31]).is_none());
    }
}
