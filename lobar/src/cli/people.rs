//! The command line of people, machines' tokens and sites.

use clap::{Args, Subcommand};
use lobar_core::access::{Grant, SiteName};
use url::Url;

use super::Service;
use crate::settings::RetentionPeriod;

#[derive(Subcommand)]
pub enum User {
    /// List everybody.
    List {
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Add somebody, and print the link by which they set their password.
    Add {
        /// The name to sign in with.
        name: String,
        #[command(flatten)]
        grants: GrantArgs,
        #[command(flatten)]
        link: LinkArgs,
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Say anew what somebody may do, in the place of what they were granted before. It holds at once, in open
    /// sessions too.
    Grant {
        /// Their name.
        name: String,
        #[command(flatten)]
        grants: GrantArgs,
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Keep somebody out: their sessions end and their link is void. What they did stays on record.
    Disable {
        /// Their name.
        name: String,
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Let somebody in again.
    Enable {
        /// Their name.
        name: String,
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Print a link by which somebody sets another password. Until they do, everything stays as it is.
    Reset {
        /// Their name.
        name: String,
        /// Ask them for no one-time codes any more: for who has lost the device that shows them.
        #[arg(long)]
        forget_codes: bool,
        #[command(flatten)]
        link: LinkArgs,
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// List where somebody is signed in.
    Sessions {
        /// Their name.
        name: String,
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Sign somebody out everywhere.
    SignOut {
        /// Their name.
        name: String,
        #[command(flatten)]
        args: PeopleArgs,
    },
}

#[derive(Subcommand)]
pub enum Token {
    /// List all tokens, those that are over too, without their secrets.
    List {
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Add a token, and print it this once.
    Add {
        /// What it is for; each name once.
        name: String,
        #[command(flatten)]
        grants: GrantArgs,
        /// How long it is good: days (`90d`), hours (`12h`), `forever`.
        #[arg(long, value_name = "TIME", default_value = "365d")]
        expires: RetentionPeriod,
        /// Print an S3 key pair for the embedded endpoint too. It allows what the token does, and ends with it.
        #[arg(long)]
        s3: bool,
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// End a token. It is of no use at once.
    Revoke {
        /// Its name.
        name: String,
        #[command(flatten)]
        args: PeopleArgs,
    },
}

#[derive(Subcommand)]
pub enum Site {
    /// List the sites that grants can name.
    List {
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Add a site: what is uploaded below `incoming/NAME/` belongs to it.
    Add {
        /// Letters, digits, `.`, `_`, `-`; at most 63.
        name: SiteName,
        #[command(flatten)]
        args: PeopleArgs,
    },
    /// Take a site from the list. Its images stay, and so do grants to it.
    Remove {
        /// Its name.
        name: SiteName,
        #[command(flatten)]
        args: PeopleArgs,
    },
}

/// What somebody may do.
#[derive(Args)]
pub struct GrantArgs {
    /// A role and its sites: `clinician@north`, `reader@north,south`, `admin@*`. May be repeated. Roles are clinician,
    /// reader, uploader, operator, auditor, admin.
    #[arg(long = "grant", value_name = "ROLE@SITES", required = true)]
    pub grants: Vec<Grant>,
    /// Add sites that are not known yet.
    #[arg(long)]
    pub new_site: bool,
}

/// Where links lead.
#[derive(Args)]
pub struct LinkArgs {
    /// The page's address, as those who get the link reach it; the listen address when left out.
    #[arg(long, value_name = "URL")]
    pub url: Option<Url>,
}

/// Whose people, and how to answer.
#[derive(Args)]
pub struct PeopleArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub service: Service,
}

impl User {
    /// Whose people are meant, and how to answer.
    pub fn args(&self) -> &PeopleArgs {
        match self {
            Self::List { args }
            | Self::Add { args, .. }
            | Self::Grant { args, .. }
            | Self::Disable { args, .. }
            | Self::Enable { args, .. }
            | Self::Reset { args, .. }
            | Self::Sessions { args, .. }
            | Self::SignOut { args, .. } => args,
        }
    }
}

impl Token {
    /// Whose tokens are meant, and how to answer.
    pub fn args(&self) -> &PeopleArgs {
        match self {
            Self::List { args } | Self::Add { args, .. } | Self::Revoke { args, .. } => args,
        }
    }
}

impl Site {
    /// Whose sites are meant, and how to answer.
    pub fn args(&self) -> &PeopleArgs {
        match self {
            Self::List { args } | Self::Add { args, .. } | Self::Remove { args, .. } => args,
        }
    }
}
