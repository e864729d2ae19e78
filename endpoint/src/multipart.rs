//! Multipart uploads.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request};

use super::attributes::{attributes_of, show_sum, stated_sum};
use super::catalog::{New, NewPart};
use super::conditions::{Conditions, etag, timestamp};
use super::deliver::deliver;
use super::digest::Algorithm;
use super::event::EventName;
use super::fault::EndpointFault;
use super::receive::receive;
use super::service::{Service, origin, owner};
use super::writes::{NO_CUSTOMER_KEYS, Stated, source};

/// S3's bound on part numbers, and on a page of parts.
const LAST_PART: i32 = 10_000;
const PAGE: i32 = 1000;

fn number(part: i32) -> Result<i64, EndpointFault> {
    if (1..=LAST_PART).contains(&part) {
        return Ok(part.into());
    }
    let why = "Part number must be an integer between 1 and 10000, inclusive.";
    Err(EndpointFault::refused(S3ErrorCode::InvalidArgument, why))
}

impl Service {
    pub(super) async fn begin_upload(
        &self,
        mut input: CreateMultipartUploadInput,
    ) -> Result<CreateMultipartUploadOutput, EndpointFault> {
        if input.sse_customer_algorithm.is_some() {
            return Err(EndpointFault::refused(S3ErrorCode::NotImplemented, NO_CUSTOMER_KEYS));
        }
        if input.tagging.is_some() {
            let why = "Object tags are not supported.";
            return Err(EndpointFault::refused(S3ErrorCode::NotImplemented, why));
        }
        let attributes = attributes_of!(input)?;
        let algorithm = input.checksum_algorithm.as_ref();
        let algorithm = algorithm.and_then(|name| Algorithm::parse(name.as_str()));
        let composite = match &input.checksum_type {
            Some(kind) => kind.as_str() == ChecksumType::COMPOSITE,
            None => algorithm.is_some_and(Algorithm::composite_by_default),
        };
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let id = self.catalog.begin_upload(bucket, key, attributes, algorithm, composite).await?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: algorithm.map(|_| kind(composite)),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        })
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> Result<UploadPartOutput, EndpointFault> {
        let mut input = request.input;
        let number = number(input.part_number)?;
        let upload = self.catalog.upload(&input.bucket, &input.key, &input.upload_id).await?;
        let mut stated = Stated::new(
            &request.headers,
            request.trailing_headers,
            input.content_md5.take(),
            stated_sum!(input)?,
            input.checksum_algorithm.as_ref(),
        )?;
        stated.or_algorithm(upload.algorithm);
        let received = self.take_in(input.body.take(), input.content_length, &stated).await?;
        let part = NewPart {
            number,
            body: received.body.map(|body| body.keep()),
            size: received.size,
            etag: hex::encode(received.md5),
            sum: received.sum,
        };
        let mut output = UploadPartOutput { e_tag: Some(etag(&part.etag)), ..Default::default() };
        show_sum!(output, &part.sum);
        self.catalog.put_part(input.bucket, input.key, input.upload_id, part).await?;
        Ok(output)
    }

    pub(super) async fn copy_part(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Result<UploadPartCopyOutput, EndpointFault> {
        let input = request.input;
        let number = number(input.part_number)?;
        let upload = self.catalog.upload(&input.bucket, &input.key, &input.upload_id).await?;
        let from = source(&request.headers, &input.copy_source)?;
        let (versioning, found) =
            self.catalog.find(&from.bucket, &from.key, from.version.as_deref()).await?;
        let (stored, segments) =
            found.filter(|(stored, _)| !stored.marker).ok_or(match &from.version {
                Some(_) => S3ErrorCode::NoSuchVersion,
                None => S3ErrorCode::NoSuchKey,
            })?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let fresh = S3ErrorCode::PreconditionFailed;
        conditions.check_read(&stored.etag, stored.modified, &fresh)?;
        let bytes = match &input.copy_source_range {
            None => 0..stored.size,
            Some(range) => {
                let range = Range::parse(range).map_err(|_| S3ErrorCode::InvalidArgument)?;
                range.check(stored.size).map_err(S3Error::from)?
            }
        };
        let body = deliver(&self.bodies, &segments, bytes).await?;
        let received = receive(&self.bodies, Some(body), self.limits, upload.algorithm).await?;
        let part = NewPart {
            number,
            body: received.body.map(|body| body.keep()),
            size: received.size,
            etag: hex::encode(received.md5),
            sum: received.sum,
        };
        let mut result = CopyPartResult { e_tag: Some(etag(&part.etag)), ..Default::default() };
        show_sum!(result, &part.sum);
        let modified =
            self.catalog.put_part(input.bucket, input.key, input.upload_id, part).await?;
        result.last_modified = Some(timestamp(modified));
        Ok(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: stored.told(versioning),
            ..Default::default()
        })
    }

    pub(super) async fn complete_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Result<CompleteMultipartUploadOutput, EndpointFault> {
        let origin = origin(&request);
        let mut input = request.input;
        let stated = stated_sum!(input)?;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let mut wanted = Vec::with_capacity(parts.len());
        for mut part in parts {
            let number = number(part.part_number.ok_or(S3ErrorCode::MalformedXML)?)?;
            let sum = stated_sum!(part)?;
            wanted.push((number, part.e_tag.map(ETag::into_value), sum));
        }
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let new = New {
            bucket: input.bucket,
            key: input.key,
            attributes: Default::default(),
            conditions: Conditions {
                if_match: input.if_match,
                if_none_match: input.if_none_match,
                ..Default::default()
            },
            happening: EventName::CompleteMultipartUpload,
            origin,
        };
        let limit = self.limits.size;
        let placed =
            self.catalog.complete_upload(input.upload_id, new, wanted, stated, limit).await?;
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{bucket}/{key}")),
            bucket: Some(bucket),
            key: Some(key),
            e_tag: Some(etag(&placed.etag)),
            version_id: placed.version,
            checksum_type: placed.sum.as_ref().map(|sum| kind(sum.composite)),
            ..Default::default()
        };
        show_sum!(output, &placed.sum);
        Ok(output)
    }

    pub(super) async fn abort_upload(
        &self,
        input: AbortMultipartUploadInput,
    ) -> Result<AbortMultipartUploadOutput, EndpointFault> {
        self.catalog.abort_upload(input.bucket, input.key, input.upload_id).await?;
        Ok(AbortMultipartUploadOutput::default())
    }

    pub(super) async fn list_parts(
        &self,
        input: ListPartsInput,
    ) -> Result<ListPartsOutput, EndpointFault> {
        let upload = self.catalog.upload(&input.bucket, &input.key, &input.upload_id).await?;
        let limit = input.max_parts.unwrap_or(PAGE).clamp(0, PAGE);
        let after = input.part_number_marker.unwrap_or(0);
        let parts =
            self.catalog.parts(&input.upload_id, after.into(), i64::from(limit) + 1).await?;
        let truncated = parts.len() > usize::try_from(limit).unwrap_or(0);
        let shown: Vec<Part> = parts
            .into_iter()
            .take(usize::try_from(limit).unwrap_or(0))
            .map(|part| {
                let mut shown = Part {
                    e_tag: Some(etag(&part.etag)),
                    last_modified: Some(timestamp(part.modified)),
                    part_number: i32::try_from(part.number).ok(),
                    size: i64::try_from(part.size).ok(),
                    ..Default::default()
                };
                show_sum!(shown, &part.sum);
                shown
            })
            .collect();
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            checksum_algorithm: upload
                .algorithm
                .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.as_str())),
            checksum_type: upload.algorithm.map(|_| kind(upload.composite)),
            is_truncated: Some(truncated),
            key: Some(input.key),
            max_parts: Some(limit),
            next_part_number_marker: shown.last().and_then(|part| part.part_number),
            owner: Some(owner()),
            part_number_marker: Some(after),
            parts: Some(shown),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            upload_id: Some(input.upload_id),
            ..Default::default()
        })
    }
}

fn kind(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    })
}
