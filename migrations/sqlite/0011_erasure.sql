-- What is left of erased images. Their rows in `image` are gone; an id that stands here is never admitted again.
create table erasure (
  image     blob    not null constraint erasure_pk primary key,
  site      text,
  reason    text    not null,
  asked_at  integer not null,
  -- When the object was gone from the bucket. Until then, and no longer, the columns below name it.
  erased_at integer,
  bucket    text,
  key       text,
  version   text,
  etag      text,
  constraint erasure_is_opaque check ((erased_at is null) = (key is not null)),
  constraint erasure_names_nothing check
    (erased_at is null or (bucket is null and version is null and etag is null))
) strict;
create index erasure_unfinished on erasure (image) where erased_at is null;

-- Of a key: the highest sequence among its erased versions. What is older and told of later is not kept either.
alter table removal add column erased_sequence text;
