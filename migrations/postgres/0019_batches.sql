-- Files that were uploaded together. What became of them is read from their images.
-- New tables only: nothing that is there is read or locked.
create table batch (
  id            uuid   not null constraint batch_pk primary key,
  -- Null is an unknown site.
  site          text,
  -- Who uploaded it, and what records call them; null where only the bucket told of its files.
  uploader      uuid,
  uploader_name text,
  opened_at     bigint not null,
  -- When a file was added last.
  last_at       bigint not null,
  constraint batch_times check (opened_at <= last_at),
  constraint batch_uploader check ((uploader is null) = (uploader_name is null))
);
create index batch_newest on batch (opened_at, id);
create index batch_by_site on batch (site, opened_at, id);
create index batch_by_last on batch (last_at);

-- A file by the id of its image, which may not be admitted yet, may never be (`put_aside`), or may be erased since: so no key
-- of image. A `duplicate` had its image before it was uploaded in this batch.
create table batch_file (
  batch uuid not null constraint batch_file_batch references batch (id),
  image uuid not null,
  kind  text not null constraint batch_file_kind check (kind in ('image', 'duplicate', 'put_aside')),
  constraint batch_file_pk primary key (batch, image)
);
