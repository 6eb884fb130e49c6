-- Functions of the ledger: claims, and what a run takes up of earlier ones.

-- Claim contacts that are due, the earliest due first, or those of p_ids that are ready. Return as JSON
-- arrays what a claim has: the columns, the time it was due, and what is known to block its send.
CREATE OR REPLACE FUNCTION dispatcher.claim(
    p_me bigint, p_campaign integer, p_limit bigint, p_now double precision, p_ids bigint[]
)
RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
    v_ids bigint[];
    v_dues double precision[];
    v_claims json;
BEGIN
    IF p_ids IS NULL THEN
        SELECT array_agg(id), array_agg(due) INTO v_ids, v_dues FROM (
            SELECT id, due FROM dispatcher.contact
            WHERE campaign_id = p_campaign AND due IS NOT NULL AND due <= p_now
            ORDER BY due, id LIMIT p_limit FOR UPDATE
        ) AS found;
    ELSE
        SELECT array_agg(id), array_agg(due) INTO v_ids, v_dues FROM (
            SELECT id, due FROM dispatcher.contact
            WHERE campaign_id = p_campaign AND id = ANY (p_ids) AND due IS NOT NULL
            ORDER BY due, id FOR UPDATE
        ) AS found;
    END IF;
    IF v_ids IS NULL THEN
        RETURN NULL;
    END IF;
    WITH due AS MATERIALIZED (
        SELECT * FROM unnest(v_ids, v_dues) AS it (id, due)
    ), taken AS (
        UPDATE dispatcher.contact SET status = 'claimed', due = NULL
        FROM due WHERE contact.id = due.id
        RETURNING contact.*, due.due AS was_due
    ), held AS (
        INSERT INTO dispatcher.held (contact_id, campaign_id, daemon_id)
        SELECT id, campaign_id, p_me FROM taken
    )
    SELECT json_agg(json_build_array(
        id, progress, key, conversation_id, text, external_contact_id, address, subject, not_before,
        expires_at, attributes, was_due, CASE
            WHEN EXISTS (
                SELECT 1 FROM dispatcher.unsettled
                WHERE unsettled.conversation_id = taken.conversation_id
            ) OR EXISTS (
                SELECT 1 FROM dispatcher.unsettled WHERE unsettled.person = taken.person
            ) THEN 'busy'
            WHEN EXISTS (
                SELECT 1 FROM dispatcher.reached
                WHERE
                    reached.person = taken.person AND reached.campaign_id = taken.campaign_id
                    AND reached.contact_id <> taken.id
            ) THEN 'same_person'
        END
    ) ORDER BY was_due, id) INTO v_claims FROM taken;
    RETURN v_claims;
END $$;

-- The progress of a send that is in doubt since p_at. Of equal names the last one counts.
CREATE OR REPLACE FUNCTION dispatcher.doubted(p_progress text, p_at double precision)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT COALESCE(left(p_progress, -1) || ',', '{') || '"doubted_at":' || p_at || '}'
$$;

-- Take up what ended runs left in a campaign of which p_me has the lease: claimed contacts become
-- ready, sending ones are in doubt. Return [released, in doubt].
CREATE OR REPLACE FUNCTION dispatcher.take_up(p_me bigint, p_campaign integer, p_now double precision)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_released bigint;
BEGIN
    UPDATE dispatcher.contact SET
        status = 'in_doubt',
        progress = dispatcher.doubted(unsettled.progress, p_now),
        story = dispatcher.append_history(
            contact.story,
            json_build_array((p_now * 1000)::bigint, 'restart', 'sending')::text
        )
    FROM dispatcher.unsettled
    WHERE
        unsettled.campaign_id = p_campaign AND unsettled.status = 'sending'
        AND contact.id = unsettled.contact_id;
    DELETE FROM dispatcher.held USING dispatcher.unsettled
    WHERE
        unsettled.campaign_id = p_campaign AND unsettled.status = 'sending'
        AND held.contact_id = unsettled.contact_id;
    UPDATE dispatcher.unsettled SET
        status = 'in_doubt', look_at = p_now, daemon_id = p_me,
        progress = dispatcher.doubted(progress, p_now)
    WHERE campaign_id = p_campaign AND status = 'sending';
    UPDATE dispatcher.contact SET
        status = 'ready', due = p_now,
        story = dispatcher.append_history(
            story, json_build_array((p_now * 1000)::bigint, 'restart', 'claimed')::text
        )
    FROM dispatcher.held
    WHERE held.campaign_id = p_campaign AND contact.id = held.contact_id;
    DELETE FROM dispatcher.held WHERE campaign_id = p_campaign;
    GET DIAGNOSTICS v_released = ROW_COUNT;
    RETURN json_build_array(v_released, (
        SELECT count(*) FROM dispatcher.unsettled
        WHERE campaign_id = p_campaign AND status = 'in_doubt'
    ));
END $$;
