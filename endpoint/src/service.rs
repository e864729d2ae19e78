//! The operations that the endpoint offers. Each is one line here and lies with its kind:
//! [`super::writes`], [`super::reads`], [`super::described`], [`super::multipart`], [`super::list_operations`]. All others are
//! answered NotImplemented by `s3s`.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result};

use super::bodies::Bodies;
use super::catalog::{Catalog, Versioning};
use super::conditions::timestamp;
use super::event::Origin;
use super::fault::EndpointFault;
use super::receive::Limits;

/// What every operation works with.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) catalog: Arc<Catalog>,
    pub(super) bodies: Arc<Bodies>,
    pub(super) limits: Limits,
    pub(super) region: String,
    /// The buckets that cannot be deleted, for uploads and models go there.
    pub(super) homes: [String; 2],
}

/// Who sent a request, as the server noted it.
pub(super) fn origin<T>(request: &S3Request<T>) -> Origin {
    let noted = request.extensions.get::<Origin>().cloned();
    noted.unwrap_or_else(|| Origin { peer: String::new(), request: String::new() })
}

impl Service {
    async fn make_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> Result<CreateBucketOutput, EndpointFault> {
        let name = request.input.bucket;
        let location = Some(format!("/{name}"));
        if !self.catalog.create_bucket(name, Versioning::Off).await? {
            return Err(S3ErrorCode::BucketAlreadyOwnedByYou.into());
        }
        Ok(CreateBucketOutput { location })
    }

    async fn remove_bucket(&self, name: String) -> Result<DeleteBucketOutput, EndpointFault> {
        if self.homes.contains(&name) {
            let why = "Uploads or models go to this bucket; it cannot be deleted.";
            return Err(EndpointFault::refused(S3ErrorCode::AccessDenied, why));
        }
        self.catalog.delete_bucket(name).await?;
        Ok(DeleteBucketOutput::default())
    }

    async fn all_buckets(&self) -> Result<ListBucketsOutput, EndpointFault> {
        let buckets = self.catalog.buckets().await?.into_iter().map(|bucket| Bucket {
            creation_date: Some(timestamp(bucket.created)),
            name: Some(bucket.name),
            ..Default::default()
        });
        Ok(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            owner: Some(owner()),
            ..Default::default()
        })
    }

    async fn versioning(&self, bucket: &str) -> Result<GetBucketVersioningOutput, EndpointFault> {
        let status = self.catalog.bucket(bucket).await?.versioning.as_str();
        let status = status.map(BucketVersioningStatus::from_static);
        Ok(GetBucketVersioningOutput { status, ..Default::default() })
    }

    async fn set_versioning(
        &self,
        input: PutBucketVersioningInput,
    ) -> Result<PutBucketVersioningOutput, EndpointFault> {
        let status = input.versioning_configuration.status;
        let versioning = Versioning::parse(status.as_ref().map(|status| status.as_str()));
        if versioning == Versioning::Off {
            return Err(S3ErrorCode::MalformedXML.into());
        }
        self.catalog.set_versioning(input.bucket, versioning).await?;
        Ok(PutBucketVersioningOutput::default())
    }
}

/// The one owner of everything.
pub(super) fn owner() -> Owner {
    Owner { display_name: Some("lobar".to_owned()), id: Some("lobar".to_owned()) }
}

/// Writes the trait's method that hands over to one of ours.
macro_rules! operations {
    ($($method:ident: $input:ty => $output:ty, |$this:ident, $request:ident| $work:expr;)*) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $method(
                &self,
                $request: S3Request<$input>,
            ) -> S3Result<S3Response<$output>> {
                let $this = self;
                Ok(S3Response::new($work.await?))
            })*
        }
    };
}

operations! {
    create_bucket: CreateBucketInput => CreateBucketOutput, |s, r| s.make_bucket(r);
    delete_bucket: DeleteBucketInput => DeleteBucketOutput, |s, r| s.remove_bucket(r.input.bucket);
    list_buckets: ListBucketsInput => ListBucketsOutput, |s, _r| s.all_buckets();
    head_bucket: HeadBucketInput => HeadBucketOutput, |s, r| async {
        s.catalog.bucket(&r.input.bucket).await?;
        let bucket_region = Some(s.region.clone());
        Ok::<_, EndpointFault>(HeadBucketOutput { bucket_region, ..Default::default() })
    };
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput, |s, r| async {
        s.catalog.bucket(&r.input.bucket).await?;
        // S3 leaves its first region out.
        let region = Some(s.region.clone()).filter(|region| region != "us-east-1");
        let location_constraint = region.map(BucketLocationConstraint::from);
        Ok::<_, EndpointFault>(GetBucketLocationOutput { location_constraint })
    };
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput,
        |s, r| s.versioning(&r.input.bucket);
    put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput,
        |s, r| s.set_versioning(r.input);

    put_object: PutObjectInput => PutObjectOutput, |s, r| s.put(r);
    post_object: PostObjectInput => PostObjectOutput, |s, r| s.post(r);
    copy_object: CopyObjectInput => CopyObjectOutput, |s, r| s.copy(r);
    delete_object: DeleteObjectInput => DeleteObjectOutput, |s, r| s.delete(r);
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput, |s, r| s.delete_many(r);
    get_object: GetObjectInput => GetObjectOutput, |s, r| s.get(r.input);
    head_object: HeadObjectInput => HeadObjectOutput, |s, r| s.head(r.input);

    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput, |s, r| s.tags(r.input);
    get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput,
        |s, r| s.attributes(r.input);
    get_object_acl: GetObjectAclInput => GetObjectAclOutput, |s, r| s.object_acl(r.input);
    put_object_acl: PutObjectAclInput => PutObjectAclOutput, |s, r| s.set_object_acl(r.input);
    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput, |s, r| s.bucket_acl(r.input);
    get_bucket_notification_configuration: GetBucketNotificationConfigurationInput
        => GetBucketNotificationConfigurationOutput, |s, r| s.notifications(r.input);

    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
        |s, r| s.begin_upload(r.input);
    upload_part: UploadPartInput => UploadPartOutput, |s, r| s.upload_part(r);
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput, |s, r| s.copy_part(r);
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
        |s, r| s.complete_upload(r);
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
        |s, r| s.abort_upload(r.input);
    list_parts: ListPartsInput => ListPartsOutput, |s, r| s.list_parts(r.input);
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput,
        |s, r| s.list_uploads(r.input);

    list_objects: ListObjectsInput => ListObjectsOutput, |s, r| s.list_v1(r.input);
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output, |s, r| s.list_v2(r.input);
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput,
        |s, r| s.list_versions(r.input);
}
