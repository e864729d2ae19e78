-- Which trace a message and an event continue: the `traceparent` of W3C Trace Context, 55 characters. Null where
-- nothing was traced, and in all that earlier releases write.
alter table message add column trace text;
alter table event add column trace text;
