-- The embedded S3 endpoint's own database. Bodies lie in files; a body exists for readers only while
-- a row here names it. Keys are bytes: S3 orders them as UTF-8, and they may hold anything.

create table bucket (
    name       text    not null constraint bucket_pk primary key,
    versioning text    constraint bucket_versioning_known check (versioning in ('Enabled', 'Suspended')),
    created_at integer not null
) strict;

-- One row a version of an object, or a delete marker. `seq` orders the versions of a key.
create table version (
    seq         integer constraint version_pk primary key autoincrement,
    bucket      text    not null constraint version_bucket_known references bucket (name),
    key         blob    not null,
    id          text    not null,
    latest      integer not null,
    marker      integer not null,
    size        integer not null,
    etag        text    not null,
    attributes  text    not null,
    sum         text,
    upload      text,
    modified_at integer not null,
    constraint version_unique unique (bucket, key, id)
) strict;

create unique index version_latest on version (bucket, key) where latest = 1;
create index version_order on version (bucket, key, seq desc);
create unique index version_upload on version (upload) where upload is not null;

-- The files of a version, in order: one for a plain put, one a part for a multipart upload.
create table segment (
    version  integer not null constraint segment_version_known references version (seq) on delete cascade,
    position integer not null,
    body     blob    not null,
    size     integer not null,
    constraint segment_pk primary key (version, position)
) strict, without rowid;

create index segment_body on segment (body);

create table upload (
    id         text    not null constraint upload_pk primary key,
    bucket     text    not null constraint upload_bucket_known references bucket (name),
    key        blob    not null,
    attributes text    not null,
    algorithm  text,
    composite  integer not null,
    created_at integer not null
) strict;

create index upload_key on upload (bucket, key, id);

create table part (
    upload      text    not null constraint part_upload_known references upload (id) on delete cascade,
    number      integer not null,
    body        blob,
    size        integer not null,
    etag        text    not null,
    sum         text,
    modified_at integer not null,
    constraint part_pk primary key (upload, number)
) strict, without rowid;

create index part_body on part (body);

-- Events not yet on the uploads queue, written with what they tell of. `id` is the sequencer.
create table outbox (
    id      integer constraint outbox_pk primary key autoincrement,
    name    text    not null,
    bucket  text    not null,
    key     blob    not null,
    version text,
    size    integer,
    etag    text,
    at      integer not null,
    peer    text    not null,
    request text    not null
) strict;
