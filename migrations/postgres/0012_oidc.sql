-- The session at the provider that signed its person in (OpenID Connect: `sid`), by which the provider ends it. Open sessions are few:
-- no index.
alter table session add column sid text;

-- SHA-256 of what may be used once: the `state` of a sign-in, the `jti` of a logout token. Deleted when its time is over.
create table used_once (
  what       bytea  not null constraint used_once_pk primary key
             constraint used_once_length check (length(what) = 32),
  expires_at bigint not null
);
