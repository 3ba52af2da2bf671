-- QA's checklist for releases, as release-gate reads it. One row is one check of one release candidate. This may be run again.
-- `release-gate checklist --init` prints it: run it in Supabase's SQL editor, or with psql as the owner of the schema.
create table if not exists public.qa_checks (
  release     text not null check (release ~ '^[0-9]+\.[0-9]+\.[0-9]+$'),                  -- 1.2.0
  candidate   text not null check (candidate ~ '^v?[0-9]+\.[0-9]+\.[0-9]+-rc\.?[0-9]+$'),  -- the tag: v1.2.0-rc3, or v1.2.0-rc.3
  commit_sha  text not null check (commit_sha ~ '^([0-9a-f]{40}|[0-9a-f]{64})$'),          -- the commit that the tag is at
  item        text not null check (item <> ''),                                            -- a name that stays: checkout.card-payment
  title       text not null check (btrim(title) <> ''),
  required    boolean not null default true,
  status      text not null default 'pending' check (status in ('pending', 'pass', 'fail', 'blocked', 'waived')),
  source      text not null default 'manual' check (source in ('manual', 'playwright', 'postman', 'vitest', 'eslint')),
  evidence    text,                                                                        -- an address
  note        text,
  checked_by  text,
  checked_at  timestamptz,
  updated_at  timestamptz not null default now(),
  primary key (candidate, item),
  constraint qa_checks_answered check (status = 'pending' or (coalesce(btrim(checked_by), '') <> '' and checked_at is not null)),
  constraint qa_checks_waived check (status <> 'waived' or coalesce(btrim(note), '') <> '')  -- a waiver names its reason
);
create index if not exists qa_checks_release on public.qa_checks (release);

-- Every answer that was ever given: a "pass" is not taken back unseen.
create table if not exists public.qa_check_events (
  id bigint generated always as identity primary key, at timestamptz not null default now(),
  candidate text not null, item text not null, old_status text, new_status text not null, by text, note text
);

create or replace function public.qa_checks_touch() returns trigger language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  return new;
end $$;
drop trigger if exists qa_checks_touch on public.qa_checks;
create trigger qa_checks_touch before update on public.qa_checks for each row execute function public.qa_checks_touch();

-- After the fact: a trigger before it is run for rows too that are there already and are then left alone (on conflict do nothing).
create or replace function public.qa_checks_log() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    insert into public.qa_check_events (candidate, item, new_status, by, note)
    values (new.candidate, new.item, new.status, new.checked_by, new.note);
  elsif new.status is distinct from old.status then
    insert into public.qa_check_events (candidate, item, old_status, new_status, by, note)
    values (new.candidate, new.item, old.status, new.status, new.checked_by, new.note);
  end if;
  return null;
end $$;
drop trigger if exists qa_checks_log on public.qa_checks;
create trigger qa_checks_log after insert or update on public.qa_checks for each row execute function public.qa_checks_log();

alter table public.qa_checks enable row level security;
alter table public.qa_check_events enable row level security;

-- Supabase's roles. Since 2026-10-30 they get no rights on new tables by themselves, and before that they got all: so both are said here.
-- The pipeline (service_role, which no policy holds) makes rows and reads them. People (authenticated) answer what is theirs, and change
-- neither what is asked nor of which commit. A table with row level security and without a policy looks empty: that is no error anywhere.
do $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    revoke all on public.qa_checks, public.qa_check_events from anon, authenticated, service_role;
    grant select, insert, update on public.qa_checks to service_role;
    grant select on public.qa_check_events to service_role;
    grant select, update (status, evidence, note, checked_by, checked_at) on public.qa_checks to authenticated;
    drop policy if exists qa_read on public.qa_checks;
    create policy qa_read on public.qa_checks for select to authenticated using (true);
    drop policy if exists qa_write on public.qa_checks;
    create policy qa_write on public.qa_checks for update to authenticated using (true) with check (source = 'manual');
  end if;
end $$;

-- Where release-gate asks PostgreSQL itself (checklist.source = "database"), give it a role that can do this and nothing else, never a
-- superuser: a policy, a view or a trigger of the table is code that runs with the rights of who asks. `insert` is for --seed alone.
--   create role release_gate login password '...';
--   grant select, insert on public.qa_checks to release_gate;
--   create policy qa_gate on public.qa_checks for select to release_gate using (true);
--   create policy qa_seed on public.qa_checks for insert to release_gate with check (status = 'pending');

-- PostgREST learns of the table at once.
notify pgrst, 'reload schema';
