//! Get and head.

use std::ops::Range as Bytes;

use hyper::header::HeaderValue;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode};

use super::attributes::show_sum;
use super::catalog::{Stored, Versioning};
use super::conditions::{Conditions, etag, timestamp};
use super::deliver::{Segment, deliver};
use super::fault::EndpointFault;
use super::service::Service;

/// What S3 says of an object without a type.
const UNTYPED: &str = "binary/octet-stream";

/// A version that was found, and the part of it that was asked for.
pub(super) struct Found {
    pub(super) stored: Stored,
    pub(super) segments: Vec<Segment>,
    pub(super) versioning: Versioning,
    pub(super) bytes: Bytes<u64>,
    /// Whether less than the whole was asked for.
    pub(super) partial: bool,
}

impl Service {
    pub(super) async fn get(
        &self,
        input: GetObjectInput,
    ) -> Result<GetObjectOutput, EndpointFault> {
        let found = self
            .look_up(
                (&input.bucket, &input.key, input.version_id.as_deref()),
                &Conditions {
                    if_match: input.if_match,
                    if_none_match: input.if_none_match,
                    if_modified_since: input.if_modified_since,
                    if_unmodified_since: input.if_unmodified_since,
                },
                (input.range, input.part_number),
            )
            .await?;
        let body = deliver(&self.bodies, &found.segments, found.bytes.clone()).await?;
        let (length, range) = found.extent();
        let Stored { attributes, .. } = &found.stored;
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(body),
            cache_control: attributes.cache_control.clone(),
            content_disposition: attributes.content_disposition.clone(),
            content_encoding: attributes.content_encoding.clone(),
            content_language: attributes.content_language.clone(),
            content_length: Some(length),
            content_range: range,
            content_type: Some(found.content_type()),
            e_tag: Some(etag(&found.stored.etag)),
            last_modified: Some(timestamp(found.stored.modified)),
            metadata: Some(attributes.metadata.clone().into_iter().collect()),
            parts_count: input.part_number.and_then(|_| found.parts()),
            version_id: found.stored.told(found.versioning),
            ..Default::default()
        };
        let wanted = input.checksum_mode.is_some_and(|m| m.as_str() == ChecksumMode::ENABLED);
        if wanted && !found.partial {
            show_sum!(output, &found.stored.sum);
            output.checksum_type = found.checksum_type();
        }
        Ok(output)
    }

    pub(super) async fn head(
        &self,
        input: HeadObjectInput,
    ) -> Result<HeadObjectOutput, EndpointFault> {
        let found = self
            .look_up(
                (&input.bucket, &input.key, input.version_id.as_deref()),
                &Conditions {
                    if_match: input.if_match,
                    if_none_match: input.if_none_match,
                    if_modified_since: input.if_modified_since,
                    if_unmodified_since: input.if_unmodified_since,
                },
                (input.range, input.part_number),
            )
            .await?;
        let (length, range) = found.extent();
        let Stored { attributes, .. } = &found.stored;
        let mut output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: attributes.cache_control.clone(),
            content_disposition: attributes.content_disposition.clone(),
            content_encoding: attributes.content_encoding.clone(),
            content_language: attributes.content_language.clone(),
            content_length: Some(length),
            content_range: range,
            content_type: Some(found.content_type()),
            e_tag: Some(etag(&found.stored.etag)),
            last_modified: Some(timestamp(found.stored.modified)),
            metadata: Some(attributes.metadata.clone().into_iter().collect()),
            parts_count: input.part_number.and_then(|_| found.parts()),
            version_id: found.stored.told(found.versioning),
            ..Default::default()
        };
        let wanted = input.checksum_mode.is_some_and(|m| m.as_str() == ChecksumMode::ENABLED);
        if wanted && !found.partial {
            show_sum!(output, &found.stored.sum);
            output.checksum_type = found.checksum_type();
        }
        Ok(output)
    }

    async fn look_up(
        &self,
        (bucket, key, version): (&str, &str, Option<&str>),
        conditions: &Conditions,
        (range, part): (Option<Range>, Option<i32>),
    ) -> Result<Found, EndpointFault> {
        let (versioning, found) = self.catalog.find(bucket, key, version).await?;
        let (stored, segments) = found.ok_or(match version {
            Some(_) => S3ErrorCode::NoSuchVersion,
            None => S3ErrorCode::NoSuchKey,
        })?;
        if stored.marker {
            return Err(marker(&stored, version.is_some()).into());
        }
        conditions.check_read(&stored.etag, stored.modified, &S3ErrorCode::NotModified)?;
        let whole = 0..stored.size;
        let bytes = match (range, part) {
            (Some(_), Some(_)) => {
                let why = "Cannot specify both Range header and partNumber query parameter.";
                return Err(EndpointFault::refused(S3ErrorCode::InvalidRequest, why));
            }
            (Some(range), None) => Some(range.check(stored.size).map_err(S3Error::from)?),
            (None, Some(part)) => Some(part_of(&segments, stored.size, part)?),
            (None, None) => None,
        };
        let partial = bytes.is_some();
        let bytes = bytes.unwrap_or(whole);
        Ok(Found { stored, segments, versioning, bytes, partial })
    }
}

impl Found {
    /// The length of the answer and, for a part of the whole, which part.
    fn extent(&self) -> (i64, Option<String>) {
        let length = self.bytes.end - self.bytes.start;
        let range = (self.partial && length > 0).then(|| {
            let (from, to) = (self.bytes.start, self.bytes.end - 1);
            format!("bytes {from}-{to}/{}", self.stored.size)
        });
        (i64::try_from(length).unwrap_or(i64::MAX), range)
    }

    fn content_type(&self) -> String {
        self.stored.attributes.content_type.clone().unwrap_or_else(|| UNTYPED.to_owned())
    }

    pub(super) fn parts(&self) -> Option<i32> {
        let multipart = self.stored.etag.contains('-');
        multipart.then(|| i32::try_from(self.segments.len()).unwrap_or(i32::MAX))
    }

    pub(super) fn checksum_type(&self) -> Option<ChecksumType> {
        let sum = self.stored.sum.as_ref()?;
        Some(ChecksumType::from_static(if sum.composite {
            ChecksumType::COMPOSITE
        } else {
            ChecksumType::FULL_OBJECT
        }))
    }
}

/// The bytes of one part of a multipart object; the whole is part 1 of any other.
fn part_of(segments: &[Segment], size: u64, part: i32) -> Result<Bytes<u64>, EndpointFault> {
    let index = usize::try_from(part).ok().and_then(|part| part.checked_sub(1));
    let index = index.ok_or(S3ErrorCode::InvalidArgument)?;
    if segments.is_empty() && index == 0 {
        return Ok(0..size);
    }
    let segment = segments.get(index).ok_or(S3ErrorCode::InvalidPart)?;
    let start = segments[..index].iter().map(|segment| segment.size).sum::<u64>();
    Ok(start..start + segment.size)
}

/// The answer to a read of a delete marker: 404, or 405 when it was asked for by its id.
pub(super) fn marker(stored: &Stored, by_id: bool) -> S3Error {
    let code = if by_id { S3ErrorCode::MethodNotAllowed } else { S3ErrorCode::NoSuchKey };
    let mut error = S3Error::new(code);
    let mut headers = hyper::HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::from_str(&stored.id) {
        headers.insert("x-amz-version-id", id);
    }
    error.set_headers(headers);
    error
}
