-- Which rendering of the picture was painted when a verdict was given. Null where none was, and in every verdict of
-- earlier releases: their page said "picture" whether it had arrived or not. Nothing is learnt from those.
alter table verdict add column rendering text;
