-- Failures to sign in with names that nobody has, so that every process pauses them as it pauses those with an account.
-- Instead of a name there is a bucket, 20 bits of its keyed hash: people type passwords there. So there are never more rows than
-- buckets, and names of one bucket are paused together. Rows of more than a day are deleted.
create table stranger (
  bucket    bigint not null constraint stranger_pk primary key
            constraint stranger_bucket check (bucket between 0 and 1048575),
  failures  bigint not null constraint stranger_failures check (failures > 0),
  failed_at bigint not null
);

-- What names are hashed with (HMAC-SHA256): nobody outside can compute which of them share a bucket. One row, made at the
-- first sign-in.
create table stranger_key (
  one bigint   not null constraint stranger_key_pk primary key constraint stranger_key_one check (one = 1),
  key bytea   not null constraint stranger_key_length check (length(key) = 32)
);
