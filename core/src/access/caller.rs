//! Who asks.

use uuid::Uuid;

use super::Grants;

/// Which person or machine. Names are personal: `Debug` and logs have the id alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Who {
    /// A person with an account.
    Person {
        /// The account's id.
        id: Uuid,
        /// The name they sign in with.
        name: String,
    },
    /// A machine with a token.
    Machine {
        /// The token's id.
        id: Uuid,
        /// What its admin calls it.
        name: String,
    },
    /// Whoever uses the machine that Lobar runs on, over loopback, as long as nobody has an account.
    Local,
}

impl Who {
    /// What records call them: a person's or a machine's name, or `local`.
    pub fn name(&self) -> &str {
        match self {
            Self::Person { name, .. } | Self::Machine { name, .. } => name,
            Self::Local => "local",
        }
    }

    /// The account's or the token's id; the nil UUID for the local user.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Person { id, .. } | Self::Machine { id, .. } => *id,
            Self::Local => Uuid::nil(),
        }
    }
}

impl std::fmt::Debug for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Person { .. } => "person",
            Self::Machine { .. } => "machine",
            Self::Local => return f.write_str("local"),
        };
        write!(f, "{kind} {}", self.id())
    }
}

/// Who asks, and what they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Which person or machine.
    pub who: Who,
    /// What they were granted.
    pub grants: Grants,
}

impl Caller {
    /// The local user, who may do everything.
    pub fn local() -> Self {
        Self { who: Who::Local, grants: Grants::everything() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_reaches_debug_output() {
        let id = Uuid::from_u128(7);
        let who = Who::Person { id, name: "Dr Doe".into() };
        assert_eq!(format!("{who:?}"), format!("person {id}"));
    }
}
