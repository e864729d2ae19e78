//! Put, copy and delete.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, TrailingHeaders};

use super::attributes::{attributes_of, show_sum, stated_sum};
use super::catalog::{Content, CopyRequest, New};
use super::chunked::{NO_TRAILER, TRAILER};
use super::conditions::{Conditions, etag, timestamp};
use super::deliver::Segment;
use super::digest::{Algorithm, Sum};
use super::event::EventName;
use super::fault::EndpointFault;
use super::form::FileName;
use super::receive::{Received, receive};
use super::service::{Service, origin};

/// S3's bound on a key, in bytes. `s3s` holds it for keys in URLs, not for those in XML.
const KEY_LIMIT: usize = 1024;
/// S3's bound on the keys of one DeleteObjects.
const DELETE_LIMIT: usize = 1000;

/// What a client said of a body's digests, before or behind it.
pub(super) struct Stated {
    md5: Option<[u8; 16]>,
    sum: Option<Sum>,
    algorithm: Option<Algorithm>,
    /// The checksum that is announced to come behind the body, and what came.
    behind: Option<(Algorithm, Option<TrailingHeaders>)>,
}

impl Stated {
    pub(super) fn new(
        headers: &hyper::HeaderMap,
        trailers: Option<TrailingHeaders>,
        md5: Option<String>,
        sum: Option<Sum>,
        algorithm: Option<&ChecksumAlgorithm>,
    ) -> Result<Self, EndpointFault> {
        let md5 = md5
            .map(|text| {
                let bytes = BASE64_STANDARD.decode(text).ok();
                bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(S3ErrorCode::InvalidDigest)
            })
            .transpose()?;
        let announced = announced(headers)?;
        if sum.as_ref().zip(announced).is_some_and(|(sum, behind)| sum.algorithm != behind) {
            let why = "Expecting a single x-amz-checksum- header.";
            return Err(EndpointFault::refused(S3ErrorCode::InvalidRequest, why));
        }
        let named = algorithm.and_then(|name| Algorithm::parse(name.as_str()));
        let algorithm = sum.as_ref().map(|sum| sum.algorithm).or(announced).or(named);
        Ok(Self { md5, sum, algorithm, behind: announced.map(|behind| (behind, trailers)) })
    }

    /// Computes this one when the client named none.
    pub(super) fn or_algorithm(&mut self, algorithm: Option<Algorithm>) {
        self.algorithm = self.algorithm.or(algorithm);
    }

    /// Compares with what has arrived.
    pub(super) fn check(&self, received: &Received) -> Result<(), EndpointFault> {
        if self.md5.is_some_and(|md5| md5 != received.md5) {
            let why = "The Content-MD5 you specified did not match what was received.";
            return Err(EndpointFault::refused(S3ErrorCode::BadDigest, why));
        }
        let behind = self.behind.as_ref().map(|(algorithm, trailers)| {
            let value = trailers.as_ref().and_then(|trailers| {
                let value = trailers.read(|headers| {
                    let value = headers.get(algorithm.header().as_str())?;
                    value.to_str().ok().map(str::to_owned)
                });
                value.flatten()
            });
            let value = value.ok_or_else(malformed_trailer)?;
            Ok::<_, S3Error>(Sum { algorithm: *algorithm, value, composite: false })
        });
        let behind = behind.transpose()?;
        for stated in [&self.sum, &behind].into_iter().flatten() {
            if received.sum.as_ref() != Some(stated) {
                let why = "The checksum you specified did not match the calculated one.";
                return Err(EndpointFault::refused(S3ErrorCode::BadDigest, why));
            }
        }
        Ok(())
    }
}

/// The checksum that is announced to come behind the body.
fn announced(headers: &hyper::HeaderMap) -> Result<Option<Algorithm>, EndpointFault> {
    let Some(name) = headers.get(TRAILER).filter(|name| **name != NO_TRAILER) else {
        return Ok(None);
    };
    let name = name.to_str().unwrap_or_default().trim();
    let known = Algorithm::ALL.into_iter().find(|a| a.header().eq_ignore_ascii_case(name));
    let why = "The value specified in the x-amz-trailer header is not supported.";
    known.map(Some).ok_or_else(|| EndpointFault::refused(S3ErrorCode::InvalidRequest, why))
}

fn malformed_trailer() -> S3Error {
    let code = S3ErrorCode::Custom("MalformedTrailerError".into());
    let why = "The request contained trailing data that was not what it announced.";
    let mut error = S3Error::with_message(code, why);
    error.set_status_code(hyper::StatusCode::BAD_REQUEST);
    error
}

/// Refuses what would otherwise be dropped in silence.
fn unsupported(asked: bool, what: &'static str) -> Result<(), EndpointFault> {
    if asked { Err(EndpointFault::refused(S3ErrorCode::NotImplemented, what)) } else { Ok(()) }
}

pub(super) const NO_CUSTOMER_KEYS: &str = "Customer-provided encryption keys are not supported.";
const NO_TAGS: &str = "Object tags are not supported.";

impl Service {
    /// Receives a body, holding it against its announced length and digests.
    pub(super) async fn take_in(
        &self,
        body: Option<StreamingBlob>,
        length: Option<i64>,
        stated: &Stated,
    ) -> Result<Received, EndpointFault> {
        let length = length.map(|length| u64::try_from(length).unwrap_or(0));
        if length.is_some_and(|length| length > self.limits.size) {
            return Err(S3ErrorCode::EntityTooLarge.into());
        }
        let received = receive(&self.bodies, body, self.limits, stated.algorithm).await?;
        if length.is_some_and(|length| length != received.size) {
            return Err(S3ErrorCode::IncompleteBody.into());
        }
        stated.check(&received)?;
        Ok(received)
    }

    pub(super) async fn put(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> Result<PutObjectOutput, EndpointFault> {
        let origin = origin(&request);
        let mut input = request.input;
        unsupported(input.sse_customer_algorithm.is_some(), NO_CUSTOMER_KEYS)?;
        unsupported(input.tagging.is_some(), NO_TAGS)?;
        unsupported(input.write_offset_bytes.is_some(), "Appending is not supported.")?;
        self.catalog.bucket(&input.bucket).await?;
        let attributes = attributes_of!(input)?;
        let stated = Stated::new(
            &request.headers,
            request.trailing_headers,
            input.content_md5.take(),
            stated_sum!(input)?,
            input.checksum_algorithm.as_ref(),
        )?;
        let received = self.take_in(input.body.take(), input.content_length, &stated).await?;
        let new = New {
            bucket: input.bucket,
            key: input.key,
            attributes,
            conditions: Conditions {
                if_match: input.if_match,
                if_none_match: input.if_none_match,
                ..Default::default()
            },
            happening: EventName::Put,
            origin,
        };
        let (content, size) = content(received);
        let placed = self.catalog.put(new, content).await?;
        let mut output = PutObjectOutput {
            e_tag: Some(etag(&placed.etag)),
            version_id: placed.version,
            size: Some(size),
            ..Default::default()
        };
        show_sum!(output, &placed.sum);
        Ok(output)
    }

    /// A form upload of a browser. `s3s` has checked its policy and holds the file in memory.
    pub(super) async fn post(
        &self,
        request: S3Request<PostObjectInput>,
    ) -> Result<PostObjectOutput, EndpointFault> {
        let origin = origin(&request);
        let name = request.extensions.get::<FileName>();
        let key = FileName::substitute(name, &request.input.key);
        let mut input = request.input;
        unsupported(input.sse_customer_algorithm.is_some(), NO_CUSTOMER_KEYS)?;
        unsupported(input.tagging.is_some(), NO_TAGS)?;
        if key.is_empty() || key.len() > KEY_LIMIT {
            return Err(S3ErrorCode::KeyTooLongError.into());
        }
        self.catalog.bucket(&input.bucket).await?;
        let attributes = attributes_of!(input)?;
        let stated = Stated::new(
            &request.headers,
            None,
            input.content_md5.take(),
            stated_sum!(input)?,
            input.checksum_algorithm.as_ref(),
        )?;
        let received = self.take_in(input.body.take(), None, &stated).await?;
        let new = New {
            bucket: input.bucket,
            key,
            attributes,
            conditions: Conditions::default(),
            happening: EventName::Post,
            origin,
        };
        let placed = self.catalog.put(new, content(received).0).await?;
        let mut output = PostObjectOutput {
            e_tag: Some(etag(&placed.etag)),
            version_id: placed.version,
            ..Default::default()
        };
        show_sum!(output, &placed.sum);
        Ok(output)
    }

    pub(super) async fn copy(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> Result<CopyObjectOutput, EndpointFault> {
        let origin = origin(&request);
        let mut input = request.input;
        unsupported(input.sse_customer_algorithm.is_some(), NO_CUSTOMER_KEYS)?;
        let replace = input.metadata_directive.as_ref();
        let replace = replace.is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        let attributes = attributes_of!(input)?;
        let mut source = source(&request.headers, &input.copy_source)?;
        source.keep_attributes = !replace;
        source.conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let onto_itself = source.bucket == input.bucket && source.key == input.key;
        if onto_itself && source.version.is_none() && !replace {
            let why = "This copy request is illegal because it is trying to copy an object to \
                       itself without changing anything.";
            return Err(EndpointFault::refused(S3ErrorCode::InvalidRequest, why));
        }
        let new = New {
            bucket: input.bucket,
            key: input.key,
            attributes,
            conditions: Conditions::default(),
            happening: EventName::Copy,
            origin,
        };
        let (placed, copied) = self.catalog.copy(source, new).await?;
        let mut result = CopyObjectResult {
            e_tag: Some(etag(&placed.etag)),
            last_modified: Some(timestamp(placed.modified)),
            ..Default::default()
        };
        show_sum!(result, &placed.sum);
        Ok(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: copied,
            version_id: placed.version,
            ..Default::default()
        })
    }

    pub(super) async fn delete(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> Result<DeleteObjectOutput, EndpointFault> {
        let origin = origin(&request);
        let input = request.input;
        let conditional = input.if_match.is_some()
            || input.if_match_size.is_some()
            || input.if_match_last_modified_time.is_some();
        unsupported(conditional, "Conditional deletes are not supported.")?;
        let keys = vec![(input.key, input.version_id)];
        let removed = self.catalog.delete(input.bucket, keys, origin).await?;
        let removed = removed.into_iter().next().unwrap_or_default();
        Ok(DeleteObjectOutput {
            delete_marker: removed.marker.then_some(true),
            version_id: removed.version,
            ..Default::default()
        })
    }

    pub(super) async fn delete_many(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> Result<DeleteObjectsOutput, EndpointFault> {
        let origin = origin(&request);
        let input = request.input;
        let asked = input.delete.objects;
        if asked.is_empty() || asked.len() > DELETE_LIMIT {
            return Err(S3ErrorCode::MalformedXML.into());
        }
        let conditional = asked
            .iter()
            .any(|o| o.e_tag.is_some() || o.size.is_some() || o.last_modified_time.is_some());
        unsupported(conditional, "Conditional deletes are not supported.")?;
        let (good, long): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|object| object.key.len() <= KEY_LIMIT);
        let keys: Vec<_> = good.into_iter().map(|object| (object.key, object.version_id)).collect();
        let removed = self.catalog.delete(input.bucket, keys.clone(), origin).await?;
        let deleted = keys.into_iter().zip(removed).map(|((key, asked), removed)| DeletedObject {
            key: Some(key),
            delete_marker: removed.marker.then_some(true),
            delete_marker_version_id: removed.version.filter(|_| removed.marker),
            version_id: asked,
        });
        let quiet = input.delete.quiet.unwrap_or(false);
        let errors = long.into_iter().map(|object| Error {
            code: Some("KeyTooLongError".to_owned()),
            key: Some(object.key),
            message: Some("Your key is too long".to_owned()),
            version_id: object.version_id,
        });
        Ok(DeleteObjectsOutput {
            deleted: (!quiet).then(|| deleted.collect()),
            errors: Some(errors.collect()),
            ..Default::default()
        })
    }
}

/// Takes the file out of the guard that would remove it: from here the catalogue's transaction
/// answers for it.
fn content(received: Received) -> (Content, i64) {
    let size = received.size;
    let segment = received.body.map(|body| Segment { body: body.keep(), size });
    let content = Content {
        segments: segment.into_iter().collect(),
        size,
        etag: hex::encode(received.md5),
        sum: received.sum,
    };
    (content, i64::try_from(size).unwrap_or(i64::MAX))
}

/// The object that a copy names: `named`, as it is read from the headers but for `+`, which is a space.
pub(super) fn source(
    headers: &hyper::HeaderMap,
    named: &CopySource,
) -> Result<CopyRequest, EndpointFault> {
    let spaced = headers.get("x-amz-copy-source").and_then(|value| value.to_str().ok());
    let spaced = spaced.filter(|text| text.contains('+')).map(|text| text.replace('+', "%20"));
    let spaced = spaced.and_then(|text| CopySource::parse(&text).ok());
    let CopySource::Bucket { bucket, key, version_id } = spaced.as_ref().unwrap_or(named) else {
        let why = "Only objects of this endpoint can be copied.";
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, why).into());
    };
    Ok(CopyRequest {
        bucket: bucket.to_string(),
        key: key.to_string(),
        version: version_id.as_ref().map(ToString::to_string),
        conditions: Conditions::default(),
        keep_attributes: true,
    })
}
