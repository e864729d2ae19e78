-- The models that were registered. Their weights lie in the object store; here are card and stage.
create table model (
  version       text    not null constraint model_pk primary key,
  -- Of the weights file, lower-case hexadecimal.
  sha256        text    not null,
  key           text    not null,
  bytes         bigint  not null constraint model_bytes check (bytes >= 0),
  -- JSON, as it was registered.
  card          text    not null,
  stage         text    not null constraint model_stage check (stage in
                  ('candidate', 'active', 'retired')),
  -- Whether it runs beside the active one, unseen.
  shadow        bigint  not null default 0 constraint model_shadow check (shadow in (0, 1)),
  registered_at bigint  not null,
  changed_at    bigint  not null,
  constraint model_shadow_is_not_active check (shadow = 0 or stage <> 'active')
);
create unique index model_one_active on model (stage) where stage = 'active';
create unique index model_one_shadow on model (shadow) where shadow = 1;

-- What was done, in the order of revisions.
create table model_change (
  revision bigint  not null constraint model_change_pk primary key,
  action   text    not null constraint model_change_action check (action in
             ('register', 'activate', 'rollback', 'retire', 'shadow', 'unshadow')),
  version  text    not null constraint model_change_version references model (version),
  made_by  text    not null,
  at       bigint  not null,
  -- Of an activation: the activation that it replaced, to which a rollback goes back.
  beneath  bigint  constraint model_change_beneath references model_change (revision)
);

-- One row, which every change locks before it looks, so that there is one change at a time.
create table assignment (
  id       bigint  not null constraint assignment_pk primary key
           constraint assignment_is_one check (id = 1),
  revision bigint  not null,
  -- The activation that the active model is active by; null before the first.
  standing bigint  constraint assignment_standing references model_change (revision)
);
insert into assignment (id, revision) values (1, 0);

-- What a shadow saw in images whose shown findings another model made. By version first: a comparison
-- reads the range of one model.
create table shadow_finding (
  version           text    not null,
  image             uuid    not null,
  probability       double precision not null
                    constraint shadow_finding_probability check (probability between 0 and 1),
  flagged           bigint  not null constraint shadow_finding_flagged check (flagged in (0, 1)),
  shown_version     text    not null,
  shown_probability double precision not null
                    constraint shadow_finding_shown_probability check (shown_probability between 0 and 1),
  shown_flagged     bigint  not null
                    constraint shadow_finding_shown_flagged check (shown_flagged in (0, 1)),
  made_at           bigint  not null,
  constraint shadow_finding_once primary key (version, image)
);
