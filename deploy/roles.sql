-- The roles of a ledger in PostgreSQL, each with the rights it needs and no more. An administrator
-- executes this file once, in the empty database of the ledger:
--
--   createdb --template template0 --encoding UTF8 ledger
--   psql --dbname ledger --set ON_ERROR_STOP=1 --file deploy/roles.sql
--   psql --dbname ledger --command '\password dispatcher_run'        and so on for each role
--
-- dispatcher_owner  owns the tables and functions. Only `dispatcher ledger migrate` and `ledger copy`
--                   need it.
-- dispatcher_run    reads and writes rows: `dispatcher run`, and all other commands of operators.
-- dispatcher_read   only reads: `status`, `explain`, `parked list`, exports, `ledger verify`. It can
--                   read addresses and texts of contacts that are not final.

CREATE ROLE dispatcher_owner LOGIN;
CREATE ROLE dispatcher_run LOGIN;
CREATE ROLE dispatcher_read LOGIN;

-- An administrator who is no superuser may give away only what belongs to a role of their own.
GRANT dispatcher_owner TO CURRENT_USER;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO dispatcher_owner', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO dispatcher_run, dispatcher_read', current_database()
    );
END $$;

CREATE SCHEMA dispatcher AUTHORIZATION dispatcher_owner;
GRANT USAGE ON SCHEMA dispatcher TO dispatcher_run, dispatcher_read;

-- What migrations will create has these rights from its beginning.
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO dispatcher_run;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT USAGE ON SEQUENCES TO dispatcher_run;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT EXECUTE ON FUNCTIONS TO dispatcher_run;
ALTER DEFAULT PRIVILEGES FOR ROLE dispatcher_owner IN SCHEMA dispatcher
    GRANT SELECT ON TABLES TO dispatcher_read;
