-- Functions of the ledger: admission.

-- Admit a batch, whose contacts have different keys. p_batch is an object:
--   contacts: [[key, conversation_id, external_contact_id, not_before, expires_at, subject, address,
--     text, person, text_sha256 (hex), attributes, key_hash], ...]
--   rejected: [[file, line, reason, detail, raw (base64)], ...]     rows, duplicates, filtered: numbers
--   stream: [name, at, row_count, done, fingerprint, before], or null     claim_limit, now
--   request: [key, digest, rejected rows as JSON, since], or null
-- Return as JSON {"moved": true}, {"receipt": [digest, result]}, or {"new": [[place in the batch,
-- id, block], ...]} in the order of the batch, of which the first `claim_limit` due ones are claimed.
CREATE OR REPLACE FUNCTION dispatcher.admit(p_me bigint, p_campaign integer, p_batch jsonb)
RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
    v_request jsonb := NULLIF(p_batch -> 'request', 'null');
    v_stream jsonb := NULLIF(p_batch -> 'stream', 'null');
    v_now double precision := (p_batch ->> 'now')::double precision;
    v_limit bigint := (p_batch ->> 'claim_limit')::bigint;
    v_moved bigint;
    v_receipt json;
    v_new json;
    v_admitted bigint;
    v_duplicates bigint;
BEGIN
    IF v_request IS NOT NULL THEN
        SELECT json_build_array(digest, result) INTO v_receipt FROM dispatcher.receipt
        WHERE
            campaign_id = p_campaign AND request_key = v_request ->> 0
            AND at > (v_request ->> 3)::double precision;
        IF v_receipt IS NOT NULL THEN
            RETURN json_build_object('receipt', v_receipt);
        END IF;
    END IF;
    IF v_stream IS NOT NULL THEN
        IF v_stream ->> 5 IS NULL THEN
            INSERT INTO dispatcher.stream (name, at, row_count, done, campaign_id, fingerprint)
            VALUES (
                v_stream ->> 0, v_stream ->> 1, (v_stream ->> 2)::bigint, (v_stream ->> 3)::boolean,
                p_campaign, v_stream ->> 4
            )
            ON CONFLICT DO NOTHING;
        ELSE
            UPDATE dispatcher.stream SET
                name = v_stream ->> 0, at = v_stream ->> 1, row_count = (v_stream ->> 2)::bigint,
                done = (v_stream ->> 3)::boolean
            WHERE
                campaign_id = p_campaign AND fingerprint = v_stream ->> 4 AND at = v_stream ->> 5;
        END IF;
        GET DIAGNOSTICS v_moved = ROW_COUNT;
        IF v_moved <> 1 THEN
            RETURN json_build_object('moved', true);
        END IF;
    END IF;

    WITH fresh AS MATERIALIZED (
        SELECT
            place, v, COALESCE((v ->> 3)::double precision, v_now) AS due,
            nextval('dispatcher.contact_id_seq'::regclass) AS id
        FROM (
            SELECT place, v FROM jsonb_array_elements(p_batch -> 'contacts')
                WITH ORDINALITY AS e (v, place)
            WHERE
                NOT EXISTS (
                    SELECT 1 FROM dispatcher.contact
                    WHERE contact.campaign_id = p_campaign AND contact.key = v ->> 0
                )
                AND NOT EXISTS (
                    SELECT 1 FROM dispatcher.pruned
                    WHERE pruned.campaign_id = p_campaign AND pruned.key_hash = v ->> 11
                )
            ORDER BY place
        ) AS unknown
    ), ranked AS MATERIALIZED (
        SELECT
            *, due <= v_now AND sum((due <= v_now)::integer) OVER (ORDER BY place) <= v_limit
                AS claimed
        FROM fresh
    ), added AS (
        INSERT INTO dispatcher.contact (
            id, campaign_id, status, key, conversation_id, external_contact_id, not_before,
            expires_at, subject, address, text, person, text_sha256, attributes
        )
        SELECT
            id, p_campaign, 'open', v ->> 0, v ->> 1, v ->> 2,
            (v ->> 3)::double precision, (v ->> 4)::double precision, v ->> 5, v ->> 6, v ->> 7,
            v ->> 8, decode(v ->> 9, 'hex'), v ->> 10
        FROM ranked ORDER BY place
    ), waiting AS (
        INSERT INTO dispatcher.ready (contact_id, campaign_id, due)
        SELECT id, p_campaign, due FROM ranked WHERE NOT claimed ORDER BY place
    ), claims AS (
        INSERT INTO dispatcher.held (contact_id, campaign_id, daemon_id)
        SELECT id, p_campaign, p_me FROM ranked WHERE claimed ORDER BY place
    )
    SELECT json_agg(json_build_array(
        place - 1, CASE WHEN claimed THEN id END, CASE
            WHEN claimed AND EXISTS (
                SELECT 1 FROM dispatcher.reached
                WHERE
                    reached.person || '' = v ->> 8 AND reached.campaign_id = p_campaign
                    AND NOT EXISTS (
                        SELECT 1 FROM dispatcher.unsettled
                        WHERE unsettled.contact_id = reached.contact_id
                    )
            ) THEN 'same_person'
        END
    ) ORDER BY place), count(*) INTO v_new, v_admitted
    FROM ranked;
    v_duplicates := (p_batch ->> 'duplicates')::bigint
        + jsonb_array_length(p_batch -> 'contacts') - v_admitted;

    UPDATE dispatcher.campaign SET
        rows_read = rows_read + (p_batch ->> 'rows')::bigint,
        admitted = admitted + v_admitted,
        duplicates = duplicates + v_duplicates,
        filtered = filtered + (p_batch ->> 'filtered')::bigint
    WHERE id = p_campaign;

    IF jsonb_array_length(p_batch -> 'rejected') > 0 THEN
        INSERT INTO dispatcher.rejected_row (campaign_id, file, line, reason, detail, raw, at)
        SELECT
            p_campaign, v ->> 0, (v ->> 1)::bigint, v ->> 2, v ->> 3, decode(v ->> 4, 'base64'), v_now
        FROM jsonb_array_elements(p_batch -> 'rejected') WITH ORDINALITY AS e (v, place)
        ORDER BY place;
        INSERT INTO dispatcher.rejected_sum AS total (campaign_id, reason, row_count)
        SELECT p_campaign, v ->> 2, count(*)
        FROM jsonb_array_elements(p_batch -> 'rejected') AS e (v)
        GROUP BY v ->> 2
        ON CONFLICT (campaign_id, reason)
        DO UPDATE SET row_count = total.row_count + excluded.row_count;
    END IF;

    IF v_request IS NOT NULL THEN
        DELETE FROM dispatcher.receipt WHERE (campaign_id, request_key) IN (
            SELECT campaign_id, request_key FROM dispatcher.receipt
            WHERE at <= (v_request ->> 3)::double precision ORDER BY at LIMIT 100
        );
        INSERT INTO dispatcher.receipt (campaign_id, request_key, digest, at, result)
        VALUES (
            p_campaign, v_request ->> 0, v_request ->> 1, v_now,
            json_build_array(
                v_admitted, v_duplicates, (p_batch ->> 'filtered')::bigint,
                (v_request ->> 2)::json
            )::text
        )
        ON CONFLICT (campaign_id, request_key) DO UPDATE
        SET digest = excluded.digest, at = excluded.at, result = excluded.result;
    END IF;
    RETURN json_build_object('new', COALESCE(v_new, '[]'));
END $$;
