//! What a client may ask of an object beside its bytes, and of who may read it.
//!
//! Everything belongs to one owner and to nobody else: access lists say so, and take no other word. Objects
//! have no tags.

use s3s::S3ErrorCode;
use s3s::dto::*;

use super::attributes::show_sum;
use super::conditions::{etag, timestamp};
use super::fault::EndpointFault;
use super::reads::{Found, marker};
use super::service::{Service, owner};

/// S3's bound on a page of parts.
const PAGE: i32 = 1000;

/// The one grant that there is.
fn grants() -> Grants {
    let Owner { display_name, id } = owner();
    let type_ = Type::from_static(Type::CANONICAL_USER);
    let grantee = Grantee { display_name, email_address: None, id, type_, uri: None };
    let permission = Some(Permission::from_static(Permission::FULL_CONTROL));
    vec![Grant { grantee: Some(grantee), permission }]
}

/// Whether a list grants to the owner alone.
fn is_private(list: &AccessControlPolicy) -> bool {
    let mut granted = list.grants.iter().flatten();
    granted.all(|grant| grant.grantee.as_ref().is_some_and(|grantee| grantee.id == owner().id))
}

impl Service {
    /// A version that must be there, and no delete marker.
    async fn described(
        &self,
        (bucket, key, version): (&str, &str, Option<&str>),
    ) -> Result<Found, EndpointFault> {
        let (versioning, found) = self.catalog.find(bucket, key, version).await?;
        let (stored, segments) = found.ok_or(match version {
            Some(_) => S3ErrorCode::NoSuchVersion,
            None => S3ErrorCode::NoSuchKey,
        })?;
        if stored.marker {
            return Err(marker(&stored, version.is_some()).into());
        }
        let bytes = 0..stored.size;
        Ok(Found { stored, segments, versioning, bytes, partial: false })
    }

    pub(super) async fn tags(
        &self,
        input: GetObjectTaggingInput,
    ) -> Result<GetObjectTaggingOutput, EndpointFault> {
        let version = input.version_id.as_deref();
        let found = self.described((&input.bucket, &input.key, version)).await?;
        let version_id = found.stored.told(found.versioning);
        Ok(GetObjectTaggingOutput { tag_set: Vec::new(), version_id })
    }

    pub(super) async fn attributes(
        &self,
        input: GetObjectAttributesInput,
    ) -> Result<GetObjectAttributesOutput, EndpointFault> {
        let version = input.version_id.as_deref();
        let found = self.described((&input.bucket, &input.key, version)).await?;
        // Clients write them on one line or on several.
        let asked = input.object_attributes.iter().flat_map(|line| line.as_str().split(','));
        let asked: Vec<&str> = asked.map(str::trim).collect();
        let asked = |name| asked.contains(&name);
        let stored = &found.stored;
        let checksum = stored.sum.as_ref().filter(|_| asked(ObjectAttributes::CHECKSUM));
        let checksum = checksum.map(|sum| {
            let mut checksum = Checksum::default();
            show_sum!(checksum, Some(sum));
            checksum.checksum_type = found.checksum_type();
            checksum
        });
        let size = i64::try_from(stored.size).ok();
        let standard = StorageClass::from_static(StorageClass::STANDARD);
        let parts = asked(ObjectAttributes::OBJECT_PARTS).then(|| {
            let (limit, after) = (input.max_parts, input.part_number_marker);
            parts(&found, limit.unwrap_or(PAGE).clamp(0, PAGE), after.unwrap_or(0).max(0))
        });
        Ok(GetObjectAttributesOutput {
            checksum,
            e_tag: asked(ObjectAttributes::ETAG).then(|| etag(&stored.etag)),
            last_modified: Some(timestamp(stored.modified)),
            object_parts: parts.flatten(),
            object_size: size.filter(|_| asked(ObjectAttributes::OBJECT_SIZE)),
            storage_class: asked(ObjectAttributes::STORAGE_CLASS).then_some(standard),
            version_id: stored.told(found.versioning),
            ..Default::default()
        })
    }

    pub(super) async fn object_acl(
        &self,
        input: GetObjectAclInput,
    ) -> Result<GetObjectAclOutput, EndpointFault> {
        self.described((&input.bucket, &input.key, input.version_id.as_deref())).await?;
        let (grants, owner) = (Some(grants()), Some(owner()));
        Ok(GetObjectAclOutput { grants, owner, ..Default::default() })
    }

    pub(super) async fn bucket_acl(
        &self,
        input: GetBucketAclInput,
    ) -> Result<GetBucketAclOutput, EndpointFault> {
        self.catalog.bucket(&input.bucket).await?;
        Ok(GetBucketAclOutput { grants: Some(grants()), owner: Some(owner()) })
    }

    /// Takes what is so already.
    pub(super) async fn set_object_acl(
        &self,
        input: PutObjectAclInput,
    ) -> Result<PutObjectAclOutput, EndpointFault> {
        self.described((&input.bucket, &input.key, input.version_id.as_deref())).await?;
        let canned = input.acl.as_ref().is_none_or(|acl| {
            use ObjectCannedACL as Canned;
            [Canned::PRIVATE, Canned::BUCKET_OWNER_FULL_CONTROL, Canned::BUCKET_OWNER_READ]
                .contains(&acl.as_str())
        });
        let granted = input.grant_full_control.is_some()
            || input.grant_read.is_some()
            || input.grant_read_acp.is_some()
            || input.grant_write.is_some()
            || input.grant_write_acp.is_some();
        let listed = input.access_control_policy.as_ref().is_none_or(is_private);
        if !canned || granted || !listed {
            let why = "Objects of this endpoint belong to its owner alone; no other access list is taken.";
            return Err(EndpointFault::refused(S3ErrorCode::AccessControlListNotSupported, why));
        }
        Ok(PutObjectAclOutput::default())
    }

    /// Where its changes are announced is not the bucket's to say.
    pub(super) async fn notifications(
        &self,
        input: GetBucketNotificationConfigurationInput,
    ) -> Result<GetBucketNotificationConfigurationOutput, EndpointFault> {
        self.catalog.bucket(&input.bucket).await?;
        Ok(GetBucketNotificationConfigurationOutput::default())
    }
}

/// A page of a multipart object's parts; `None` of any other object.
fn parts(found: &Found, limit: i32, after: i32) -> Option<GetObjectAttributesParts> {
    let total = found.parts()?;
    let numbered = (1..).zip(&found.segments).filter(|(number, _)| *number > after);
    let page = usize::try_from(limit).unwrap_or(0);
    let page: Vec<_> = numbered
        .take(page)
        .map(|(number, segment)| ObjectPart {
            part_number: Some(number),
            size: i64::try_from(segment.size).ok(),
            ..Default::default()
        })
        .collect();
    let last = page.last().and_then(|part| part.part_number);
    Some(GetObjectAttributesParts {
        is_truncated: Some(last.unwrap_or(after) < total),
        max_parts: Some(limit),
        next_part_number_marker: last,
        part_number_marker: Some(after),
        parts: Some(page),
        total_parts_count: Some(total),
    })
}
