-- Times are whole microseconds since 1970, UTC. Ids are 16-byte UUIDs.

create table image (
  id          blob    not null constraint image_pk primary key,
  -- The id of the object's key without a version: what supersession compares within.
  key_id      blob    not null,
  bucket      text    not null,
  key         text    not null,
  version     text,
  etag        text,
  sequencer   text,
  -- The sequencer in sortable form; null when the order is unknown.
  sequence    text,
  size        integer,
  site        text,
  lane        text    not null constraint image_lane check (lane in ('stat', 'routine')),
  state       text    not null constraint image_state check (state in
                ('queued', 'analysing', 'ready', 'needs_human', 'failed', 'superseded', 'removed')),
  reason      text,
  detail      text,
  -- Whether its finding is flagged; a word instead of null, so that every filter is an index range.
  flag        text    not null default 'none'
              constraint image_flag check (flag in ('none', 'no', 'yes')),
  attempts    integer not null default 0 constraint image_attempts check (attempts >= 0),
  -- Grows with each claim; a completion must bring the current one.
  fence       integer not null default 0,
  received_at integer not null,
  finished_at integer,
  -- When its state last changed or the sweeper last looked at it.
  touched_at  integer not null,
  constraint image_flag_needs_finding check (flag = 'none' or state in ('ready', 'superseded', 'removed')),
  constraint image_ready_has_flag check (state <> 'ready' or flag <> 'none'),
  constraint image_reason_given check (state not in ('needs_human', 'failed') or reason is not null),
  constraint image_finished check ((finished_at is null) = (state in ('queued', 'analysing')))
) strict;
create index image_versions on image (key_id, sequence);
create index image_newest on image (received_at, id);
create index image_by_state on image (state, flag, received_at, id);
create index image_by_site on image (site, state, flag, received_at, id);
create index image_unfinished on image (touched_at, lane, received_at)
  where finished_at is null;

create table finding (
  image         blob    not null constraint finding_once primary key
                constraint finding_image references image (id),
  model_version text    not null,
  probability   real    not null constraint finding_probability check (probability between 0 and 1),
  body          text    not null,
  made_at       integer not null
) strict;

-- Deletions, so that one that comes before its upload still counts.
create table removal (
  -- The id of the image, or of the key when every version was deleted.
  target     blob    not null constraint removal_pk primary key,
  sequence   text,
  removed_at integer not null
) strict;

create table event (
  seq   integer constraint event_pk primary key autoincrement,
  image blob    not null,
  state text    not null,
  at    integer not null
) strict;

-- Messages that nobody could read.
create table quarantine (
  id     integer constraint quarantine_pk primary key autoincrement,
  source text    not null,
  reason text    not null,
  body   blob    not null,
  at     integer not null
) strict;

create table message (
  id          integer constraint message_pk primary key autoincrement,
  queue       text    not null,
  body        blob    not null,
  sent_at     integer not null,
  -- When it can be received: the end of its delay, or of its lease.
  ready_at    integer not null,
  -- Grows with each delivery; with the id it is the receipt.
  lease       integer not null default 0,
  leased      integer not null default 0 constraint message_leased check (leased in (0, 1)),
  receives    integer not null default 0 constraint message_receives check (receives >= 0),
  dead_reason text
) strict;
create index message_ready on message (queue, ready_at, id) where dead_reason is null;
