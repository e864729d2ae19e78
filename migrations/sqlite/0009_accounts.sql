-- People. Never deleted: what they did goes on bearing their id.
create table account (
  id        blob    not null constraint account_pk primary key,
  name      text    not null,
  -- The name in small letters, made by the program, since databases differ in it.
  name_key  text    not null constraint account_name unique,
  -- `role@sites`, with a space between two.
  grants    text    not null,
  -- Argon2id in the PHC string form; null until one is set.
  password  text,
  -- The secret of one-time codes, and the newest time step whose code was used.
  totp      blob,
  code_step integer,
  issuer    text,
  subject   text,
  disabled  integer not null default 0 constraint account_disabled check (disabled in (0, 1)),
  added_at  integer not null,
  -- To sign in, since the last success.
  failures  integer not null default 0 constraint account_failures check (failures >= 0),
  failed_at integer,
  constraint account_external unique (issuer, subject),
  constraint account_external_whole check ((issuer is null) = (subject is null))
) strict;

-- Secrets below are SHA-256 of what a browser or a machine keeps. A session that is ended is deleted.
create table session (
  id         blob    not null constraint session_pk primary key,
  account    blob    not null constraint session_account references account (id),
  secret     blob    not null constraint session_secret unique
             constraint session_secret_length check (length(secret) = 32),
  opened_at  integer not null,
  used_at    integer not null,
  expires_at integer not null,
  client     text    not null
) strict;
create index session_of_account on session (account);

-- The one link of an account by which a password can be set. One that is used or void is deleted.
create table link (
  account    blob    not null constraint link_pk primary key
             constraint link_account references account (id),
  secret     blob    not null constraint link_secret unique
             constraint link_secret_length check (length(secret) = 32),
  expires_at integer not null
) strict;

-- Tokens of machines. Never deleted.
create table token (
  id         blob    not null constraint token_pk primary key,
  name       text    not null,
  name_key   text    not null constraint token_name unique,
  grants     text    not null,
  secret     blob    not null constraint token_secret unique
             constraint token_secret_length check (length(secret) = 32),
  added_at   integer not null,
  expires_at integer,
  revoked_at integer,
  -- To the minute.
  used_at    integer
) strict;

-- Sites that grants may name.
create table site (
  name     text    not null constraint site_pk primary key,
  added_at integer not null
) strict;
