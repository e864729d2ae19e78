//! What clients know of the bucket: what was acknowledged, and how each version must end.

use std::collections::HashMap;

/// How work on an image must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a model's result.
    Result,
    /// With this reason.
    Reason(&'static str),
    /// Another version took its place.
    Superseded,
    /// Its key was deleted after it was put.
    Removed,
    /// Its key was deleted, restored, and put over. Who is told of the restoration only then knows of the deletion and
    /// of the newer version: either is true.
    Gone,
}

/// An acknowledged version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The image's id.
    pub(crate) image: String,
    /// The reason when it cannot be assessed.
    pub(crate) reason: Option<&'static str>,
    deleted: bool,
    restored: bool,
}

/// The versions of one key, in order.
#[derive(Clone, Debug, Default)]
struct Key {
    versions: Vec<Version>,
    /// What was done, in order.
    story: Vec<String>,
    /// Whether a delete marker is on top.
    marked: bool,
}

/// The acknowledged history of every key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bucket(HashMap<String, Key>);

/// What must become of an image, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) site: String,
    pub(crate) end: End,
}

impl Bucket {
    /// A PUT was acknowledged.
    pub(crate) fn put(&mut self, key: &str, image: String, reason: Option<&'static str>) {
        let key = self.0.entry(key.to_owned()).or_default();
        key.story.push(format!("put {image}"));
        key.versions.push(Version { image, reason, deleted: false, restored: false });
        key.marked = false;
    }

    /// A delete marker was acknowledged.
    pub(crate) fn deleted(&mut self, key: &str) {
        let key = self.0.entry(key.to_owned()).or_default();
        key.story.push("deleted".into());
        key.marked = true;
        key.versions.iter_mut().for_each(|version| version.deleted = true);
    }

    /// The delete marker on top is gone: what was put last is there again.
    pub(crate) fn restored(&mut self, key: &str) {
        let key = self.0.entry(key.to_owned()).or_default();
        key.story.push("restored".into());
        key.marked = false;
        if let Some(last) = key.versions.last_mut() {
            (last.deleted, last.restored) = (false, true);
        }
    }

    /// Of every acknowledged version what must become of it.
    pub(crate) fn expected(&self) -> HashMap<String, Expected> {
        let mut expected = HashMap::new();
        for (name, key) in &self.0 {
            let site = name.split('/').nth(1).unwrap_or_default().to_owned();
            for (place, version) in key.versions.iter().enumerate() {
                let current = place + 1 == key.versions.len() && !key.marked;
                let end = match version.reason {
                    _ if version.deleted => End::Removed,
                    _ if !current && version.restored => End::Gone,
                    _ if !current => End::Superseded,
                    Some(reason) => End::Reason(reason),
                    None => End::Result,
                };
                expected.insert(version.image.clone(), Expected { site: site.clone(), end });
            }
        }
        expected
    }

    /// What was done to the key of an image, in order.
    pub(crate) fn story(&self, image: &str) -> Option<&[String]> {
        let of_it = |key: &&Key| key.versions.iter().any(|version| version.image == image);
        self.0.values().find(of_it).map(|key| &key.story[..])
    }

    /// PUTs that were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.0.values().map(|key| key.versions.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "incoming/north/a.jpg";

    fn ends(bucket: &Bucket) -> Vec<End> {
        let expected = bucket.expected();
        ["one", "two", "three"]
            .iter()
            .filter_map(|image| expected.get(*image))
            .map(|it| it.end)
            .collect()
    }

    #[test]
    fn the_last_version_is_assessed_and_those_before_are_superseded() {
        let mut bucket = Bucket::default();
        bucket.put(KEY, "one".into(), None);
        bucket.put(KEY, "two".into(), Some("empty"));
        assert_eq!(ends(&bucket), [End::Superseded, End::Reason("empty")]);
        bucket.put(KEY, "three".into(), None);
        assert_eq!(ends(&bucket), [End::Superseded, End::Superseded, End::Result]);
        assert_eq!(bucket.expected()["one"].site, "north");
        assert_eq!(bucket.acknowledged(), 3);
    }

    #[test]
    fn a_deletion_removes_all_versions_and_its_end_brings_the_last_one_back() {
        let mut bucket = Bucket::default();
        bucket.put(KEY, "one".into(), None);
        bucket.put(KEY, "two".into(), None);
        bucket.deleted(KEY);
        assert_eq!(ends(&bucket), [End::Removed, End::Removed]);
        bucket.restored(KEY);
        assert_eq!(ends(&bucket), [End::Removed, End::Result]);
        let mut over = bucket.clone();
        over.put(KEY, "three".into(), None);
        assert_eq!(ends(&over), [End::Removed, End::Gone, End::Result]);
        bucket.deleted(KEY);
        bucket.put(KEY, "three".into(), None);
        assert_eq!(ends(&bucket), [End::Removed, End::Removed, End::Result]);
        let story = ["put one", "put two", "deleted", "restored", "deleted", "put three"];
        assert_eq!(bucket.story("two").expect("known"), story);
    }
}
