-- Times are whole microseconds since 1970, UTC. Ids are UUIDs.
--
-- Every change of an image's state touches columns that are indexed, so each leaves a dead row and a dead
-- entry in each index. Autovacuum's own settings would wait for a fifth of ten million rows before it
-- cleans up; these wait for a hundredth.

create table image (
  id          uuid    not null constraint image_pk primary key,
  -- The id of the object's key without a version: what supersession compares within.
  key_id      uuid    not null,
  bucket      text    not null,
  key         text    not null,
  version     text,
  etag        text,
  sequencer   text,
  -- The sequencer in sortable form; null when the order is unknown. Compared byte by byte.
  sequence    text    collate "C",
  size        bigint,
  site        text,
  lane        text    not null constraint image_lane check (lane in ('stat', 'routine')),
  state       text    not null constraint image_state check (state in
                ('queued', 'analysing', 'ready', 'needs_human', 'failed', 'superseded', 'removed')),
  reason      text,
  detail      text,
  -- Whether its finding is flagged; a word instead of null, so that every filter is an index range.
  flag        text    not null default 'none'
              constraint image_flag check (flag in ('none', 'no', 'yes')),
  attempts    bigint  not null default 0 constraint image_attempts check (attempts >= 0),
  -- Grows with each claim; a completion must bring the current one.
  fence       bigint  not null default 0,
  received_at bigint  not null,
  finished_at bigint,
  -- When its state last changed or the sweeper last looked at it.
  touched_at  bigint  not null,
  constraint image_flag_needs_finding check (flag = 'none' or state in ('ready', 'superseded', 'removed')),
  constraint image_ready_has_flag check (state <> 'ready' or flag <> 'none'),
  constraint image_reason_given check (state not in ('needs_human', 'failed') or reason is not null),
  constraint image_finished check ((finished_at is null) = (state in ('queued', 'analysing')))
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.01,
        autovacuum_analyze_scale_factor = 0.01);
create index image_versions on image (key_id, sequence);
create index image_newest on image (received_at, id);
create index image_by_state on image (state, flag, received_at, id);
create index image_by_site on image (site, state, flag, received_at, id);
create index image_unfinished on image (touched_at, lane, received_at) where finished_at is null;

create table finding (
  image         uuid    not null constraint finding_once primary key
                constraint finding_image references image (id),
  model_version text    not null,
  probability   double precision not null
                constraint finding_probability check (probability between 0 and 1),
  body          jsonb   not null,
  made_at       bigint  not null
);

-- Deletions, so that one that comes before its upload still counts.
create table removal (
  -- The id of the image, or of the key when every version was deleted.
  target     uuid    not null constraint removal_pk primary key,
  sequence   text    collate "C",
  removed_at bigint  not null
);

create table event (
  -- Given out under a lock that is held until the commit: the order of numbers is that of commits.
  seq   bigint generated always as identity constraint event_pk primary key,
  image uuid    not null,
  state text    not null,
  at    bigint  not null
);

-- Messages that nobody could read.
create table quarantine (
  id     bigint generated always as identity constraint quarantine_pk primary key,
  source text    not null,
  reason text    not null,
  body   bytea   not null,
  at     bigint  not null
);

create table message (
  id          bigint generated always as identity constraint message_pk primary key,
  queue       text    not null,
  body        bytea   not null,
  sent_at     bigint  not null,
  -- When it can be received: the end of its delay, or of its lease.
  ready_at    bigint  not null,
  -- Grows with each delivery; with the id it is the receipt.
  lease       bigint  not null default 0,
  leased      bigint  not null default 0 constraint message_leased check (leased in (0, 1)),
  receives    bigint  not null default 0 constraint message_receives check (receives >= 0),
  dead_reason text
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.01);
create index message_ready on message (queue, ready_at, id) where dead_reason is null;
