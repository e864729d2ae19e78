//! Roles, and the table of what each allows.

use std::fmt;
use std::str::FromStr;

use super::Right;

/// What somebody is at some sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads images and gives verdicts.
    Clinician,
    /// Sees images and results, and changes nothing: a machine that fetches results, a student.
    Reader,
    /// Puts images in, and sees none.
    Uploader,
    /// Runs queues, quarantine and models, and sees no images.
    Operator,
    /// Reads the record of who saw and did what.
    Auditor,
    /// Manages people, tokens and sites, erases images, and sees none.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Clinician, Self::Reader, Self::Uploader, Self::Operator, Self::Auditor, Self::Admin];

    /// Whether this role has that right: the whole table. What is not named is refused.
    pub fn allows(self, right: Right) -> bool {
        match right {
            Right::Open | Right::Own => true,
            Right::ReadImages => matches!(self, Self::Clinician | Self::Reader),
            Right::GiveVerdicts => matches!(self, Self::Clinician),
            Right::Upload => matches!(self, Self::Clinician | Self::Uploader),
            Right::Predict => matches!(self, Self::Clinician),
            // Whoever says that two are one must see the images of both.
            Right::ManagePatients => matches!(self, Self::Clinician),
            // Nobody who works with images takes them out of the record's reach.
            Right::EraseImages => matches!(self, Self::Admin),
            // The page shows a model's validated figures beside each result.
            Right::ReadModels => !matches!(self, Self::Uploader),
            Right::ManageModels => matches!(self, Self::Operator),
            Right::ReadQueues => matches!(self, Self::Operator | Self::Admin),
            Right::ManageQuarantine => matches!(self, Self::Operator),
            Right::ManagePeople => matches!(self, Self::Admin),
            Right::ReadAudit => matches!(self, Self::Auditor),
        }
    }

    /// Whether it allows anything that belongs to one site. The others are held everywhere, or allow nothing.
    pub fn is_of_a_site(self) -> bool {
        Right::ALL.into_iter().any(|right| right.is_of_a_site() && self.allows(right))
    }

    /// The word used in storage, HTTP and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clinician => "clinician",
            Self::Reader => "reader",
            Self::Uploader => "uploader",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = || Self::ALL.map(Self::as_str).join(", ");
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| format!("no such role; there are {}", words()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_from_its_own_word() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn the_table_of_rights_is_this_one() {
        let rows = Right::ALL.map(|right| {
            let roles = Role::ALL.into_iter().filter(|role| role.allows(right));
            let roles: Vec<_> = roles.map(Role::as_str).collect();
            format!("{}: {}", right.as_str(), roles.join(" "))
        });
        assert_eq!(
            rows,
            [
                "open: clinician reader uploader operator auditor admin",
                "own: clinician reader uploader operator auditor admin",
                "read_images: clinician reader",
                "give_verdicts: clinician",
                "upload: clinician uploader",
                "predict: clinician",
                "manage_patients: clinician",
                "erase_images: admin",
                "read_models: clinician reader operator auditor admin",
                "manage_models: operator",
                "read_queues: operator admin",
                "manage_quarantine: operator",
                "manage_people: admin",
                "read_audit: auditor",
            ]
        );
    }
}
