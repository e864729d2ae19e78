//! Where a token says something.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// The name of a claim, or the way to one that is nested: `groups`, `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// What a token says there. A claim whose own name has dots, such as an address, goes before a way.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        find(&self.0, claims)
    }

    /// The texts there: one, or a list of them. `None` where there is nothing, or something else.
    pub fn texts(&self, claims: &Map<String, Value>) -> Option<Vec<String>> {
        match self.find(claims)? {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        }
    }
}

fn find<'a>(path: &str, claims: &'a Map<String, Value>) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    find(rest, claims.get(first)?.as_object()?)
}

impl FromStr for ClaimPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_path = !text.is_empty()
            && text.len() <= 200
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && text.split('.').all(|name| !name.is_empty());
        if !is_path {
            return Err("it is no claim's name, such as groups or realm_access.roles");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_found_by_its_name_or_by_the_way_to_it() {
        let claims = json!({
            "groups": ["a", "b"], "one": "a", "realm_access": { "roles": ["r"] },
            "https://lobar.example/groups": ["u"], "mixed": ["a", 1], "deep": { "a": { "b": "c" } },
        });
        let claims = claims.as_object().expect("an object");
        let texts = |path: &str| path.parse::<ClaimPath>().expect("a path").texts(claims);
        let some = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(texts("groups"), some(&["a", "b"]));
        assert_eq!(texts("one"), some(&["a"]));
        assert_eq!(texts("realm_access.roles"), some(&["r"]));
        assert_eq!(texts("https://lobar.example/groups"), some(&["u"]));
        assert_eq!(texts("deep.a.b"), some(&["c"]));
        for nothing in ["none", "mixed", "realm_access", "groups.a", "deep.a"] {
            assert_eq!(texts(nothing), None, "{nothing}");
        }
        for bad in ["", "a..b", ".a", "a.", "a b", "ä"] {
            assert!(bad.parse::<ClaimPath>().is_err(), "{bad}");
        }
    }
}
