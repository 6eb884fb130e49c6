-- Functions of the ledger: the changes of contacts, many at once, one statement a kind.
--
-- p_work is an object: for each kind of change an array of arrays, in each of which the kind and the
-- contact's id come before the fields that CHANGE_FIELDS in codec.py lists. Their positions are:
--   intend: 2 step, 3 at, 4 conversation, 5 external_contact, 6 target, 7 is_guest_id, 8 person,
--           9 progress, 10 one_per_person, 11 cap, 12 cap_since
--   deliver, settle: 2 status, 3 reason, 4 at, 5 correlation_id, 6 words, 7 relation, 8 conversation_id,
--           9 message_id, 10 external_contact_id, 11 state_seen, 12 state_at, 13 sent_at, 14 progress,
--           15 story
--   defer: 2 due, 3 progress, 4 story     doubt: 2 look_at, 3 progress, 4 story
--   release: 2 due     look_again: 2 look_at     retract: nothing
-- 'deliver' is a settlement with a message that was taken, 'settle' any other.
-- A group has at most one change of a contact, p_changes in all. A change that does not fit the status of
-- its contact is refused; the others are made.

-- A story of more than 10,000 characters keeps its first 10 and its last 40 entries: FIRST_KEPT and
-- LAST_KEPT in contact_history.py, 41 is LAST_KEPT + 1. In between, [null, "omitted", number] says how
-- many were removed.
CREATE OR REPLACE FUNCTION dispatcher.shorten(p_story text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    WITH entry AS (
        SELECT place, value, count(*) OVER () AS entries
        FROM json_array_elements(('[' || p_story || ']')::json) WITH ORDINALITY AS it (value, place)
    )
    SELECT string_agg(text, ',' ORDER BY place) FROM (
        SELECT place, value::text AS text FROM entry WHERE place <= 10 OR place > entries - 40
        UNION ALL
        SELECT 10.5, json_build_array(NULL, 'omitted', sum(
            CASE (value -> 1)::text WHEN '"omitted"' THEN (value -> 2)::text::bigint ELSE 1 END
        ))::text
        FROM entry WHERE place > 10 AND place <= entries - 40
        HAVING count(*) > 0
    ) AS kept
$$;

CREATE OR REPLACE FUNCTION dispatcher.append_history(p_story text, p_more text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_more IS NULL THEN p_story
        WHEN p_story IS NULL AND length(p_more) <= 10000 THEN p_more
        WHEN length(COALESCE(p_story, '')) + length(p_more) < 10000 THEN p_story || ',' || p_more
        ELSE dispatcher.shorten(COALESCE(p_story || ',', '') || p_more)
    END
$$;

-- The changes of one kind, with the contacts' ids. They are arrays, all of them: the condition makes the
-- planner take them for one row, so that it looks contacts up by their ids, one by one. A plan is kept
-- for as long as the session lasts. With its own guess, 100 rows, the planner reads the whole index of
-- contacts for each group, if they are few when the plan is made.
CREATE OR REPLACE FUNCTION dispatcher.changes(p_work jsonb, p_kind text)
RETURNS TABLE (id bigint, v jsonb) LANGUAGE sql IMMUTABLE AS $$
    SELECT (v ->> 1)::bigint, v FROM jsonb_array_elements(p_work -> p_kind) AS e (v)
    WHERE jsonb_typeof(v) = 'array'
$$;

-- Intents are made in two statements. The guard comes first: the row in `unsettled`, of which a
-- conversation and a person have one. It waits for a transaction that inserts or removes such a row.
-- Only a later statement looks into `reached`: then it sees what that transaction has written. In the
-- other order two runs write to the same person.

-- The rows of the guard.
CREATE OR REPLACE FUNCTION dispatcher.guards(p_me bigint, p_work jsonb)
RETURNS TABLE (
    contact_id bigint, campaign_id integer, daemon_id bigint, conversation_id text, person text,
    intent_step text, intent_at double precision, intent_conversation_id text,
    intent_external_contact_id text, intent_target text, intent_target_is_guest_id boolean,
    progress text
) LANGUAGE sql STABLE AS $$
    SELECT
        it.id, contact.campaign_id, p_me, contact.conversation_id, COALESCE(v ->> 8, contact.person),
        v ->> 2, (v ->> 3)::double precision, v ->> 4, v ->> 5, v ->> 6, (v ->> 7)::boolean, v ->> 9
    FROM dispatcher.changes(p_work, 'intend') AS it
    INNER JOIN dispatcher.held ON held.contact_id = it.id AND held.daemon_id = p_me
    INNER JOIN dispatcher.contact ON contact.id = it.id
    ORDER BY contact.conversation_id
$$;

-- The guarded intents p_in, with the reason why one is not permitted.
CREATE OR REPLACE FUNCTION dispatcher.guarded(p_work jsonb, p_in bigint[])
RETURNS TABLE (
    contact_id bigint, why text, person text, campaign_id integer, intent_at double precision
) LANGUAGE sql STABLE AS $$
    SELECT
        unsettled.contact_id,
        CASE
            WHEN
                (v ->> 10)::boolean AND EXISTS (
                    SELECT 1 FROM dispatcher.reached
                    WHERE
                        reached.person || '' = unsettled.person
                        AND reached.campaign_id = unsettled.campaign_id
                        AND reached.contact_id <> unsettled.contact_id
                ) THEN 'same_person'
            WHEN
                (v ->> 11)::bigint > 0 AND (
                    SELECT count(*) FROM dispatcher.reached
                    WHERE
                        reached.person || '' = unsettled.person
                        AND reached.at >= (v ->> 12)::double precision
                        AND reached.contact_id <> unsettled.contact_id
                ) >= (v ->> 11)::bigint THEN 'capped'
        END AS why,
        unsettled.person, unsettled.campaign_id, unsettled.intent_at
    FROM dispatcher.changes(p_work, 'intend') AS it
    INNER JOIN dispatcher.unsettled ON unsettled.contact_id = it.id
    WHERE unsettled.contact_id = ANY (p_in)
$$;

-- Make all intents, or raise unique_violation. Return the guarded ones, and those that are not permitted.
CREATE OR REPLACE FUNCTION dispatcher.intend(
    p_me bigint, p_work jsonb, OUT v_in bigint[], OUT v_blocked jsonb
)
LANGUAGE plpgsql AS $$
BEGIN
    WITH added AS (
        INSERT INTO dispatcher.unsettled (
            contact_id, campaign_id, daemon_id, conversation_id, person, intent_step, intent_at,
            intent_conversation_id, intent_external_contact_id, intent_target,
            intent_target_is_guest_id, progress
        )
        SELECT * FROM dispatcher.guards(p_me, p_work) RETURNING contact_id
    )
    SELECT array_agg(contact_id) INTO v_in FROM added;
    WITH it AS MATERIALIZED (
        SELECT * FROM dispatcher.guarded(p_work, v_in)
    ), counted AS (
        INSERT INTO dispatcher.reached (person, contact_id, campaign_id, at)
        SELECT person, contact_id, campaign_id, intent_at FROM it
        WHERE why IS NULL AND person IS NOT NULL
    )
    SELECT jsonb_agg(jsonb_build_array(contact_id, why)) INTO v_blocked FROM it WHERE why IS NOT NULL;
END $$;

-- The same, without those whose conversation or person has an unsettled send.
CREATE OR REPLACE FUNCTION dispatcher.intend_some(
    p_me bigint, p_work jsonb, OUT v_in bigint[], OUT v_blocked jsonb
)
LANGUAGE plpgsql AS $$
BEGIN
    WITH added AS (
        INSERT INTO dispatcher.unsettled (
            contact_id, campaign_id, daemon_id, conversation_id, person, intent_step, intent_at,
            intent_conversation_id, intent_external_contact_id, intent_target,
            intent_target_is_guest_id, progress
        )
        SELECT * FROM dispatcher.guards(p_me, p_work) ON CONFLICT DO NOTHING RETURNING contact_id
    )
    SELECT array_agg(contact_id) INTO v_in FROM added;
    WITH it AS MATERIALIZED (
        SELECT * FROM dispatcher.guarded(p_work, v_in)
    ), counted AS (
        INSERT INTO dispatcher.reached (person, contact_id, campaign_id, at)
        SELECT person, contact_id, campaign_id, intent_at FROM it
        WHERE why IS NULL AND person IS NOT NULL
        ON CONFLICT (person, contact_id) DO UPDATE SET at = excluded.at
    )
    SELECT jsonb_agg(jsonb_build_array(contact_id, why)) INTO v_blocked FROM it WHERE why IS NOT NULL;
END $$;

-- Carry out a group of changes. Return NULL if all were made, or as JSON [blocked, refused]: the
-- intents that are not permitted, each with the reason, and the changes that are refused, each with
-- the contact's status. It is also the `answer` of the daemon, for a caller that does not get it.
CREATE OR REPLACE FUNCTION dispatcher.apply(
    p_me bigint, p_group bigint, p_seconds double precision, p_changes integer, p_work jsonb
)
RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
    v_done bigint[] := '{}';
    v_some bigint[];
    v_in bigint[];
    v_blocked jsonb;
    v_busy jsonb;
    v_refused jsonb;
    v_answer text;
BEGIN
    UPDATE dispatcher.daemon SET
        group_no = p_group, answer = NULL,
        lease_until = clock_timestamp() + make_interval(secs => p_seconds)
    WHERE id = p_me AND NOT fenced AND lease_until > clock_timestamp() AND group_no = p_group - 1;
    IF NOT FOUND THEN
        PERFORM dispatcher.begin_group(p_me, p_group, p_seconds);  -- it raises the error
    END IF;

    IF p_work ? 'deliver' THEN
        WITH it AS MATERIALIZED (
            SELECT id, v FROM dispatcher.changes(p_work, 'deliver')
        ), done AS (
            UPDATE dispatcher.contact SET
                status = it.v ->> 2,
                reason = it.v ->> 3,
                settled_at = (it.v ->> 4)::double precision,
                correlation_id = it.v ->> 5,
                words = NULLIF(it.v ->> 6, ''),
                progress = it.v ->> 14,
                story = dispatcher.append_history(contact.story, it.v ->> 15),
                person = COALESCE(sent.person, contact.person),
                intent_step = sent.intent_step,
                intent_at = sent.intent_at,
                intent_conversation_id = sent.intent_conversation_id,
                intent_external_contact_id = sent.intent_external_contact_id,
                intent_target = NULL,
                intent_target_is_guest_id = NULL,
                subject = NULL,
                address = NULL,
                text = NULL
            FROM it
            LEFT JOIN dispatcher.unsettled AS sent
                ON sent.contact_id = it.id AND (sent.daemon_id = p_me OR sent.status = 'in_doubt')
            LEFT JOIN dispatcher.held ON held.contact_id = it.id AND held.daemon_id = p_me
            WHERE
                contact.id = it.id AND contact.reason IS NULL
                AND (sent.contact_id IS NOT NULL OR held.contact_id IS NOT NULL)
            RETURNING
                contact.id, contact.campaign_id, contact.status, contact.reason, it.v, sent.person,
                COALESCE(sent.intent_external_contact_id, contact.external_contact_id) AS who,
                sent.intent_at
        ), ended AS (
            DELETE FROM dispatcher.unsettled USING done WHERE unsettled.contact_id = done.id
        ), let_go AS (
            DELETE FROM dispatcher.held USING done WHERE held.contact_id = done.id
        ), added_lineage AS (
            INSERT INTO dispatcher.lineage (
                contact_id, relation, conversation_id, message_id, external_contact_id, state_seen,
                state_at, sent_at, correlation_id
            )
            SELECT
                id, v ->> 7, v ->> 8, v ->> 9, COALESCE(v ->> 10, who), v ->> 11,
                (v ->> 12)::double precision, COALESCE((v ->> 13)::double precision, intent_at),
                v ->> 5
            FROM done
        ), summed AS (
            INSERT INTO dispatcher.settled_sum AS total (campaign_id, status, reason, contacts)
            SELECT campaign_id, status, reason, count(*) FROM done
            GROUP BY campaign_id, status, reason ORDER BY campaign_id, status, reason
            ON CONFLICT (campaign_id, status, reason)
            DO UPDATE SET contacts = total.contacts + excluded.contacts
        )
        SELECT array_agg(id) INTO v_some FROM done;
        v_done := v_done || v_some;
    END IF;

    IF p_work ? 'settle' THEN
        WITH it AS MATERIALIZED (
            SELECT id, v, v ->> 0 = 'park' AS parked FROM dispatcher.changes(p_work, 'settle')
        ), done AS (
            UPDATE dispatcher.contact SET
                status = it.v ->> 2,
                reason = it.v ->> 3,
                settled_at = (it.v ->> 4)::double precision,
                correlation_id = it.v ->> 5,
                words = NULLIF(it.v ->> 6, ''),
                progress = it.v ->> 14,
                story = dispatcher.append_history(contact.story, it.v ->> 15),
                kept = CASE WHEN it.parked THEN true END,
                person = COALESCE(sent.person, contact.person),
                intent_step = sent.intent_step,
                intent_at = sent.intent_at,
                intent_conversation_id = sent.intent_conversation_id,
                intent_external_contact_id = sent.intent_external_contact_id,
                intent_target = CASE WHEN it.parked THEN sent.intent_target END,
                intent_target_is_guest_id = CASE WHEN it.parked THEN sent.intent_target_is_guest_id END,
                subject = CASE WHEN it.parked THEN contact.subject END,
                address = CASE WHEN it.parked THEN contact.address END,
                text = CASE WHEN it.parked THEN contact.text END
            FROM it
            LEFT JOIN dispatcher.unsettled AS sent
                ON sent.contact_id = it.id AND (sent.daemon_id = p_me OR sent.status = 'in_doubt')
            LEFT JOIN dispatcher.held ON held.contact_id = it.id AND held.daemon_id = p_me
            WHERE
                contact.id = it.id AND contact.reason IS NULL
                AND (sent.contact_id IS NOT NULL OR held.contact_id IS NOT NULL)
            RETURNING
                contact.id, contact.campaign_id, contact.status, contact.reason, sent.person
        ), ended AS (
            DELETE FROM dispatcher.unsettled USING done WHERE unsettled.contact_id = done.id
        ), let_go AS (
            DELETE FROM dispatcher.held USING done WHERE held.contact_id = done.id
        ), forgotten AS (
            DELETE FROM dispatcher.reached USING done
            WHERE
                reached.person = done.person AND reached.contact_id = done.id
                AND done.status NOT IN ('notified', 'opened') AND done.reason <> 'in_doubt'
        ), summed AS (
            INSERT INTO dispatcher.settled_sum AS total (campaign_id, status, reason, contacts)
            SELECT campaign_id, status, reason, count(*) FROM done
            GROUP BY campaign_id, status, reason ORDER BY campaign_id, status, reason
            ON CONFLICT (campaign_id, status, reason)
            DO UPDATE SET contacts = total.contacts + excluded.contacts
        )
        SELECT array_agg(id) INTO v_some FROM done;
        v_done := v_done || v_some;
    END IF;

    IF p_work ? 'retract' THEN
        WITH it AS MATERIALIZED (
            SELECT id FROM dispatcher.changes(p_work, 'retract')
        ), sent AS (
            DELETE FROM dispatcher.unsettled USING it
            WHERE
                unsettled.contact_id = it.id AND unsettled.daemon_id = p_me
                AND unsettled.status = 'sending'
            RETURNING unsettled.contact_id, unsettled.person, unsettled.progress
        ), forgotten AS (
            DELETE FROM dispatcher.reached USING sent
            WHERE reached.person = sent.person AND reached.contact_id = sent.contact_id
        ), known AS (
            UPDATE dispatcher.contact SET
                person = COALESCE(sent.person, contact.person), progress = sent.progress
            FROM sent
            WHERE
                contact.id = sent.contact_id AND (
                    contact.person IS DISTINCT FROM COALESCE(sent.person, contact.person)
                    OR contact.progress IS DISTINCT FROM sent.progress
                )
        )
        SELECT array_agg(contact_id) INTO v_some FROM sent;
        v_done := v_done || v_some;
    END IF;

    IF p_work ? 'defer' THEN
        WITH it AS MATERIALIZED (
            SELECT id, v FROM dispatcher.changes(p_work, 'defer')
        ), done AS (
            UPDATE dispatcher.contact SET
                progress = it.v ->> 3,
                story = dispatcher.append_history(contact.story, it.v ->> 4),
                person = COALESCE(sent.person, contact.person)
            FROM it
            LEFT JOIN dispatcher.unsettled AS sent
                ON sent.contact_id = it.id AND (sent.daemon_id = p_me OR sent.status = 'in_doubt')
            LEFT JOIN dispatcher.held ON held.contact_id = it.id AND held.daemon_id = p_me
            WHERE
                contact.id = it.id AND contact.reason IS NULL
                AND (sent.contact_id IS NOT NULL OR held.contact_id IS NOT NULL)
            RETURNING contact.id, contact.campaign_id, sent.person, it.v
        ), ended AS (
            DELETE FROM dispatcher.unsettled USING done WHERE unsettled.contact_id = done.id
        ), let_go AS (
            DELETE FROM dispatcher.held USING done WHERE held.contact_id = done.id
        ), waiting AS (
            INSERT INTO dispatcher.ready (contact_id, campaign_id, due)
            SELECT id, campaign_id, (v ->> 2)::double precision FROM done
        ), forgotten AS (
            DELETE FROM dispatcher.reached USING done
            WHERE reached.person = done.person AND reached.contact_id = done.id
        )
        SELECT array_agg(id) INTO v_some FROM done;
        v_done := v_done || v_some;
    END IF;

    IF p_work ? 'release' THEN
        WITH it AS MATERIALIZED (
            SELECT id, (v ->> 2)::double precision AS due FROM dispatcher.changes(p_work, 'release')
        ), let_go AS (
            DELETE FROM dispatcher.held USING it
            WHERE
                held.contact_id = it.id AND held.daemon_id = p_me
                AND NOT EXISTS (SELECT 1 FROM dispatcher.unsettled WHERE unsettled.contact_id = it.id)
            RETURNING held.contact_id, held.campaign_id, it.due
        ), done AS (
            INSERT INTO dispatcher.ready (contact_id, campaign_id, due)
            SELECT contact_id, campaign_id, due FROM let_go RETURNING contact_id
        )
        SELECT array_agg(contact_id) INTO v_some FROM done;
        v_done := v_done || v_some;
    END IF;

    IF p_work ? 'doubt' THEN
        WITH it AS MATERIALIZED (
            SELECT id, v FROM dispatcher.changes(p_work, 'doubt')
        ), doubted AS (
            UPDATE dispatcher.unsettled SET
                status = 'in_doubt', look_at = (it.v ->> 2)::double precision, progress = it.v ->> 3
            FROM it
            WHERE
                unsettled.contact_id = it.id AND unsettled.daemon_id = p_me
                AND unsettled.status = 'sending'
            RETURNING unsettled.contact_id, it.v
        ), let_go AS (
            DELETE FROM dispatcher.held USING doubted WHERE held.contact_id = doubted.contact_id
        ), done AS (
            UPDATE dispatcher.contact SET
                progress = doubted.v ->> 3,
                story = dispatcher.append_history(contact.story, doubted.v ->> 4)
            FROM doubted WHERE contact.id = doubted.contact_id RETURNING contact.id
        )
        SELECT array_agg(id) INTO v_some FROM done;
        v_done := v_done || v_some;
    END IF;

    IF p_work ? 'look_again' THEN
        WITH done AS (
            UPDATE dispatcher.unsettled SET look_at = (it.v ->> 2)::double precision
            FROM dispatcher.changes(p_work, 'look_again') AS it
            WHERE unsettled.contact_id = it.id AND unsettled.status = 'in_doubt'
            RETURNING unsettled.contact_id
        )
        SELECT array_agg(contact_id) INTO v_some FROM done;
        v_done := v_done || v_some;
    END IF;

    -- Intents. Few of them meet a row that is there already, and without such a row a plain INSERT does
    -- less: it looks into each index once. So the other one, which can skip rows, comes only afterwards.
    IF p_work ? 'intend' THEN
        BEGIN
            SELECT * INTO v_in, v_blocked FROM dispatcher.intend(p_me, p_work);
        EXCEPTION WHEN unique_violation THEN
            SELECT * INTO v_in, v_blocked FROM dispatcher.intend_some(p_me, p_work);
        END;
        IF v_blocked IS NOT NULL THEN
            DELETE FROM dispatcher.unsettled USING jsonb_array_elements(v_blocked) AS it (blocked)
            WHERE unsettled.contact_id = (blocked ->> 0)::bigint;
        END IF;
        IF COALESCE(cardinality(v_in), 0) < jsonb_array_length(p_work -> 'intend') THEN
            SELECT jsonb_agg(jsonb_build_array(it.id, 'busy')), array_agg(it.id)
            INTO v_busy, v_some
            FROM dispatcher.changes(p_work, 'intend') AS it
            WHERE
                it.id <> ALL (COALESCE(v_in, '{}'))
                AND p_me = (SELECT daemon_id FROM dispatcher.held WHERE held.contact_id = it.id)
                AND NOT EXISTS (
                    SELECT 1 FROM dispatcher.unsettled WHERE unsettled.contact_id = it.id
                );
            v_blocked := COALESCE(v_blocked, '[]') || COALESCE(v_busy, '[]');
            v_done := v_done || v_some;
        END IF;
        v_done := v_done || v_in;
    END IF;

    IF cardinality(v_done) < p_changes THEN
        SELECT jsonb_agg(jsonb_build_array(asked.id, found.status)) INTO v_refused
        FROM (
            SELECT it.id
            FROM jsonb_object_keys(p_work) AS kind (name), dispatcher.changes(p_work, name) AS it
        ) AS asked
        LEFT JOIN LATERAL (
            SELECT status FROM dispatcher.contact_now WHERE contact_now.id = asked.id OFFSET 0
        ) AS found ON true
        WHERE asked.id <> ALL (v_done);
    END IF;
    IF jsonb_array_length(v_blocked) > 0 OR v_refused IS NOT NULL THEN
        v_answer := jsonb_build_array(v_blocked, v_refused)::text;
        UPDATE dispatcher.daemon SET answer = v_answer WHERE id = p_me;
    END IF;
    RETURN v_answer;
END $$;

-- The same through a pooler, where a session has no settings: rows are looked up one by one in
-- indexes (PLAIN_PLANS in address.py).
CREATE OR REPLACE FUNCTION dispatcher.apply_pooled(
    p_me bigint, p_group bigint, p_seconds double precision, p_changes integer, p_work jsonb
)
RETURNS text LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off
SET enable_hashjoin = off SET enable_material = off SET enable_bitmapscan = off SET cpu_tuple_cost = 1
SET cpu_index_tuple_cost = 1 SET jit = off SET lock_timeout = '5s'
AS $$
BEGIN
    RETURN dispatcher.apply(p_me, p_group, p_seconds, p_changes, p_work);
END $$;
