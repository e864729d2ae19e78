//! The operations that the endpoint offers, and what each asks of who signed it ([`super::policy`]). Each lies with its kind:
//! [`super::writes`], [`super::reads`], [`super::described`], [`super::multipart`], [`super::list_operations`]. All others are
//! answered NotImplemented by `s3s`.

use std::sync::Arc;

use lobar_core::audit::{Action, NewEntry};
use s3s::dto::*;
use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result};

use super::auth::check_version;
use super::bodies::Bodies;
use super::catalog::{Catalog, Versioning};
use super::conditions::timestamp;
use super::event::Origin;
use super::fault::EndpointFault;
use super::form::FileName;
use super::policy::{Ask, Policy};
use super::receive::Limits;
use super::record::{OfVersion, image, of_operation};

/// What every operation works with.
#[derive(Clone)]
pub(super) struct Service {
    /// Who may do what.
    pub(super) policy: Policy,
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

    /// Does something, and has it recorded with the version that it was done to.
    async fn recorded<T: OfVersion>(
        &self,
        entry: Option<NewEntry>,
        (bucket, key): (String, String),
        work: impl Future<Output = Result<T, EndpointFault>>,
    ) -> Result<T, EndpointFault> {
        let done = work.await?;
        if let Some(mut entry) = entry {
            entry.image = Some(image(bucket, key, &done));
            self.note(entry);
        }
        Ok(done)
    }

    /// Has it recorded that keys were listed, where they were.
    async fn listed<T>(
        &self,
        entry: Option<NewEntry>,
        work: impl Future<Output = Result<T, EndpointFault>>,
    ) -> Result<T, EndpointFault> {
        let done = work.await?;
        if let Some(entry) = entry {
            self.note(entry);
        }
        Ok(done)
    }

    fn note(&self, entry: NewEntry) {
        if let Some(recorder) = &self.policy.recorder {
            recorder.note(entry);
        }
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

/// The name of an operation in S3's reference, from that of its input.
fn name(input: &'static str) -> &'static str {
    input.strip_suffix("Input").unwrap_or(input)
}

/// Writes the trait's methods: each asks whether it may, and hands over to one of ours.
macro_rules! operations {
    ($(
        $method:ident: $input:ident => $output:ty, asks |$asked:ident| [$($ask:expr),+],
        |$this:ident, $request:ident| $work:expr;
    )*) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $method(
                &self,
                $request: S3Request<$input>,
            ) -> S3Result<S3Response<$output>> {
                let ($this, $asked) = (self, &$request);
                check_version($asked.region.as_ref(), &$asked.extensions)?;
                self.policy.check(name(stringify!($input)), &$asked.extensions, &[$($ask),+])?;
                Ok(S3Response::new($work.await?))
            })*
        }

        /// The operations that are offered, by their names in S3's reference.
        pub fn operations() -> impl Iterator<Item = &'static str> {
            [$(stringify!($input)),*].into_iter().map(name)
        }
    };
}

operations! {
    create_bucket: CreateBucketInput => CreateBucketOutput, asks |_q| [Ask::Operator],
        |s, r| s.make_bucket(r);
    delete_bucket: DeleteBucketInput => DeleteBucketOutput, asks |_q| [Ask::Operator],
        |s, r| s.remove_bucket(r.input.bucket);
    list_buckets: ListBucketsInput => ListBucketsOutput, asks |_q| [Ask::Operator],
        |s, _r| s.all_buckets();
    head_bucket: HeadBucketInput => HeadBucketOutput, asks |q| [Ask::Bucket(&q.input.bucket)],
        |s, r| async {
            s.catalog.bucket(&r.input.bucket).await?;
            let bucket_region = Some(s.region.clone());
            Ok::<_, EndpointFault>(HeadBucketOutput { bucket_region, ..Default::default() })
        };
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput,
        asks |q| [Ask::Bucket(&q.input.bucket)],
        |s, r| async {
            s.catalog.bucket(&r.input.bucket).await?;
            // S3 leaves its first region out.
            let region = Some(s.region.clone()).filter(|region| region != "us-east-1");
            let location_constraint = region.map(BucketLocationConstraint::from);
            Ok::<_, EndpointFault>(GetBucketLocationOutput { location_constraint })
        };
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput,
        asks |_q| [Ask::Operator], |s, r| s.versioning(&r.input.bucket);
    put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput,
        asks |_q| [Ask::Operator], |s, r| s.set_versioning(r.input);

    put_object: PutObjectInput => PutObjectOutput,
        asks |q| [Ask::put(&q.input.bucket, &q.input.key, q.input.if_match.as_ref())],
        |s, r| {
            let (bucket, key) = (r.input.bucket.clone(), r.input.key.clone());
            let entry = s.policy.entry(Action::Uploaded, &r, &Ask::put(&bucket, &key, None));
            s.recorded(entry, (bucket, key), s.put(r))
        };
    post_object: PostObjectInput => PostObjectOutput,
        asks |q| [Ask::form(&q.input.bucket, &q.input.key, &q.extensions)],
        |s, r| {
            let key = FileName::substitute(r.extensions.get(), &r.input.key);
            let bucket = r.input.bucket.clone();
            let entry = s.policy.entry(Action::Uploaded, &r, &Ask::put(&bucket, &key, None));
            s.recorded(entry, (bucket, key), s.post(r))
        };
    copy_object: CopyObjectInput => CopyObjectOutput,
        asks |q| [
            Ask::put(&q.input.bucket, &q.input.key, None),
            Ask::copied(&q.headers, &q.input.copy_source)
        ],
        |s, r| {
            let (bucket, key) = (r.input.bucket.clone(), r.input.key.clone());
            let entry = s.policy.entry(Action::Uploaded, &r, &Ask::put(&bucket, &key, None));
            s.recorded(entry, (bucket, key), s.copy(r))
        };
    delete_object: DeleteObjectInput => DeleteObjectOutput, asks |_q| [Ask::Operator],
        |s, r| s.delete(r);
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput, asks |_q| [Ask::Operator],
        |s, r| s.delete_many(r);
    get_object: GetObjectInput => GetObjectOutput,
        asks |q| [Ask::get(&q.input.bucket, &q.input.key, q.input.version_id.as_ref())],
        |s, r| {
            let (bucket, key) = (r.input.bucket.clone(), r.input.key.clone());
            let entry = s.policy.entry(Action::Exported, &r, &Ask::get(&bucket, &key, None));
            s.recorded(entry, (bucket, key), s.get(r.input))
        };
    head_object: HeadObjectInput => HeadObjectOutput,
        asks |q| [Ask::get(&q.input.bucket, &q.input.key, q.input.version_id.as_ref())],
        |s, r| {
            let (bucket, key) = (r.input.bucket.clone(), r.input.key.clone());
            let entry = s.policy.entry(Action::Exported, &r, &Ask::get(&bucket, &key, None));
            let entry = entry.map(|entry| of_operation("HeadObject", entry));
            s.recorded(entry, (bucket, key), s.head(r.input))
        };

    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput,
        asks |q| [Ask::get(&q.input.bucket, &q.input.key, q.input.version_id.as_ref())],
        |s, r| s.tags(r.input);
    get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput,
        asks |q| [Ask::get(&q.input.bucket, &q.input.key, q.input.version_id.as_ref())],
        |s, r| s.attributes(r.input);
    get_object_acl: GetObjectAclInput => GetObjectAclOutput,
        asks |q| [Ask::get(&q.input.bucket, &q.input.key, q.input.version_id.as_ref())],
        |s, r| s.object_acl(r.input);
    put_object_acl: PutObjectAclInput => PutObjectAclOutput, asks |_q| [Ask::Operator],
        |s, r| s.set_object_acl(r.input);
    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput, asks |_q| [Ask::Operator],
        |s, r| s.bucket_acl(r.input);
    get_bucket_notification_configuration: GetBucketNotificationConfigurationInput
        => GetBucketNotificationConfigurationOutput, asks |_q| [Ask::Operator],
        |s, r| s.notifications(r.input);

    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
        asks |q| [Ask::put(&q.input.bucket, &q.input.key, None)],
        |s, r| s.begin_upload(r.input);
    upload_part: UploadPartInput => UploadPartOutput,
        asks |q| [Ask::put(&q.input.bucket, &q.input.key, None)],
        |s, r| s.upload_part(r);
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput,
        asks |q| [
            Ask::put(&q.input.bucket, &q.input.key, None),
            Ask::copied(&q.headers, &q.input.copy_source)
        ],
        |s, r| s.copy_part(r);
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
        asks |q| [Ask::put(&q.input.bucket, &q.input.key, q.input.if_match.as_ref())],
        |s, r| {
            let (bucket, key) = (r.input.bucket.clone(), r.input.key.clone());
            let entry = s.policy.entry(Action::Uploaded, &r, &Ask::put(&bucket, &key, None));
            s.recorded(entry, (bucket, key), s.complete_upload(r))
        };
    // Their id is known to whoever began the upload, and to nobody else.
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
        asks |q| [Ask::put(&q.input.bucket, &q.input.key, None)],
        |s, r| s.abort_upload(r.input);
    list_parts: ListPartsInput => ListPartsOutput,
        asks |q| [Ask::put(&q.input.bucket, &q.input.key, None)],
        |s, r| s.list_parts(r.input);
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput,
        asks |q| [Ask::list(&q.input.bucket, q.input.prefix.as_ref())],
        |s, r| {
            let ask = Ask::list(&r.input.bucket, r.input.prefix.as_ref());
            let entry = s.policy.entry(Action::Listed, &r, &ask);
            s.listed(entry, s.list_uploads(r.input))
        };

    list_objects: ListObjectsInput => ListObjectsOutput,
        asks |q| [Ask::list(&q.input.bucket, q.input.prefix.as_ref())],
        |s, r| {
            let ask = Ask::list(&r.input.bucket, r.input.prefix.as_ref());
            let entry = s.policy.entry(Action::Listed, &r, &ask);
            s.listed(entry, s.list_v1(r.input))
        };
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output,
        asks |q| [Ask::list(&q.input.bucket, q.input.prefix.as_ref())],
        |s, r| {
            let ask = Ask::list(&r.input.bucket, r.input.prefix.as_ref());
            let entry = s.policy.entry(Action::Listed, &r, &ask);
            s.listed(entry, s.list_v2(r.input))
        };
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput,
        asks |_q| [Ask::Operator], |s, r| s.list_versions(r.input);
}
