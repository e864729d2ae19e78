//! `If-Match` and its kin, in the order of RFC 9110, section 13.2.2.

use lobar_core::time::Stamp;
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode};

use super::fault::EndpointFault;

/// What a request demands of the object that is there.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// For a read or the source of a copy, of the object with this eTag. `fresh` is the answer when
    /// the client has it already: 304 to a read, 412 to a copy.
    pub(super) fn check_read(
        &self,
        etag: &str,
        modified: Stamp,
        fresh: &S3ErrorCode,
    ) -> Result<(), EndpointFault> {
        let modified = timestamp(Stamp(modified.0 - modified.0.rem_euclid(1_000_000)));
        if let Some(condition) = &self.if_match {
            if !matches(condition, etag) {
                return Err(S3ErrorCode::PreconditionFailed.into());
            }
        } else if self.if_unmodified_since.as_ref().is_some_and(|since| modified > *since) {
            return Err(S3ErrorCode::PreconditionFailed.into());
        }
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition, etag),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if unchanged {
            let mut answer = S3Error::new(fresh.clone());
            let value = format!("\"{etag}\"").parse();
            if let Ok(value) = value {
                let headers = [(hyper::header::ETAG, value)];
                answer.set_headers(headers.into_iter().collect());
            }
            return Err(answer.into());
        }
        Ok(())
    }

    /// For a write over the object with this eTag, if there is one.
    pub(super) fn check_write(&self, etag: Option<&str>) -> Result<(), EndpointFault> {
        match (&self.if_match, etag) {
            (Some(_), None) => return Err(S3ErrorCode::NoSuchKey.into()),
            (Some(condition), Some(etag)) if !matches(condition, etag) => {
                return Err(S3ErrorCode::PreconditionFailed.into());
            }
            _ => {}
        }
        match (&self.if_none_match, etag) {
            (Some(condition), Some(etag)) if matches(condition, etag) => {
                Err(S3ErrorCode::PreconditionFailed.into())
            }
            _ => Ok(()),
        }
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        // A list is read as one tag, from its first quote to its last.
        ETagCondition::ETag(wanted) => wanted.value().split('"').step_by(2).any(|one| one == etag),
    }
}

/// The form in which S3's answers carry an eTag.
pub(super) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// The form in which S3's answers carry a time.
pub(super) fn timestamp(at: Stamp) -> Timestamp {
    let micros = u64::try_from(at.0).unwrap_or(0);
    (std::time::UNIX_EPOCH + std::time::Duration::from_micros(micros)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(value: &str) -> Option<ETagCondition> {
        Some(ETagCondition::ETag(etag(value)))
    }

    fn code(result: Result<(), EndpointFault>) -> Option<S3ErrorCode> {
        result.err().map(|fault| S3Error::from(fault).code().clone())
    }

    #[test]
    fn a_read_is_refused_when_the_object_changed_and_spared_when_it_did_not() {
        let at = Stamp(5_000_000);
        let fresh = &S3ErrorCode::NotModified;
        let other = Conditions { if_match: tag("b"), ..Default::default() };
        assert_eq!(code(other.check_read("a", at, fresh)), Some(S3ErrorCode::PreconditionFailed));
        let same = Conditions { if_none_match: tag("a"), ..Default::default() };
        assert_eq!(code(same.check_read("a", at, fresh)), Some(S3ErrorCode::NotModified));
        let since = Conditions { if_modified_since: Some(timestamp(at)), ..Default::default() };
        assert_eq!(code(since.check_read("a", at, fresh)), Some(S3ErrorCode::NotModified));
        assert_eq!(code(since.check_read("a", Stamp(6_000_000), fresh)), None);
    }

    #[test]
    fn any_tag_of_a_list_is_as_good_as_it_alone() {
        let parse = |list: &[u8]| ETagCondition::parse_http_header(list).ok();
        for list in
            ["\"a\", \"b\"", "\"b\",\"a\"", "W/\"a\", \"b\"", "\"b\", W/\"a\"", "\"a\"", "a"]
        {
            let wanted = Conditions { if_match: parse(list.as_bytes()), ..Default::default() };
            assert!(wanted.if_match.is_some(), "{list}");
            assert_eq!(code(wanted.check_write(Some("a"))), None, "{list}");
            assert_eq!(code(wanted.check_write(Some(", "))), Some(S3ErrorCode::PreconditionFailed));
        }
    }

    #[test]
    fn a_write_can_demand_that_nothing_or_exactly_this_is_there() {
        let absent = Conditions { if_none_match: Some(ETagCondition::Any), ..Default::default() };
        assert_eq!(code(absent.check_write(None)), None);
        assert_eq!(code(absent.check_write(Some("a"))), Some(S3ErrorCode::PreconditionFailed));
        let this = Conditions { if_match: tag("a"), ..Default::default() };
        assert_eq!(code(this.check_write(Some("a"))), None);
        assert_eq!(code(this.check_write(Some("b"))), Some(S3ErrorCode::PreconditionFailed));
        assert_eq!(code(this.check_write(None)), Some(S3ErrorCode::NoSuchKey));
    }
}
