-- The events of one image, for `lobar image`. Without it the log is read whole.
drop index concurrently if exists event_by_image;
create index concurrently event_by_image on event (image, seq);
