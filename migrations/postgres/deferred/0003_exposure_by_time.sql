-- Exposures by their time, of which LOBAR_EXPOSURE_RETENTION deletes the old ones. Without it the table is read whole, once
-- an hour.
drop index concurrently if exists exposure_by_time;
create index concurrently exposure_by_time on exposure (at);
