//! `manifest.csv`: what file names do not tell. Columns are found by their names: `file` and
//! `patient` are needed; `split`, `subtype`, `orig_w` and `orig_h` are used where present.

use std::collections::HashMap;
use std::path::Path;

use super::{DatasetError, Etiology};

/// What the manifest says of one picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Who is shown.
    pub patient: String,
    /// What the pneumonia is caused by.
    pub subtype: Option<Etiology>,
    /// Width and height of the original in pixels.
    pub original_size: Option<(u32, u32)>,
}

/// Rows by file name, and by split where the manifest has that column.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    rows: HashMap<(String, String), Row>,
    has_split: bool,
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// A needed column is missing, a line has another number of fields, or fields are quoted.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|(line, reason)| DatasetError::Manifest {
            path: path.to_owned(),
            line,
            reason,
        })
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut lines = text.lines().enumerate();
        let header: Vec<&str> =
            lines.next().map_or("", |(_, line)| line).split(',').map(str::trim).collect();
        let column = |name: &str| header.iter().position(|title| *title == name);
        let needed = |name: &str| column(name).ok_or((1, format!("there is no column {name}")));
        let (file, patient) = (needed("file")?, needed("patient")?);
        let (split, subtype) = (column("split"), column("subtype"));
        let (width, height) = (column("orig_w"), column("orig_h"));
        let mut rows = HashMap::new();
        for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let at = index + 1;
            if line.contains('"') {
                return Err((at, "quoted fields are not understood: write plain ones".into()));
            }
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            if fields.len() != header.len() {
                return Err((
                    at,
                    format!("{} fields where the header has {}", fields.len(), header.len()),
                ));
            }
            let field = |column: Option<usize>| column.map_or("", |column| fields[column]);
            let size = field(width).parse().ok().zip(field(height).parse().ok());
            let row = Row {
                patient: fields[patient].to_owned(),
                subtype: Etiology::parse(field(subtype)),
                original_size: size,
            };
            if !row.patient.is_empty() {
                rows.insert((field(split).to_owned(), fields[file].to_owned()), row);
            }
        }
        Ok(Self { rows, has_split: split.is_some() })
    }

    /// What is said of the file `name` in the folder `split`.
    #[must_use]
    pub fn row(&self, split: &str, name: &str) -> Option<&Row> {
        let split = if self.has_split { split } else { "" };
        self.rows.get(&(split.to_owned(), name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_split_and_file() {
        let text = "file,split,patient,subtype,orig_w,orig_h\na.jpeg,train,p1,virus,640,480\na.jpeg,test,p2,,,\n";
        let manifest = Manifest::parse(text).unwrap();
        let row = manifest.row("train", "a.jpeg").unwrap();
        assert_eq!(
            (row.patient.as_str(), row.subtype, row.original_size),
            ("p1", Some(Etiology::Viral), Some((640, 480)))
        );
        let row = manifest.row("test", "a.jpeg").unwrap();
        assert_eq!((row.patient.as_str(), row.subtype, row.original_size), ("p2", None, None));
        assert_eq!(manifest.row("val", "a.jpeg"), None);
    }

    #[test]
    fn a_manifest_without_splits_serves_all_of_them() {
        let manifest = Manifest::parse("patient,file\np1,a.jpeg\n").unwrap();
        assert_eq!(manifest.row("test", "a.jpeg").unwrap().patient, "p1");
    }

    #[test]
    fn a_malformed_line_is_named() {
        assert_eq!(Manifest::parse("file,patient\na\n").unwrap_err().0, 2);
        assert_eq!(Manifest::parse("file,patient\n\"a,b\",c\n").unwrap_err().0, 2);
        assert!(Manifest::parse("file\na\n").unwrap_err().1.contains("patient"));
    }
}
