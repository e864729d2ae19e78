-- postgres rule 5
alter table image add column origin text;
update image set origin = 'unknown';
