//! How a page of keys is put together: prefix, delimiter, page size. No I/O.

/// The first byte string behind all that begin with `prefix`; `None` when there is none.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut bound = prefix[..=end].to_vec();
    bound[end] += 1;
    Some(bound)
}

/// The first byte string behind `key` itself.
pub(super) fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Something that a listing lists.
pub(super) trait Keyed {
    fn key(&self) -> &[u8];
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    pub(super) prefix: Vec<u8>,
    /// Empty for none.
    pub(super) delimiter: Vec<u8>,
    /// The first key that may be listed.
    pub(super) from: Vec<u8>,
    /// The most entries of a page.
    pub(super) limit: usize,
}

/// One entry of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<T> {
    Item(T),
    /// All keys that begin with this.
    Prefix(Vec<u8>),
}

/// A page in order.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) entries: Vec<Entry<T>>,
    /// Whether there is more.
    pub(super) truncated: bool,
}

impl<T: Keyed> Page<T> {
    /// The items, without the rolled-up prefixes.
    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Item(item) => Some(item),
            Entry::Prefix(_) => None,
        })
    }

    /// The rolled-up prefixes.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Item(_) => None,
            Entry::Prefix(prefix) => Some(prefix.as_slice()),
        })
    }

    /// The item at the end of the page, when it does not end in a prefix.
    pub(super) fn last_item(&self) -> Option<&T> {
        match self.entries.last()? {
            Entry::Item(item) => Some(item),
            Entry::Prefix(_) => None,
        }
    }

    /// The key or prefix at the end of the page, and where the next one starts.
    pub(super) fn end(&self) -> Option<(&[u8], Vec<u8>)> {
        self.entries.last().map(|entry| match entry {
            Entry::Item(item) => (item.key(), behind(item.key())),
            Entry::Prefix(prefix) => {
                (prefix.as_slice(), successor(prefix).unwrap_or_else(|| vec![u8::MAX; 1025]))
            }
        })
    }
}

impl Scan {
    pub(super) fn begin<T: Keyed>(&self) -> Builder<'_, T> {
        let from = self.from.clone().max(self.prefix.clone());
        Builder { scan: self, from, entries: Vec::new(), truncated: self.limit == 0 }
    }
}

/// A page in the making, fed with items in order of their keys.
pub(super) struct Builder<'a, T> {
    scan: &'a Scan,
    from: Vec<u8>,
    entries: Vec<Entry<T>>,
    truncated: bool,
}

impl<T: Keyed> Builder<'_, T> {
    /// Where reading starts.
    pub(super) fn from(&self) -> &[u8] {
        &self.from
    }

    /// Takes the next item; `false` when the page is complete.
    pub(super) fn add(&mut self, item: T) -> bool {
        let Some(rest) = item.key().strip_prefix(self.scan.prefix.as_slice()) else {
            return false;
        };
        if let Some(Entry::Prefix(prefix)) = self.entries.last()
            && item.key().starts_with(prefix)
        {
            return true;
        }
        if self.entries.len() >= self.scan.limit {
            self.truncated = self.scan.limit > 0;
            return false;
        }
        let delimiter = self.scan.delimiter.as_slice();
        let at = match delimiter {
            [] => None,
            _ => rest.windows(delimiter.len()).position(|window| window == delimiter),
        };
        let entry = match at {
            Some(at) => {
                let end = self.scan.prefix.len() + at + delimiter.len();
                Entry::Prefix(item.key()[..end].to_vec())
            }
            None => Entry::Item(item),
        };
        self.entries.push(entry);
        true
    }

    /// Where reading may go on when the page ends in a prefix: behind all that it stands for.
    pub(super) fn skip_to(&self) -> Option<Vec<u8>> {
        match self.entries.last() {
            Some(Entry::Prefix(prefix)) => successor(prefix),
            _ => None,
        }
    }

    pub(super) fn finish(self) -> Page<T> {
        Page { entries: self.entries, truncated: self.truncated && self.scan.limit > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Key(&'static str);

    impl Keyed for Key {
        fn key(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }

    const KEYS: [&str; 6] = ["a/1", "a/2", "b", "c/1/x", "c/2", "d"];

    fn list(scan: &Scan) -> (Vec<String>, bool) {
        let mut builder = scan.begin();
        let keys =
            KEYS.into_iter().filter(|key| key.as_bytes() >= builder.from().to_vec().as_slice());
        for key in keys.collect::<Vec<_>>() {
            if !builder.add(Key(key)) {
                break;
            }
        }
        let page = builder.finish();
        let entries = page.entries.iter().map(|entry| match entry {
            Entry::Item(Key(key)) => (*key).to_owned(),
            Entry::Prefix(prefix) => format!("{}*", String::from_utf8_lossy(prefix)),
        });
        (entries.collect(), page.truncated)
    }

    fn scan(prefix: &str, delimiter: &str, limit: usize) -> Scan {
        Scan { prefix: prefix.into(), delimiter: delimiter.into(), from: Vec::new(), limit }
    }

    fn entries(expected: &[&str]) -> Vec<String> {
        expected.iter().map(|entry| (*entry).to_owned()).collect()
    }

    #[test]
    fn keys_roll_up_to_the_delimiter() {
        assert_eq!(list(&scan("", "/", 10)), (entries(&["a/*", "b", "c/*", "d"]), false));
        assert_eq!(list(&scan("c/", "/", 10)), (entries(&["c/1/*", "c/2"]), false));
        assert_eq!(list(&scan("", "", 10)), (entries(&KEYS), false));
    }

    #[test]
    fn a_page_is_truncated_only_when_something_follows() {
        assert_eq!(list(&scan("", "/", 2)), (entries(&["a/*", "b"]), true));
        assert!(!list(&scan("", "/", 4)).1);
        assert_eq!(list(&scan("a/", "", 2)), (entries(&["a/1", "a/2"]), false));
        assert_eq!(list(&scan("a/", "", 1)), (entries(&["a/1"]), true));
        assert_eq!(list(&scan("", "", 0)), (Vec::new(), false));
    }

    #[test]
    fn the_next_page_starts_behind_the_last_entry() {
        let mut from = Vec::new();
        let mut all = Vec::new();
        loop {
            let scan = Scan { from: from.clone(), ..scan("", "/", 1) };
            let mut builder = scan.begin();
            for key in KEYS.into_iter().filter(|key| key.as_bytes() >= from.as_slice()) {
                if !builder.add(Key(key)) {
                    break;
                }
            }
            let page = builder.finish();
            let (name, next) = page.end().expect("an entry");
            all.push(String::from_utf8_lossy(name).into_owned());
            if !page.truncated {
                break;
            }
            from = next;
        }
        assert_eq!(all, ["a/", "b", "c/", "d"]);
    }

    #[test]
    fn a_successor_is_behind_every_key_of_the_prefix() {
        assert_eq!(successor(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(successor(&[1, 255]), Some(vec![2]));
        assert_eq!(successor(&[255]), None);
        assert_eq!(successor(b""), None);
    }
}
