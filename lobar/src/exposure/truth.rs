//! Labels to compare opinions with, from a file.

use std::collections::BTreeMap;
use std::path::Path;

use lobar_core::finding::Label;
use lobar_core::object::ImageId;

use crate::failure::Failure;

/// Lines `IMAGE,LABEL`; the first may be `image,label`.
pub(super) fn read(file: &Path) -> Result<BTreeMap<ImageId, Label>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::failed(format!("--truth {}: {error}", file.display())))?;
    parse(&text).map_err(|why| Failure::failed(format!("--truth {}: {why}", file.display())))
}

fn parse(text: &str) -> Result<BTreeMap<ImageId, Label>, String> {
    let mut labels = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || (at == 0 && line.eq_ignore_ascii_case("image,label")) {
            continue;
        }
        // Nothing of the line is told: it may hold what should not be in this file.
        let wrong = || format!("line {} is not IMAGE,PNEUMONIA or IMAGE,NORMAL", at + 1);
        let (image, label) = line.split_once(',').ok_or_else(wrong)?;
        let image: ImageId = image.trim().parse().map_err(|_| wrong())?;
        let label = Label::parse(label.trim()).ok_or_else(wrong)?;
        if labels.insert(image, label).is_some_and(|before| before != label) {
            return Err(format!("line {} contradicts an earlier one on the same image", at + 1));
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00000000-0000-0000-0000-000000000001";

    #[test]
    fn images_with_labels_are_read_and_what_contradicts_itself_is_refused() {
        let read = parse(&format!("image,label\n{ONE},NORMAL\r\n\n{ONE}, NORMAL\n"));
        assert_eq!(
            read.map(|labels| labels.into_values().collect::<Vec<_>>()),
            Ok(vec![Label::Normal])
        );
        assert_eq!(parse(""), Ok(BTreeMap::new()));
        for wrong in [
            format!("{ONE},normal"),
            format!("{ONE};NORMAL"),
            "Doe, Jane,NORMAL".into(),
            format!("{ONE},NORMAL\n{ONE},PNEUMONIA"),
        ] {
            let why = parse(&wrong).expect_err("refused");
            assert!(why.contains("line ") && !why.contains("Doe"), "{why}");
        }
    }
}
