//! The four list operations of S3.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use s3s::S3ErrorCode;
use s3s::dto::*;

use super::catalog::{Listed, Stored};
use super::conditions::{etag, timestamp};
use super::event::url_encoded;
use super::fault::EndpointFault;
use super::listing::{Keyed, Page, Scan, behind, successor};
use super::service::{Service, owner};

/// S3's bound on a page.
const PAGE: i32 = 1000;

/// How keys are written into an answer: as they are, or percent-encoded where the client asks.
struct Writing(bool);

impl Writing {
    fn of(encoding: Option<&EncodingType>) -> Result<Self, EndpointFault> {
        match encoding.map(EncodingType::as_str) {
            None | Some("") => Ok(Self(false)),
            Some(EncodingType::URL) => Ok(Self(true)),
            Some(_) => Err(EndpointFault::refused(
                S3ErrorCode::InvalidArgument,
                "Invalid Encoding Method specified in Request",
            )),
        }
    }

    fn bytes(&self, key: &[u8]) -> String {
        // A space that stands for itself makes `%20`, which every client decodes.
        if self.0 { url_encoded(key, b' ') } else { String::from_utf8_lossy(key).into_owned() }
    }

    fn text(&self, text: Option<&String>) -> Option<String> {
        text.map(|text| self.bytes(text.as_bytes()))
    }

    fn prefixes<T: Keyed>(&self, page: &Page<T>) -> Option<CommonPrefixList> {
        let prefixes = page.prefixes().map(|p| CommonPrefix { prefix: Some(self.bytes(p)) });
        Some(prefixes.collect())
    }

    fn objects(&self, page: &Page<Stored>, owned: bool) -> Option<ObjectList> {
        let objects = page.items().map(|stored| Object {
            checksum_algorithm: stored
                .sum
                .as_ref()
                .map(|sum| vec![ChecksumAlgorithm::from_static(sum.algorithm.as_str())]),
            e_tag: Some(etag(&stored.etag)),
            key: Some(self.bytes(&stored.key)),
            last_modified: Some(timestamp(stored.modified)),
            owner: owned.then(owner),
            size: i64::try_from(stored.size).ok(),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Default::default()
        });
        Some(objects.collect())
    }
}

fn scan(
    prefix: Option<&String>,
    delimiter: Option<&String>,
    from: Vec<u8>,
    limit: Option<i32>,
) -> Result<Scan, EndpointFault> {
    let limit = limit.unwrap_or(PAGE).min(PAGE);
    let limit = usize::try_from(limit).map_err(|_| {
        EndpointFault::refused(S3ErrorCode::InvalidArgument, "The page size may not be negative.")
    })?;
    let bytes = |text: Option<&String>| text.map(|t| t.as_bytes().to_vec()).unwrap_or_default();
    Ok(Scan { prefix: bytes(prefix), delimiter: bytes(delimiter), from, limit })
}

/// Where a listing goes on after a marker: a marker that is a rolled-up prefix stands for all of it.
fn after(marker: Option<&String>, prefix: Option<&String>, delimiter: Option<&String>) -> Vec<u8> {
    let Some(marker) = marker.filter(|marker| !marker.is_empty()) else { return Vec::new() };
    let delimiter = delimiter.map_or("", String::as_str);
    let rest = marker.strip_prefix(prefix.map_or("", String::as_str));
    let rolled = !delimiter.is_empty()
        && rest.is_some_and(|rest| rest.find(delimiter) == rest.len().checked_sub(delimiter.len()));
    let whole = if rolled { successor(marker.as_bytes()) } else { None };
    whole.unwrap_or_else(|| behind(marker.as_bytes()))
}

fn count(limit: usize) -> Option<i32> {
    i32::try_from(limit).ok()
}

impl Service {
    pub(super) async fn list_v1(
        &self,
        input: ListObjectsInput,
    ) -> Result<ListObjectsOutput, EndpointFault> {
        let writing = Writing::of(input.encoding_type.as_ref())?;
        let (prefix, delimiter) = (input.prefix.as_ref(), input.delimiter.as_ref());
        let from = after(input.marker.as_ref(), prefix, delimiter);
        let scan = scan(prefix, delimiter, from, input.max_keys)?;
        let page = self.catalog.page(&input.bucket, Listed::Objects, &scan, None).await?;
        let next = page.end().filter(|_| page.truncated).map(|(name, _)| writing.bytes(name));
        Ok(ListObjectsOutput {
            prefix: writing.text(prefix).or_else(|| Some(String::new())),
            marker: writing.text(input.marker.as_ref()).or_else(|| Some(String::new())),
            max_keys: count(scan.limit),
            is_truncated: Some(page.truncated),
            contents: writing.objects(&page, true),
            common_prefixes: writing.prefixes(&page),
            delimiter: writing.text(delimiter),
            next_marker: next,
            encoding_type: input.encoding_type,
            name: Some(input.bucket),
            ..Default::default()
        })
    }

    pub(super) async fn list_v2(
        &self,
        input: ListObjectsV2Input,
    ) -> Result<ListObjectsV2Output, EndpointFault> {
        let writing = Writing::of(input.encoding_type.as_ref())?;
        let (prefix, delimiter) = (input.prefix.as_ref(), input.delimiter.as_ref());
        let from = match &input.continuation_token {
            Some(token) => BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| {
                let why = "The continuation token provided is incorrect";
                EndpointFault::refused(S3ErrorCode::InvalidArgument, why)
            })?,
            None => after(input.start_after.as_ref(), prefix, delimiter),
        };
        let scan = scan(prefix, delimiter, from, input.max_keys)?;
        let page = self.catalog.page(&input.bucket, Listed::Objects, &scan, None).await?;
        let next = page.end().filter(|_| page.truncated);
        Ok(ListObjectsV2Output {
            prefix: writing.text(prefix).or_else(|| Some(String::new())),
            max_keys: count(scan.limit),
            key_count: count(page.entries.len()),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.truncated),
            next_continuation_token: next.map(|(_, from)| BASE64_URL_SAFE_NO_PAD.encode(from)),
            contents: writing.objects(&page, input.fetch_owner.unwrap_or(false)),
            common_prefixes: writing.prefixes(&page),
            delimiter: writing.text(delimiter),
            encoding_type: input.encoding_type,
            start_after: writing.text(input.start_after.as_ref()),
            name: Some(input.bucket),
            ..Default::default()
        })
    }

    pub(super) async fn list_versions(
        &self,
        input: ListObjectVersionsInput,
    ) -> Result<ListObjectVersionsOutput, EndpointFault> {
        let writing = Writing::of(input.encoding_type.as_ref())?;
        let (prefix, delimiter) = (input.prefix.as_ref(), input.delimiter.as_ref());
        let (key, id) = (input.key_marker.as_ref(), input.version_id_marker.as_ref());
        let (mut from, mut below) = (after(key, prefix, delimiter), None);
        if let (Some(key), Some(id)) = (key.filter(|k| !k.is_empty()), id.filter(|i| !i.is_empty()))
        {
            let place = self.catalog.place_of(&input.bucket, key, id).await?;
            // A version that is gone by now: go on with the next key.
            if let Some(place) = place {
                (from, below) = (key.as_bytes().to_vec(), Some(place));
            }
        }
        let scan = scan(prefix, delimiter, from, input.max_keys)?;
        let page = self.catalog.page(&input.bucket, Listed::Versions, &scan, below).await?;
        let next = page.end().filter(|_| page.truncated).map(|(name, _)| writing.bytes(name));
        let next_id = page.last_item().filter(|_| page.truncated).map(|last| last.id.clone());
        let versions = page.items().filter(|stored| !stored.marker).map(|stored| ObjectVersion {
            e_tag: Some(etag(&stored.etag)),
            is_latest: Some(stored.latest),
            key: Some(writing.bytes(&stored.key)),
            last_modified: Some(timestamp(stored.modified)),
            owner: Some(owner()),
            size: i64::try_from(stored.size).ok(),
            storage_class: Some(ObjectVersionStorageClass::from_static(
                ObjectVersionStorageClass::STANDARD,
            )),
            version_id: Some(stored.id.clone()),
            ..Default::default()
        });
        let markers = page.items().filter(|stored| stored.marker).map(|stored| DeleteMarkerEntry {
            is_latest: Some(stored.latest),
            key: Some(writing.bytes(&stored.key)),
            last_modified: Some(timestamp(stored.modified)),
            owner: Some(owner()),
            version_id: Some(stored.id.clone()),
        });
        Ok(ListObjectVersionsOutput {
            common_prefixes: writing.prefixes(&page),
            versions: Some(versions.collect()),
            delete_markers: Some(markers.collect()),
            delimiter: writing.text(delimiter),
            is_truncated: Some(page.truncated),
            key_marker: writing.text(key).or_else(|| Some(String::new())),
            max_keys: count(scan.limit),
            next_key_marker: next,
            next_version_id_marker: next_id,
            prefix: writing.text(prefix).or_else(|| Some(String::new())),
            encoding_type: input.encoding_type,
            version_id_marker: input.version_id_marker,
            name: Some(input.bucket),
            ..Default::default()
        })
    }

    pub(super) async fn list_uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> Result<ListMultipartUploadsOutput, EndpointFault> {
        let writing = Writing::of(input.encoding_type.as_ref())?;
        let (prefix, delimiter) = (input.prefix.as_ref(), input.delimiter.as_ref());
        let (key, id) = (input.key_marker.as_ref(), input.upload_id_marker.as_ref());
        let (from, above) = match (key, id) {
            (Some(key), Some(id)) if !id.is_empty() => (key.as_bytes().to_vec(), id.as_str()),
            _ => (after(key, prefix, delimiter), ""),
        };
        let scan = scan(prefix, delimiter, from, input.max_uploads)?;
        let page = self.catalog.uploads(&input.bucket, &scan, above).await?;
        let next = page.end().filter(|_| page.truncated).map(|(name, _)| writing.bytes(name));
        let next_id = page.last_item().filter(|_| page.truncated).map(|last| last.id.clone());
        let uploads = page.items().map(|upload| MultipartUpload {
            initiated: Some(timestamp(upload.created)),
            key: Some(writing.bytes(&upload.key)),
            owner: Some(owner()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            upload_id: Some(upload.id.clone()),
            ..Default::default()
        });
        Ok(ListMultipartUploadsOutput {
            common_prefixes: writing.prefixes(&page),
            uploads: Some(uploads.collect()),
            delimiter: writing.text(delimiter),
            is_truncated: Some(page.truncated),
            key_marker: writing.text(key).or_else(|| Some(String::new())),
            max_uploads: count(scan.limit),
            next_key_marker: next,
            next_upload_id_marker: next_id,
            prefix: writing.text(prefix),
            encoding_type: input.encoding_type,
            upload_id_marker: input.upload_id_marker,
            bucket: Some(input.bucket),
            ..Default::default()
        })
    }
}
