//! What an upload is said to show: it becomes metadata of the object, where any S3 client may put it too.

use lobar_core::object_store::ObjectMetadata;
use lobar_core::study::{METADATA, encode, of_metadata};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::problem::{Kind, Problem};

/// S3 takes 2 KiB of metadata for an object; some is left for the lane.
const BYTES_MAX: usize = 1_900;

/// Whom an upload shows, for files that do not say it themselves: JPEG and PNG. What a DICOM file says counts more.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    /// The patient's id at the site.
    pub(crate) patient_id: Option<String>,
    /// Who gave out the id; left out where that is the site.
    pub(crate) patient_issuer: Option<String>,
    /// As DICOM writes names: `Doe^Jane`.
    pub(crate) patient_name: Option<String>,
    /// `YYYYMMDD` or `YYYY-MM-DD`.
    pub(crate) patient_birth_date: Option<String>,
    /// `M`, `F`, `O`.
    pub(crate) patient_sex: Option<String>,
    /// The accession number: images of one are one study.
    pub(crate) accession: Option<String>,
    /// `YYYYMMDD` or `YYYY-MM-DD`.
    pub(crate) study_date: Option<String>,
    /// `PA`, `AP`, `LL`.
    pub(crate) view_position: Option<String>,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Said(…)")
    }
}

impl Said {
    /// The field of a name, if there is one.
    pub(crate) fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "patient_id" => &mut self.patient_id,
            "patient_issuer" => &mut self.patient_issuer,
            "patient_name" => &mut self.patient_name,
            "patient_birth_date" => &mut self.patient_birth_date,
            "patient_sex" => &mut self.patient_sex,
            "accession" => &mut self.accession,
            "study_date" => &mut self.study_date,
            "view_position" => &mut self.view_position,
            _ => return None,
        })
    }

    /// As the object's metadata.
    ///
    /// # Errors
    /// What would not be kept: an id that is too long, a date that is none.
    pub(crate) fn metadata(&self) -> Result<ObjectMetadata, Problem> {
        let values = [
            &self.patient_id,
            &self.patient_issuer,
            &self.patient_name,
            &self.patient_birth_date,
            &self.patient_sex,
            &self.accession,
            &self.study_date,
            &self.view_position,
        ];
        let said = METADATA.iter().zip(values).filter_map(|(name, value)| {
            let value = value.as_deref().filter(|value| !value.trim().is_empty())?;
            Some(((*name).to_owned(), encode(value)))
        });
        let metadata: ObjectMetadata = said.collect();
        let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > BYTES_MAX {
            let detail = "What is said of the patient and the study is too long.";
            return Err(Problem::new(Kind::BadParameter, detail));
        }
        let kept = of_metadata(&metadata).unwrap_or_default();
        // A text that would be cut off is refused, too.
        let whole = |given: &Option<String>, kept: &Option<String>| {
            given.as_deref().map(str::trim) == kept.as_deref()
        };
        let [_, _, given_name, _, _, given_accession, _, given_view] = values;
        for (name, is_kept) in [
            ("patient-id", !kept.patient.id.id.is_empty()),
            ("patient-issuer", !kept.patient.id.issuer.is_empty()),
            ("patient-name", whole(given_name, &kept.patient.name)),
            ("patient-birth-date", kept.patient.birth_date.is_some()),
            ("patient-sex", kept.patient.sex.is_some()),
            ("accession", whole(given_accession, &kept.study.accession)),
            ("study-date", kept.study.date.is_some()),
            ("view-position", whole(given_view, &kept.instance.view_position)),
        ] {
            if metadata.get(name).is_some() && !is_kept {
                let field = name.replace('-', "_");
                let detail = format!("`{field}` is not what it can be: see docs/patients.md.");
                return Err(Problem::new(Kind::BadParameter, detail));
            }
        }
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_kept_is_refused() {
        let said = |field: &str, value: &str| {
            let mut said = Said::default();
            *said.field(field).expect("a field") = Some(value.into());
            said.metadata()
        };
        let long = "A".repeat(65);
        for (field, value) in [
            ("patient_id", "7\n1"),
            ("patient_issuer", "north"),
            ("patient_birth_date", "yesterday"),
            ("patient_sex", "female"),
            ("study_date", "20261341"),
            ("accession", "\u{1}"),
            ("accession", &*long),
            ("view_position", &*long),
        ] {
            assert!(said(field, value).is_err(), "{field}: {value}");
        }
        let name = said("patient_name", "Müller^Jana").expect("kept");
        assert_eq!(name.get("patient-name"), Some("M%C3%BCller^Jana"));
        assert!(said("patient_name", &"ü".repeat(1_000)).is_err());
        assert_eq!(said("patient_id", " ").expect("nothing").iter().count(), 0);
    }
}
