-- Functions of the ledger: daemons and their leases. All functions are replaced by each migration.
-- Whether a lease has run out is decided by the clock of the server alone.

-- Add a run that knows a version of the schema; return its id. Rows of runs that ended long ago are
-- removed. A ledger that has moved, or is an unfinished copy, has no runs; `begin_copy` and migrations
-- wait for this transaction.
CREATE OR REPLACE FUNCTION dispatcher.register(
    p_name text, p_host text, p_seconds double precision, p_schema integer
)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_me bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('dispatcher.lease', 0));
    IF p_schema <> (SELECT version FROM dispatcher.store) THEN
        RAISE EXCEPTION 'its schema has another version' USING ERRCODE = 'DSP06';
    END IF;
    IF EXISTS (SELECT 1 FROM dispatcher.move WHERE state <> 'arrived') THEN
        RAISE EXCEPTION 'this ledger has moved, or is an unfinished copy' USING ERRCODE = 'DSP04';
    END IF;
    DELETE FROM dispatcher.daemon
    WHERE
        lease_until < clock_timestamp() - interval '30 days'
        AND NOT EXISTS (SELECT 1 FROM dispatcher.lease WHERE lease.daemon_id = daemon.id)
        AND NOT EXISTS (SELECT 1 FROM dispatcher.held WHERE held.daemon_id = daemon.id);
    INSERT INTO dispatcher.daemon (name, host, lease_until)
    VALUES (p_name, p_host, clock_timestamp() + make_interval(secs => p_seconds))
    RETURNING id INTO v_me;
    RETURN v_me;
END $$;

-- The leases of runs that are not fenced, as [kind, name, daemon, host, since, seconds left], the
-- longest held first: those of ([[kind, name], ...]) that p_me does not have, or with NULL all.
CREATE OR REPLACE FUNCTION dispatcher.held_leases(p_me bigint, p_wanted jsonb)
RETURNS json LANGUAGE sql AS $$
    SELECT json_agg(json_build_array(
        lease.kind, lease.name, daemon.name, daemon.host,
        extract(epoch FROM lease.since)::double precision,
        extract(epoch FROM daemon.lease_until - clock_timestamp())::double precision
    ) ORDER BY lease.since, lease.kind, lease.name)
    FROM dispatcher.lease INNER JOIN dispatcher.daemon ON daemon.id = lease.daemon_id
    WHERE
        NOT daemon.fenced AND daemon.id IS DISTINCT FROM p_me
        AND (p_wanted IS NULL OR (lease.kind, lease.name) IN (
            SELECT it ->> 0, it ->> 1 FROM jsonb_array_elements(p_wanted) AS wanted (it)
        ))
$$;

-- Take leases ([[kind, name], ...]), all or none of them. Return those that other runs have, or NULL:
-- they are taken. A run whose lease has run out is fenced first: it commits nothing from then on. One
-- that is just committing is not waited for.
CREATE OR REPLACE FUNCTION dispatcher.take(p_me bigint, p_wanted jsonb, p_seconds double precision)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_held json;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('dispatcher.lease', 0));
    UPDATE dispatcher.daemon
    SET lease_until = clock_timestamp() + make_interval(secs => p_seconds)
    WHERE id = p_me AND NOT fenced;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another run has taken over' USING ERRCODE = 'DSP01';
    END IF;
    UPDATE dispatcher.daemon SET fenced = true
    WHERE id IN (
        SELECT daemon.id
        FROM jsonb_array_elements(p_wanted) AS wanted (it)
        INNER JOIN dispatcher.lease ON lease.kind = it ->> 0 AND lease.name = it ->> 1
        INNER JOIN dispatcher.daemon ON daemon.id = lease.daemon_id
        WHERE daemon.id <> p_me AND NOT daemon.fenced AND daemon.lease_until <= clock_timestamp()
        FOR UPDATE OF daemon SKIP LOCKED
    );
    v_held := dispatcher.held_leases(p_me, p_wanted);
    IF v_held IS NOT NULL THEN
        RETURN v_held;
    END IF;
    INSERT INTO dispatcher.lease (kind, name, daemon_id)
    SELECT it ->> 0, it ->> 1, p_me FROM jsonb_array_elements(p_wanted) AS wanted (it)
    ON CONFLICT (kind, name) DO UPDATE SET daemon_id = p_me, since = clock_timestamp()
    WHERE lease.daemon_id <> p_me;
    RETURN NULL;
END $$;

-- Give the leases of a run back, and end it: it commits nothing from then on.
CREATE OR REPLACE FUNCTION dispatcher.leave(p_me bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dispatcher.daemon
    SET ended = true, fenced = true, lease_until = least(lease_until, clock_timestamp())
    WHERE id = p_me;
    DELETE FROM dispatcher.lease WHERE daemon_id = p_me;
END $$;

-- Begin group number p_group of a run: renew its lease, and count the group. The row stays locked
-- until the commit, so that nobody fences the run in between.
CREATE OR REPLACE FUNCTION dispatcher.begin_group(
    p_me bigint, p_group bigint, p_seconds double precision
)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_found dispatcher.daemon;
BEGIN
    UPDATE dispatcher.daemon
    SET
        group_no = p_group, answer = NULL,
        lease_until = clock_timestamp() + make_interval(secs => p_seconds)
    WHERE id = p_me AND NOT fenced AND lease_until > clock_timestamp() AND group_no = p_group - 1
    RETURNING * INTO v_found;
    IF FOUND THEN
        RETURN v_found.nudge;
    END IF;
    SELECT * INTO v_found FROM dispatcher.daemon WHERE id = p_me;
    IF v_found.fenced IS NOT FALSE THEN
        RAISE EXCEPTION 'another run has taken over' USING ERRCODE = 'DSP01';
    ELSIF v_found.group_no <> p_group - 1 THEN
        RAISE EXCEPTION 'group % follows %', p_group, v_found.group_no USING ERRCODE = 'DSP03';
    END IF;
    RAISE EXCEPTION 'the lease has run out' USING ERRCODE = 'DSP02';
END $$;

-- Renew the lease of a run while it writes nothing; return its nudge.
CREATE OR REPLACE FUNCTION dispatcher.renew(p_me bigint, p_seconds double precision)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_nudge bigint;
BEGIN
    UPDATE dispatcher.daemon SET lease_until = clock_timestamp() + make_interval(secs => p_seconds)
    WHERE id = p_me AND NOT fenced AND lease_until > clock_timestamp() RETURNING nudge INTO v_nudge;
    IF FOUND THEN
        RETURN v_nudge;
    END IF;
    IF EXISTS (SELECT 1 FROM dispatcher.daemon WHERE id = p_me AND NOT fenced) THEN
        RAISE EXCEPTION 'the lease has run out' USING ERRCODE = 'DSP02';
    END IF;
    RAISE EXCEPTION 'another run has taken over' USING ERRCODE = 'DSP01';
END $$;

-- Go on after a connection was lost or the lease has run out, unless another run has taken over.
-- Return [number of the last committed group, its answer, whether another run has taken over]. It
-- waits for an older session of this run that still commits.
CREATE OR REPLACE FUNCTION dispatcher.resume(p_me bigint, p_seconds double precision)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_found dispatcher.daemon;
BEGIN
    SELECT * INTO v_found FROM dispatcher.daemon WHERE id = p_me FOR UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_array(-1, NULL, true);
    END IF;
    UPDATE dispatcher.daemon SET lease_until = clock_timestamp() + make_interval(secs => p_seconds)
    WHERE id = p_me AND NOT fenced;
    RETURN json_build_array(v_found.group_no, v_found.answer, v_found.fenced);
END $$;
