//! What parameters of several routes have in common.

use crate::problem::{Kind, Problem};

/// How many are asked for: 1 to `most`, `default` when nothing is said.
pub(super) fn read_limit(
    text: Option<&str>,
    default: usize,
    most: usize,
) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(default) };
    text.parse().ok().filter(|limit| (1..=most).contains(limit)).ok_or_else(|| {
        Problem::new(Kind::BadParameter, format!("`limit` is a number from 1 to {most}."))
    })
}

#[cfg(test)]
mod tests {
    use super::read_limit;

    #[test]
    fn a_limit_is_a_number_within_its_bounds() {
        assert_eq!(read_limit(None, 50, 200).ok(), Some(50));
        assert_eq!(read_limit(Some("200"), 50, 200).ok(), Some(200));
        for bad in ["0", "201", "-1", "ten", ""] {
            assert!(read_limit(Some(bad), 50, 200).is_err(), "{bad}");
        }
    }
}
