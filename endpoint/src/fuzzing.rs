//! What the fuzz target `s3_listing` runs, and what every one of its seeds must hold (`docs/fuzzing.md`).
//! Built for tests and for fuzzing only.

use std::collections::BTreeSet;

use crate::event::url_encoded;
use crate::listing::{Builder, Entry, Keyed, Scan, behind};

#[derive(Debug)]
struct Key<'a>(&'a [u8]);

impl Keyed for Key<'_> {
    fn key(&self) -> &[u8] {
        self.0
    }
}

/// Reads `bytes` as lines: prefix, delimiter, the size of a page (its first byte), and keys. Panics when the
/// pages together are not what the keys are, or when a key that is encoded for an event or a listing
/// holds what such a text cannot.
pub fn s3_listing(bytes: &[u8]) {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default().to_vec();
    let (prefix, delimiter, size) = (line(), line(), line());
    let limit = size.first().map_or(3, |size| usize::from(size % 8) + 1);
    // A key has 1 to 1,024 bytes; a catalogue has each once, in order.
    let keys: BTreeSet<&[u8]> = lines.filter(|key| (1..=1_024).contains(&key.len())).collect();
    let keys: Vec<&[u8]> = keys.into_iter().collect();
    for key in &keys {
        for space in [b' ', b'+'] {
            let text = url_encoded(key, space);
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
        }
    }

    let mut pages = Vec::new();
    let mut from = Vec::new();
    loop {
        let scan = Scan { prefix: prefix.clone(), delimiter: delimiter.clone(), from, limit };
        let mut builder = scan.begin();
        fill(&mut builder, &keys);
        let page = builder.finish();
        assert!(page.entries.len() <= limit, "{} on a page of {limit}", page.entries.len());
        let end = page.end().map(|(_, next)| next);
        pages.extend(page.entries.into_iter().map(|entry| match entry {
            Entry::Item(Key(key)) => (key.to_vec(), false),
            Entry::Prefix(prefix) => (prefix, true),
        }));
        match end {
            Some(next) if page.truncated => from = next,
            _ => break,
        }
    }
    assert_eq!(pages, expected(&keys, &prefix, &delimiter));
}

/// As the catalogue feeds a page: three keys at a time, behind what is rolled up.
fn fill<'a>(builder: &mut Builder<'_, Key<'a>>, keys: &[&'a [u8]]) {
    let mut from = builder.from().to_vec();
    loop {
        let begin = keys.partition_point(|key| *key < from.as_slice());
        let batch = &keys[begin..keys.len().min(begin + 3)];
        let Some(last) = batch.last().copied() else { return };
        if !batch.iter().all(|&key| builder.add(Key(key))) {
            return;
        }
        from = builder.skip_to().unwrap_or_else(|| behind(last));
    }
}

/// What a listing without pages has: keys, and the prefixes that stand for several.
fn expected(keys: &[&[u8]], prefix: &[u8], delimiter: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut all: Vec<(Vec<u8>, bool)> = Vec::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let at =
            (0..rest.len()).find(|&at| !delimiter.is_empty() && rest[at..].starts_with(delimiter));
        let entry = match at {
            Some(at) => (key[..prefix.len() + at + delimiter.len()].to_vec(), true),
            None => (key.to_vec(), false),
        };
        if all.last() != Some(&entry) {
            all.push(entry);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_seed_of_the_fuzz_target_is_listed_in_pages_as_at_once() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/s3_listing");
        let mut seeds = 0;
        for file in std::fs::read_dir(folder).expect("seeds") {
            super::s3_listing(&std::fs::read(file.expect("a seed").path()).expect("read"));
            seeds += 1;
        }
        assert!(seeds > 5, "{seeds} seeds");
    }
}
