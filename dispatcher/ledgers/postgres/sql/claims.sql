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
    v_claims json;
BEGIN
    IF p_ids IS NULL THEN
        SELECT array_agg(contact_id) INTO v_ids FROM (
            SELECT contact_id FROM dispatcher.ready
            WHERE campaign_id = p_campaign AND due <= p_now
            ORDER BY due, contact_id + 0 LIMIT p_limit FOR UPDATE
        ) AS found;
    ELSE
        SELECT array_agg(contact_id) INTO v_ids FROM (
            SELECT contact_id FROM dispatcher.ready
            WHERE campaign_id + 0 = p_campaign AND contact_id = ANY (p_ids)
            ORDER BY due, contact_id FOR UPDATE
        ) AS found;
    END IF;
    IF v_ids IS NULL THEN
        RETURN NULL;
    END IF;
    WITH taken AS (
        DELETE FROM dispatcher.ready WHERE contact_id = ANY (v_ids) RETURNING contact_id, due
    ), held AS (
        INSERT INTO dispatcher.held (contact_id, campaign_id, daemon_id)
        SELECT contact_id, p_campaign, p_me FROM taken
    )
    SELECT json_agg(json_build_array(
        id, progress, key, conversation_id, text, external_contact_id, address, subject, not_before,
        expires_at, attributes, taken.due, CASE
            WHEN EXISTS (
                SELECT 1 FROM dispatcher.unsettled
                WHERE unsettled.conversation_id = contact.conversation_id
            ) OR EXISTS (
                SELECT 1 FROM dispatcher.unsettled WHERE unsettled.person = contact.person
            ) THEN 'busy'
            WHEN EXISTS (
                SELECT 1 FROM dispatcher.reached
                WHERE
                    reached.person || '' = contact.person AND reached.campaign_id = contact.campaign_id
                    AND reached.contact_id <> contact.id
            ) THEN 'same_person'
        END
    ) ORDER BY taken.due, id) INTO v_claims
    FROM taken CROSS JOIN LATERAL (
        SELECT * FROM dispatcher.contact WHERE contact.id = taken.contact_id OFFSET 0  -- one by one
    ) AS contact;
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
    -- Contacts are locked first, as by the commands that erase them.
    PERFORM 1 FROM dispatcher.contact
    WHERE id IN (
        SELECT contact_id FROM dispatcher.held WHERE campaign_id = p_campaign
        UNION
        SELECT contact_id FROM dispatcher.unsettled WHERE campaign_id = p_campaign
    )
    ORDER BY id FOR UPDATE;
    WITH sent AS (
        UPDATE dispatcher.unsettled SET
            status = 'in_doubt', look_at = p_now, daemon_id = p_me,
            progress = dispatcher.doubted(progress, p_now)
        WHERE campaign_id = p_campaign AND status = 'sending'
        RETURNING contact_id, progress
    ), let_go AS (
        DELETE FROM dispatcher.held USING sent WHERE held.contact_id = sent.contact_id
    )
    UPDATE dispatcher.contact SET
        progress = sent.progress,
        story = dispatcher.append_history(
            contact.story, json_build_array((p_now * 1000)::bigint, 'restart', 'sending')::text
        )
    FROM sent WHERE contact.id = sent.contact_id;
    WITH let_go AS (
        DELETE FROM dispatcher.held WHERE campaign_id = p_campaign RETURNING contact_id
    ), back AS (
        INSERT INTO dispatcher.ready (contact_id, campaign_id, due)
        SELECT contact_id, p_campaign, p_now FROM let_go
    )
    UPDATE dispatcher.contact SET
        story = dispatcher.append_history(
            story, json_build_array((p_now * 1000)::bigint, 'restart', 'claimed')::text
        )
    FROM let_go WHERE contact.id = let_go.contact_id;
    GET DIAGNOSTICS v_released = ROW_COUNT;
    RETURN json_build_array(v_released, (
        SELECT count(*) FROM dispatcher.unsettled
        WHERE campaign_id = p_campaign AND status = 'in_doubt'
    ));
END $$;
