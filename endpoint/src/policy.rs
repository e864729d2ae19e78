//! What the owner of a key pair may do: which rights an operation needs, and where.
//!
//! The table itself is the column of [`Ask`]s beside the operations in [`super::service`]; an operation without one does
//! not compile. It is asked before anything is looked up, so that a refusal is the same whether or not there is an
//! object. What no right covers is the operator's alone: deleting, old versions, buckets, access lists.

use std::borrow::Cow;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::http::Extensions;
use lobar_core::access::{Caller, Grants, Right};
use lobar_core::audit::{Action, NewEntry};
use lobar_core::object::site_of;
use s3s::dto::{CopySource, ETagCondition};
use s3s::{S3ErrorCode, S3Request};

use super::auth::Signer;
use super::event::Origin;
use super::fault::EndpointFault;
use super::form::FileName;
use super::record::Recorder;
use super::writes::source;

/// What an operation does, to which bucket, and to which key or to which keys.
pub(super) enum Ask<'a> {
    /// What is the operator's alone.
    Operator,
    /// Learns that the bucket is there, and its region. Clients ask before they put or list.
    Bucket(&'a str),
    /// Puts an object there, or a part of one.
    Write(&'a str, Cow<'a, str>),
    /// The same, if what is there already is what it should be: that tells what is there.
    Rewrite(&'a str, Cow<'a, str>),
    /// Reads the object there, or what it is.
    Read(&'a str, Cow<'a, str>),
    /// Lists keys that begin so.
    List(&'a str, &'a str),
}

impl<'a> Ask<'a> {
    /// A put, on the condition that `if_match` is there, if it is one.
    pub(super) fn put(bucket: &'a str, key: &'a str, if_match: Option<&ETagCondition>) -> Self {
        match if_match {
            Some(_) => Self::Rewrite(bucket, key.into()),
            None => Self::Write(bucket, key.into()),
        }
    }

    /// A put by a form, whose key may name the file.
    pub(super) fn form(bucket: &'a str, key: &'a str, extensions: &Extensions) -> Self {
        Self::Write(bucket, FileName::substitute(extensions.get(), key).into())
    }

    /// A read of the current version. Old ones may be of what was deleted.
    pub(super) fn get(bucket: &'a str, key: &'a str, version: Option<&String>) -> Self {
        match version {
            Some(_) => Self::Operator,
            None => Self::Read(bucket, key.into()),
        }
    }

    /// A read of what is copied.
    pub(super) fn copied(headers: &HeaderMap, named: &'a CopySource) -> Self {
        let Some(CopySource::Bucket { bucket, .. }) = Some(named) else { return Self::Operator };
        match source(headers, named) {
            Ok(read) if read.version.is_none() && read.bucket == **bucket => {
                Self::Read(bucket, read.key.into())
            }
            _ => Self::Operator,
        }
    }

    /// A listing of keys that begin with `prefix`.
    pub(super) fn list(bucket: &'a str, prefix: Option<&'a String>) -> Self {
        Self::List(bucket, prefix.map_or("", String::as_str))
    }

    /// The rights that it needs, all of them at the site of its key. Empty where none is enough.
    fn rights(&self) -> &'static [Right] {
        match self {
            Self::Operator | Self::Bucket(_) => &[],
            Self::Write(..) => &[Right::Upload],
            Self::Rewrite(..) => &[Right::Upload, Right::ReadImages],
            Self::Read(..) | Self::List(..) => &[Right::ReadImages],
        }
    }

    fn bucket(&self) -> Option<&str> {
        match self {
            Self::Operator => None,
            Self::Bucket(bucket) | Self::List(bucket, _) => Some(bucket),
            Self::Write(bucket, _) | Self::Rewrite(bucket, _) | Self::Read(bucket, _) => {
                Some(bucket)
            }
        }
    }

    /// The site of its key; of all keys that begin with its prefix.
    fn site(&self) -> Option<&str> {
        match self {
            Self::Operator | Self::Bucket(_) => None,
            Self::Write(_, key) | Self::Rewrite(_, key) | Self::Read(_, key) => plain_site(key),
            Self::List(_, prefix) => plain_site(prefix),
        }
    }

    /// Whether these grants allow it, in the bucket `home` of uploads.
    fn is_allowed(&self, grants: &Grants, home: &str) -> bool {
        if self.bucket() != Some(home) {
            return false;
        }
        match self {
            Self::Operator => false,
            Self::Bucket(_) => grants.allow(Right::Upload) || grants.allow(Right::ReadImages),
            _ => self.rights().iter().all(|right| grants.reach(*right).include(self.site())),
        }
    }
}

/// The site of a key, which is no path: one that would be of another site where it is taken for one is of none.
fn plain_site(key: &str) -> Option<&str> {
    let climbs = key.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."));
    site_of(key).filter(|_| !climbs)
}

/// Lets operations through, and has what owners of key pairs did recorded.
#[derive(Clone)]
pub(super) struct Policy {
    /// The bucket of uploads: the only one in which rights count.
    pub(super) home: String,
    /// Where it is recorded; `None` where nobody but the operator has a key pair.
    pub(super) recorder: Option<Arc<Recorder>>,
}

impl Policy {
    /// Whether whoever signed may do all of this.
    ///
    /// # Errors
    /// `AccessDenied` if not; `SlowDown` while it could not be recorded.
    pub(super) fn check(
        &self,
        operation: &'static str,
        extensions: &Extensions,
        asks: &[Ask<'_>],
    ) -> Result<(), EndpointFault> {
        let caller = match extensions.get::<Signer>() {
            Some(Signer::Operator) => return Ok(()),
            Some(Signer::Caller(caller)) => caller,
            None => return Err(denied()),
        };
        let refused = asks.iter().find(|ask| !ask.is_allowed(&caller.grants, &self.home));
        let Some(recorder) = &self.recorder else { return Err(denied()) };
        if let Some(ask) = refused {
            let entry = entry(Action::Refused, caller, ask, extensions);
            recorder.refused(operation, entry);
            return Err(denied());
        }
        if !recorder.has_room() {
            let why = "The audit record cannot be written now; try again.";
            return Err(EndpointFault::refused(S3ErrorCode::SlowDown, why));
        }
        Ok(())
    }

    /// An entry of what is about to be done by the owner of a key pair; `None` for the operator.
    pub(super) fn entry<T>(
        &self,
        action: Action,
        request: &S3Request<T>,
        ask: &Ask<'_>,
    ) -> Option<NewEntry> {
        match request.extensions.get::<Signer>() {
            Some(Signer::Caller(caller)) => Some(entry(action, caller, ask, &request.extensions)),
            _ => None,
        }
    }
}

fn entry(action: Action, caller: &Caller, ask: &Ask<'_>, extensions: &Extensions) -> NewEntry {
    let right = ask.rights().first().copied();
    let role = right.and_then(|right| caller.grants.role_for(right, ask.site()));
    let request = extensions.get::<Origin>().map(|origin| origin.request.clone());
    super::record::entry(action, caller, role, ask.site(), request)
}

fn denied() -> EndpointFault {
    EndpointFault::refused(S3ErrorCode::AccessDenied, "This key pair does not allow that there.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(grants: &[&str], ask: &Ask<'_>) -> bool {
        let grants = grants.iter().map(|text| text.parse().expect("a grant")).collect();
        ask.is_allowed(&grants, "xrays")
    }

    fn write(key: &str) -> Ask<'_> {
        Ask::put("xrays", key, None)
    }

    #[test]
    fn an_uploader_puts_below_the_prefix_of_its_site_and_nowhere_else() {
        let may = |key| allowed(&["uploader@north"], &write(key));
        assert!(may("incoming/north/1.jpg") && may("incoming/north/stat/1.jpg"));
        for key in [
            "",
            "1.jpg",
            "incoming/north",
            "incoming//north/1.jpg",
            "/incoming/north/1.jpg",
            "incoming/northern/1.jpg",
            "incoming/North/1.jpg",
            "Incoming/north/1.jpg",
            "incoming/south/1.jpg",
            "incoming/north/../south/1.jpg",
            "incoming/north/..",
            "incoming/north/./1.jpg",
            "incoming/north/..\\south\\1.jpg",
            "incoming/north%2F1.jpg",
            "incoming/n\u{f6}rth/1.jpg",
            "incoming/north\u{0}/1.jpg",
            "incoming/\u{ff4e}orth/1.jpg",
        ] {
            assert!(!may(key), "{key:?}");
        }
        assert!(!allowed(&["uploader@north"], &Ask::put("models", "incoming/north/1.jpg", None)));
    }

    #[test]
    fn a_listing_stays_within_one_site() {
        let may = |prefix: &str| allowed(&["reader@north"], &Ask::List("xrays", prefix));
        assert!(may("incoming/north/") && may("incoming/north/2026/"));
        for prefix in
            ["", "incoming", "incoming/", "incoming/n", "incoming/north", "incoming/south/"]
        {
            assert!(!may(prefix), "{prefix:?}");
        }
        assert!(allowed(&["reader@*"], &Ask::List("xrays", "")));
        assert!(!allowed(&["uploader@*"], &Ask::List("xrays", "")));
    }

    #[test]
    fn a_condition_on_what_is_there_and_an_old_version_need_more() {
        let any = ETagCondition::Any;
        let rewrite = Ask::put("xrays", "incoming/north/1.jpg", Some(&any));
        assert!(!allowed(&["uploader@north"], &rewrite));
        assert!(!allowed(&["uploader@north", "reader@south"], &rewrite));
        assert!(allowed(&["clinician@north"], &rewrite));
        let version = "v1".to_owned();
        let old = Ask::get("xrays", "incoming/north/1.jpg", Some(&version));
        assert!(!allowed(&["clinician@*"], &old));
    }

    #[test]
    fn a_copy_reads_what_its_header_means() {
        let named = CopySource::parse("xrays/incoming/south/a+b.jpg").expect("a source");
        let mut headers = HeaderMap::new();
        let value = "xrays/incoming/south/a+b.jpg".parse().expect("a header");
        headers.insert("x-amz-copy-source", value);
        let ask = Ask::copied(&headers, &named);
        assert_eq!(ask.site(), Some("south"));
        assert!(!allowed(&["clinician@north"], &ask));
        assert!(allowed(&["reader@south"], &ask));
    }
}
