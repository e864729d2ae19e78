-- How many images there are of each kind, moved with every change of theirs in the same transaction, so
-- that a total costs a few rows however many images there are. Queued and analysing are one kind here:
-- images move between them too often, and those in workers' hands are few enough to count.
create table tally (
  -- Empty for images without a site.
  site   text    not null,
  stage  text    not null constraint tally_stage check (stage in
           ('unfinished', 'ready', 'needs_human', 'failed', 'superseded', 'removed')),
  flag   text    not null constraint tally_flag check (flag in ('none', 'no', 'yes')),
  lane   text    not null constraint tally_lane check (lane in ('stat', 'routine')),
  images integer not null,
  constraint tally_pk primary key (site, stage, flag, lane)
) strict, without rowid;

insert into tally (site, stage, flag, lane, images)
  select coalesce(site, ''), case when finished_at is null then 'unfinished' else state end, flag, lane,
    count(*)
  from image group by 1, 2, 3, 4;

-- What is oldest in a lane, from one end of an index.
create index image_oldest on image (lane, received_at) where finished_at is null;
