//! What can be allowed.

/// What a route or a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Anybody, signed in or not: the page's own files, signing in, probes. Nothing of an image or a person.
    Open,
    /// Whoever is signed in, about themselves: their session, their password.
    Own,
    /// See images of a site: lists, results, pictures, heatmaps, verdicts, events.
    ReadImages,
    /// Give verdicts on images of a site.
    GiveVerdicts,
    /// Put images into a site.
    Upload,
    /// Put an image into a site and wait for its result.
    Predict,
    /// Merge, separate and correct patients of a site, and move studies between them.
    ManagePatients,
    /// Erase images for good, of every site. The images themselves are not shown by it.
    EraseImages,
    /// See models, their cards and their history.
    ReadModels,
    /// Register, activate and retire models.
    ManageModels,
    /// See queues, backlogs and workers.
    ReadQueues,
    /// See, replay and discard what is in quarantine, which bears names of objects of every site.
    ManageQuarantine,
    /// Add, change and disable people, machines' tokens and sites.
    ManagePeople,
    /// Read the record of who saw and did what.
    ReadAudit,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Open,
        Self::Own,
        Self::ReadImages,
        Self::GiveVerdicts,
        Self::Upload,
        Self::Predict,
        Self::ManagePatients,
        Self::EraseImages,
        Self::ReadModels,
        Self::ManageModels,
        Self::ReadQueues,
        Self::ManageQuarantine,
        Self::ManagePeople,
        Self::ReadAudit,
    ];

    /// The word used in the audit record and in refusals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Own => "own",
            Self::ReadImages => "read_images",
            Self::GiveVerdicts => "give_verdicts",
            Self::Upload => "upload",
            Self::Predict => "predict",
            Self::ManagePatients => "manage_patients",
            Self::EraseImages => "erase_images",
            Self::ReadModels => "read_models",
            Self::ManageModels => "manage_models",
            Self::ReadQueues => "read_queues",
            Self::ManageQuarantine => "manage_quarantine",
            Self::ManagePeople => "manage_people",
            Self::ReadAudit => "read_audit",
        }
    }

    /// Whether it is about what belongs to one site. The others are about all of Lobar: a role allows them only
    /// where it is held at every site.
    pub fn is_of_a_site(self) -> bool {
        matches!(
            self,
            Self::ReadImages
                | Self::GiveVerdicts
                | Self::Upload
                | Self::Predict
                | Self::ManagePatients
        )
    }
}
