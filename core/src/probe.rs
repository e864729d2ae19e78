//! Probes: objects that `lobar doctor --probe` puts into the uploads bucket to see whether they are told of. They are no
//! uploads: ingest notes their arrival, and nothing else becomes of them.

use uuid::Uuid;

/// Under the prefix of all uploads, since buckets may announce only that; under a site of its own.
const FOLDER: &str = "incoming/lobar-doctor/probe/";

/// The key of a probe.
pub fn key(probe: Uuid) -> String {
    format!("{FOLDER}{probe}")
}

/// The probe whose key this is; `None` for every other key.
pub fn of(key: &str) -> Option<Uuid> {
    let name = key.strip_prefix(FOLDER)?;
    name.parse().ok().filter(|probe: &Uuid| probe.to_string() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_probe_s_own_key_is_one() {
        let probe = Uuid::from_u128(7);
        assert_eq!(of(&key(probe)), Some(probe));
        for other in [
            "incoming/lobar-doctor/probe/",
            "incoming/lobar-doctor/probe/1.jpg",
            "incoming/lobar-doctor/probe/00000000000000000000000000000007",
            "incoming/lobar-doctor/00000000-0000-0000-0000-000000000007",
            "incoming/north/1.jpg",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(of(&(key(probe) + ".jpg")), None);
    }
}
