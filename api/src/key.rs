//! Keys under which uploads of this program are stored. Personal data: never logged, never shown.

use lobar_core::image::Lane;
use uuid::Uuid;

/// Longest part of a file name that is kept, in bytes.
const NAME_MAX: usize = 80;

/// Longest name of the folder of an upload, in bytes.
pub(crate) const FOLDER_MAX: usize = 64;

/// Whether a text can name the folder of an upload: letters, digits and `-`, at most 64.
pub(crate) fn is_folder(text: &str) -> bool {
    (1..=FOLDER_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A fresh key: `incoming/{site}/[stat/]{uuid}/{name}`.
pub(crate) fn fresh(site: &str, lane: Lane, name: &str) -> String {
    within(site, lane, &Uuid::now_v7().to_string(), name)
}

/// The key of a file in a folder that its uploader chose: the same again for the same file.
pub(crate) fn within(site: &str, lane: Lane, folder: &str, name: &str) -> String {
    let lane = if lane == Lane::Stat { "stat/" } else { "" };
    format!("incoming/{site}/{lane}{folder}/{}", sanitised(name))
}

/// The last component of a client's file name, every byte outside `[A-Za-z0-9._-]` made `_`.
fn sanitised(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let clean: String = last.chars().map(kept).take(NAME_MAX).collect();
    if clean.trim_matches(['.', '_']).is_empty() { "image".into() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_site_and_the_lane_and_cannot_leave_them() {
        let key = fresh("north", Lane::Stat, "../../etc/M\u{fc}ller 1.jpg");
        assert!(key.starts_with("incoming/north/stat/") && key.ends_with("/M_ller_1.jpg"), "{key}");
        assert!(fresh("north", Lane::Routine, "..").ends_with("/image"));
        assert!(fresh("a", Lane::Routine, &"x".repeat(900)).len() < 200);
    }

    #[test]
    fn the_same_file_in_the_same_folder_has_the_same_key() {
        let key = within("north", Lane::Routine, "0a1b", "1.jpg");
        assert_eq!(key, "incoming/north/0a1b/1.jpg");
        assert!(is_folder("0a-1B") && !is_folder("") && !is_folder("a/b") && !is_folder(".."));
        assert!(!is_folder(&"a".repeat(65)));
    }
}
