-- The roles of a ledger in PostgreSQL, each with the rights it needs and no more. An administrator
-- executes this file in the database of the ledger, before or after its tables are made; a second time,
-- or for a second ledger on the server, it adds what is missing:
--
--   createdb --template template0 --encoding UTF8 ledger
--   psql --dbname ledger --set ON_ERROR_STOP=1 --file deploy/roles.sql
--   psql --dbname ledger --command '\password dispatcher_run'        and so on for each role
--
-- dispatcher_owner   owns the tables and functions. `dispatcher ledger migrate`, `ledger copy` and
--                    `ledger forget` need it.
-- dispatcher_run     reads and writes rows: `dispatcher run`, and all other commands of operators.
-- dispatcher_read    only reads: `status`, `explain`, `parked list`, exports, `ledger verify`. It can
--                    read addresses and texts of contacts that are not final.
-- dispatcher_backup  reads everything for pg_dump, and is for nothing else.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'dispatcher_owner', 'dispatcher_run', 'dispatcher_read', 'dispatcher_backup'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
END $$;

-- An administrator who is no superuser may give away only what belongs to a role of their own.
GRANT dispatcher_owner TO CURRENT_USER;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO dispatcher_owner', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO dispatcher_run, dispatcher_read, dispatcher_backup',
        current_database()
    );
END $$;

CREATE SCHEMA IF NOT EXISTS dispatcher AUTHORIZATION dispatcher_owner;
GRANT USAGE ON SCHEMA dispatcher TO dispatcher_run, dispatcher_read, dispatcher_backup;

-- What migrations will create has these rights from its beginning.
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO dispatcher_run;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT USAGE ON SEQUENCES TO dispatcher_run;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT EXECUTE ON FUNCTIONS TO dispatcher_run;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT SELECT ON TABLES TO dispatcher_read, dispatcher_backup;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT SELECT ON SEQUENCES TO dispatcher_backup;

-- What is there already gets the same.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA dispatcher FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dispatcher TO dispatcher_run;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA dispatcher TO dispatcher_run;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA dispatcher TO dispatcher_run;
GRANT SELECT ON ALL TABLES IN SCHEMA dispatcher TO dispatcher_read, dispatcher_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA dispatcher TO dispatcher_backup;
