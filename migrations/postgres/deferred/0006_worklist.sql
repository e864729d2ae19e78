-- Images that wait for a reader, in the order of urgency, of all sites and of one. Without them a page of the worklist reads the
-- table whole. In the words of adapters/sql/src/worklist: 1 urgent, 2 flagged, 3 needs a human, 4 the rest.
drop index concurrently if exists image_waiting;
create index concurrently image_waiting on image (
  (case when lane = 'stat' then 1 when flag = 'yes' then 2 when state in ('queued', 'analysing', 'ready') then 4 else 3 end),
  received_at, id) where read_at is null and state not in ('superseded', 'removed');
drop index concurrently if exists image_waiting_by_site;
create index concurrently image_waiting_by_site on image (site,
  (case when lane = 'stat' then 1 when flag = 'yes' then 2 when state in ('queued', 'analysing', 'ready') then 4 else 3 end),
  received_at, id) where read_at is null and state not in ('superseded', 'removed');
