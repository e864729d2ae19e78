//! Whom files show that do not say it themselves, as arguments of `lobar upload`.

use clap::Args;
use lobar_upload::Identity;

/// docs/patients.md.
#[derive(Args)]
#[command(
    next_help_heading = "Whom JPEG and PNG show (the same for all files; what a DICOM file says counts more)"
)]
pub struct Whose {
    /// The patient's id at the site.
    #[arg(long, value_name = "ID")]
    patient_id: Option<String>,
    /// Who gave out the id; left out where that is the site.
    #[arg(long, value_name = "ISSUER", requires = "patient_id")]
    patient_issuer: Option<String>,
    /// As DICOM writes names: Doe^Jane.
    #[arg(long, value_name = "NAME")]
    patient_name: Option<String>,
    /// YYYYMMDD or YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    patient_birth_date: Option<String>,
    /// M, F or O.
    #[arg(long, value_name = "SEX")]
    patient_sex: Option<String>,
    /// The accession number: images of one number and patient are one study.
    #[arg(long, value_name = "NUMBER")]
    accession: Option<String>,
    /// YYYYMMDD or YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    study_date: Option<String>,
    /// PA, AP or LL.
    #[arg(long, value_name = "VIEW")]
    view_position: Option<String>,
}

impl From<Whose> for Identity {
    fn from(whose: Whose) -> Self {
        Self {
            patient_id: whose.patient_id,
            patient_issuer: whose.patient_issuer,
            patient_name: whose.patient_name,
            patient_birth_date: whose.patient_birth_date,
            patient_sex: whose.patient_sex,
            accession: whose.accession,
            study_date: whose.study_date,
            view_position: whose.view_position,
        }
    }
}
