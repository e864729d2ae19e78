-- How many messages wait in quarantine, by reason: read for every scrape. Without it the table is read whole.
drop index concurrently if exists quarantine_waiting;
create index concurrently quarantine_waiting on quarantine (reason) where state = 'waiting';
