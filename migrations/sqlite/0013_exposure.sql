-- What of the AI's answer readers met, and what they said before they met it. Rows are only added; like verdicts they go
-- when the image is removed. They name no image by a foreign key: they are also written after it has gone.

-- Draws the images of which readers are asked for their own opinion first. Made once, by whoever needs it first.
create table opinion_key (
  only_row integer not null constraint opinion_key_pk primary key
           constraint opinion_key_once check (only_row = 1),
  key      blob    not null constraint opinion_key_length check (length(key) = 32)
) strict;

create table first_opinion (
  id            blob    not null constraint first_opinion_pk primary key,
  image         blob    not null,
  -- The account's id, all zeros for the local user, and the name that verdicts of the same reader bear.
  reader        blob    not null,
  name          text    not null,
  role          text    not null,
  session       blob,
  -- Null for: not assessable.
  label         text    constraint first_opinion_label check (label in ('PNEUMONIA', 'NORMAL')),
  rendering     text,
  -- The answer that was withheld meanwhile.
  model_version text    not null,
  model_sha256  text    not null,
  found         text    not null constraint first_opinion_found check (found in ('PNEUMONIA', 'NORMAL')),
  at            integer not null,
  constraint first_opinion_once unique (image, reader)
) strict, without rowid;
create index first_opinion_by_time on first_opinion (at, id);

create table exposure (
  id            blob    not null constraint exposure_pk primary key,
  image         blob    not null,
  reader        blob    not null,
  session       blob,
  -- Sent by the server, or painted as the page says.
  source        text    not null constraint exposure_source check (source in ('sent', 'painted')),
  -- Bits: 1 the list's flag, 2 the word, 4 the probability, 8 the heatmap.
  visible       integer not null constraint exposure_visible check (visible between 1 and 15),
  model_version text    not null,
  model_sha256  text    not null,
  at            integer not null,
  millis        integer not null constraint exposure_millis check (millis >= 0)
) strict, without rowid;
create index exposure_of_image on exposure (image, reader, at);
create unique index exposure_sent_once on exposure (image, reader, visible, model_sha256) where source = 'sent';
