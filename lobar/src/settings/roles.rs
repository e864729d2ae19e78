//! What one process does.

use std::collections::BTreeSet;
use std::str::FromStr;

/// One part of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The embedded S3 endpoint.
    S3,
    /// Notification to durable job.
    Ingest,
    /// Images from modalities and PACS, by DICOM.
    Dicom,
    /// Job to result.
    Worker,
    /// HTTP, events, the page.
    Api,
    /// Starts and drains worker processes: `lobar autoscale`.
    Autoscale,
}

impl Role {
    /// The roles that one process may have at once, in the order in which they start.
    pub const ALL: [Role; 5] = [Role::S3, Role::Ingest, Role::Dicom, Role::Worker, Role::Api];

    /// Its word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::S3 => "s3",
            Role::Ingest => "ingest",
            Role::Dicom => "dicom",
            Role::Worker => "worker",
            Role::Api => "api",
            Role::Autoscale => "autoscale",
        }
    }
}

/// A set of roles: `ingest,worker,api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// All of them.
    pub fn all() -> Self {
        Self(Role::ALL.into())
    }

    /// The one that runs other processes.
    #[cfg(feature = "torch")]
    pub fn autoscale() -> Self {
        Self([Role::Autoscale].into())
    }

    /// Whether `role` is among them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether it is all of them.
    pub fn is_all(&self) -> bool {
        Role::ALL.iter().all(|role| self.has(*role))
    }

    /// Whether ingest, worker and api all live in this process.
    pub fn is_whole(&self) -> bool {
        [Role::Ingest, Role::Worker, Role::Api].iter().all(|role| self.has(*role))
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = self.0.iter().map(|role| role.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let roles = text.split(',').map(|word| {
            let known = Role::ALL.into_iter().find(|role| role.as_str() == word.trim());
            known.ok_or_else(|| {
                format!("{word:?} is no role; roles are s3, ingest, dicom, worker, api")
            })
        });
        roles.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_from_a_list_and_unknown_ones_refused_by_name() {
        let roles: Roles = "api, ingest".parse().expect("known");
        assert!(roles.has(Role::Api) && !roles.has(Role::Worker) && !roles.is_whole());
        assert_eq!(roles.to_string(), "ingest,api");
        assert!("ingset".parse::<Roles>().expect_err("unknown").contains("ingset"));
        assert!(Roles::all().is_whole());
    }
}
