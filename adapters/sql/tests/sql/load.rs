//! A store with many images, as a year of work leaves it.

use lobar_testkit::services::postgres::Database;

/// A few hundred are queued and some are in workers' hands; most of the rest are ready, a tenth of those
/// flagged; 40 sites, one of which sends half of all. Indexes are dropped first and made again: ten
/// million rows take minutes so, and an hour otherwise.
pub(crate) fn fill(database: &Database, images: u64) {
    let indexes = "select indexdef from pg_indexes where schemaname = 'public'
        and tablename = 'image' and indexname <> 'image_pk' order by indexname";
    let again = database.sql(indexes);
    let drop = "do $$ declare one record; begin
        for one in select indexname from pg_indexes where schemaname = 'public'
          and tablename = 'image' and indexname <> 'image_pk'
        loop execute 'drop index ' || one.indexname; end loop; end $$;
        alter table finding drop constraint finding_image; alter table finding drop constraint finding_once;
        alter table verdict drop constraint verdict_image;
        alter table instance drop constraint instance_image;
        alter table image drop constraint image_pk";
    database.sql(drop);
    database.sql(&format!(
        "insert into image (id, key_id, bucket, key, version, etag, sequencer, sequence, size, site, lane,
           state, reason, flag, attempts, fence, received_at, finished_at, touched_at)
         select md5('image' || n)::uuid, md5('key' || n)::uuid, 'xrays',
           'incoming/' || site || '/2026/' || n || '.jpg', md5('version' || n), md5(n::text),
           lpad(to_hex(n), 18, '0'), lpad(to_hex(n), 32, '0'), 900000, site,
           case when n % 20 = 0 then 'stat' else 'routine' end, state,
           case when state in ('needs_human', 'failed') then 'blank' end,
           case when state <> 'ready' then 'none' when n % 10 = 3 then 'yes' else 'no' end,
           case when state = 'queued' then 0 else 1 end, 2, at,
           case when state not in ('queued', 'analysing') then at + 5000000 end, at + 5000000
         from (
           select n, 1700000000000000 + n * 3000000 as at,
             case when n % 2 = 0 then 'north' else 'site' || (n / 2 % 39) end as site,
             case when n > {images} - 64 then 'analysing' when n > {images} - 600 then 'queued'
               when n % 1000 = 1 then 'failed' when n % 200 = 7 then 'superseded'
               when n % 200 = 9 then 'removed' when n % 70 = 11 then 'needs_human' else 'ready' end as state
           from generate_series(1, {images}::bigint) as n
         ) as made"
    ));
    database.sql(
        "insert into finding (image, model_version, probability, body, made_at)
         select id, '1', probability, jsonb_build_object('probability', probability, 'flagged', flag = 'yes',
             'label', case flag when 'yes' then 'PNEUMONIA' else 'NORMAL' end)
             || '{\"v\":1,\"model\":{\"version\":\"1\",\"sha256\":\"00\",\"preprocessing\":\"bilinear-224\"},
               \"threshold\":0.5,\"subtype\":null,\"heatmap\":null,\"warnings\":[],\"timings_ms\":{}}',
           finished_at
         from image, lateral (select case flag when 'yes' then 0.75 else 0.25 end as probability) as answered
         where state = 'ready';
         insert into event (image, state, at) select id, state, touched_at from image order by touched_at;
         delete from tally;
         insert into tally (site, stage, flag, lane, images)
           select coalesce(site, ''), case when finished_at is null then 'unfinished' else state end, flag,
             lane, count(*) from image group by 1, 2, 3, 4",
    );
    database.sql(
        "alter table image add constraint image_pk primary key (id);
         alter table finding add constraint finding_once primary key (image);
         alter table finding add constraint finding_image foreign key (image) references image (id);
         alter table instance add constraint instance_image foreign key (image) references image (id)",
    );
    database.sql(&again.replace('\n', ";\n"));
    for table in ["image", "finding", "event", "tally"] {
        database.sql(&format!("vacuum (analyze) {table}"));
    }
}
