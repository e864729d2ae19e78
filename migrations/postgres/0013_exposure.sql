-- What of the AI's answer readers met, and what they said before they met it. Rows are only added; like verdicts they go
-- when the image is removed. They name no image by a foreign key: they are also written after it has gone.

-- Draws the images of which readers are asked for their own opinion first. Made once, by whoever needs it first.
create table opinion_key (
  only_row bigint  not null constraint opinion_key_pk primary key
           constraint opinion_key_once check (only_row = 1),
  key      bytea   not null constraint opinion_key_length check (length(key) = 32)
);

create table first_opinion (
  id            uuid    not null constraint first_opinion_pk primary key,
  image         uuid    not null,
  -- The account's id, all zeros for the local user, and the name that verdicts of the same reader bear.
  reader        uuid    not null,
  name          text    not null,
  role          text    not null,
  session       uuid,
  -- Null for: not assessable.
  label         text    constraint first_opinion_label check (label in ('PNEUMONIA', 'NORMAL')),
  rendering     text,
  -- The answer that was withheld meanwhile.
  model_version text    not null,
  model_sha256  text    not null,
  found         text    not null constraint first_opinion_found check (found in ('PNEUMONIA', 'NORMAL')),
  at            bigint  not null,
  constraint first_opinion_once unique (image, reader)
);
create index first_opinion_by_time on first_opinion (at, id);

create table exposure (
  id            uuid    not null constraint exposure_pk primary key,
  image         uuid    not null,
  reader        uuid    not null,
  session       uuid,
  -- Sent by the server, or painted as the page says.
  source        text    not null constraint exposure_source check (source in ('sent', 'painted')),
  -- Bits: 1 the list's flag, 2 the word, 4 the probability, 8 the heatmap.
  visible       bigint  not null constraint exposure_visible check (visible between 1 and 15),
  model_version text    not null,
  model_sha256  text    not null,
  at            bigint  not null,
  millis        bigint  not null constraint exposure_millis check (millis >= 0)
);
create index exposure_of_image on exposure (image, reader, at);
create unique index exposure_sent_once on exposure (image, reader, visible, model_sha256) where source = 'sent';
