-- Functions of the ledger: its copy to another place, or from one.

-- Take the whole ledger for a copy, unless a run uses it. Return [id] of the copy among the daemons, or
-- [NULL, id, name, host, lease_until] of a run. Runs whose leases have run out are fenced. A run that
-- is just committing is waited for, and then it has its lease again.
CREATE OR REPLACE FUNCTION dispatcher.begin_copy(
    p_name text, p_host text, p_seconds double precision
)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_me bigint;
    v_run json;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('dispatcher.lease', 0));
    UPDATE dispatcher.daemon SET fenced = true
    WHERE NOT fenced AND lease_until <= clock_timestamp();
    SELECT json_build_array(
        NULL, id, name, host, extract(epoch FROM lease_until)::double precision
    ) INTO v_run
    FROM dispatcher.daemon WHERE NOT fenced ORDER BY id LIMIT 1;
    IF v_run IS NOT NULL THEN
        RETURN v_run;
    END IF;
    INSERT INTO dispatcher.daemon (name, host, lease_until)
    VALUES (p_name, p_host, clock_timestamp() + make_interval(secs => p_seconds))
    RETURNING id INTO v_me;
    RETURN json_build_array(v_me);
END $$;

-- Begin the transaction that changes the mark of the ledger for a copy. It waits for transactions of
-- commands, and for runs that register; those that come later see the mark.
CREATE OR REPLACE FUNCTION dispatcher.before_mark(p_me bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('dispatcher.lease', 0));
    PERFORM pg_advisory_xact_lock(hashtextextended('dispatcher.move', 0));
    IF EXISTS (SELECT 1 FROM dispatcher.daemon WHERE id <> p_me AND NOT fenced) THEN
        RAISE EXCEPTION 'a run has just begun' USING ERRCODE = 'DSP05';
    END IF;
END $$;

-- Begin a transaction of a command that writes, unless the ledger has moved or is an unfinished copy.
CREATE OR REPLACE FUNCTION dispatcher.before_order()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('dispatcher.move', 0));
    IF EXISTS (SELECT 1 FROM dispatcher.move WHERE state <> 'arrived') THEN
        RAISE EXCEPTION 'this ledger has moved, or is an unfinished copy' USING ERRCODE = 'DSP04';
    END IF;
END $$;
