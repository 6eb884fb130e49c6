-- Statements of an operator's orders, by name. They change nothing that a run has claimed, and are
-- carried out beside a run. Each commit of a run locks its own row first, and campaigns and sums after
-- its contacts. So an order locks the rows of runs before campaigns and sums, and these last.

-- name: nudge
-- Let runs look for what has changed, with their next commit or heartbeat.
UPDATE dispatcher.daemon SET nudge = nudge + 1
WHERE id IN (
    SELECT id FROM dispatcher.daemon
    WHERE NOT fenced AND lease_until > clock_timestamp() AND id <> %(me)s
    ORDER BY id FOR UPDATE
)

-- name: add_to_sums
INSERT INTO dispatcher.settled_sum AS total (campaign_id, status, reason, contacts)
SELECT campaign_id, status, reason, SUM(contacts)::bigint
FROM
    unnest(
        %(campaigns)s::integer [], %(statuses)s::text [], %(reasons)s::text [],
        %(contacts)s::bigint []
    ) AS it (campaign_id, status, reason, contacts)
GROUP BY campaign_id, status, reason ORDER BY campaign_id, status, reason
ON CONFLICT (campaign_id, status, reason)
DO UPDATE SET contacts = total.contacts + excluded.contacts

-- name: replay_in_doubt
-- A conversation and a person have one unsettled send at most: what would be a second one stays.
WITH old AS MATERIALIZED (
    SELECT * FROM dispatcher.contact
    WHERE id = ANY (%(ids)s) AND kept AND status = 'parked' AND reason = 'in_doubt'
    ORDER BY id FOR UPDATE
), back AS (
    INSERT INTO dispatcher.unsettled (
        contact_id, campaign_id, daemon_id, status, conversation_id, person, look_at, intent_at,
        intent_step, intent_conversation_id, intent_external_contact_id, intent_target,
        intent_target_is_guest_id, progress
    )
    SELECT
        id, campaign_id, 0, 'in_doubt', conversation_id, person, %(now)s,
        COALESCE(intent_at, 0), COALESCE(intent_step, 'open'), intent_conversation_id,
        intent_external_contact_id, intent_target, intent_target_is_guest_id, progress
    FROM old ORDER BY conversation_id
    ON CONFLICT DO NOTHING
    RETURNING contact_id
), done AS (
    UPDATE dispatcher.contact SET
        status = 'open', reason = NULL, settled_at = NULL, words = NULL, kept = NULL,
        story = dispatcher.append_history(
            story,
            json_build_array((%(now)s * 1000)::bigint, 'replayed', 'parked', 'in_doubt')::text
        )
    FROM back WHERE contact.id = back.contact_id
    RETURNING contact.campaign_id
)
SELECT campaign_id, 'parked', 'in_doubt', COUNT(*) FROM done GROUP BY campaign_id

-- name: replay_ready
WITH old AS (
    SELECT id, status, reason FROM dispatcher.contact
    WHERE id = ANY (%(ids)s) AND kept AND reason <> 'in_doubt' ORDER BY id FOR UPDATE
), done AS (
    UPDATE dispatcher.contact SET
        status = 'open', reason = NULL, settled_at = NULL, words = NULL, kept = NULL,
        correlation_id = NULL, progress = NULL, intent_step = NULL,
        intent_at = NULL, intent_conversation_id = NULL, intent_external_contact_id = NULL,
        intent_target = NULL, intent_target_is_guest_id = NULL,
        story = dispatcher.append_history(
            story,
            json_build_array((%(now)s * 1000)::bigint, 'replayed', old.status, old.reason)::text
        )
    FROM old WHERE contact.id = old.id
    RETURNING contact.id, contact.campaign_id, old.status, old.reason
), waiting AS (
    INSERT INTO dispatcher.ready (contact_id, campaign_id, due)
    SELECT id, campaign_id, %(now)s FROM done
)
SELECT campaign_id, status, reason, COUNT(*) FROM done GROUP BY campaign_id, status, reason

-- name: drop
WITH old AS (
    SELECT id, status, reason FROM dispatcher.contact
    WHERE id = ANY (%(ids)s) AND kept AND status = 'parked' ORDER BY id FOR UPDATE
), done AS (
    UPDATE dispatcher.contact SET
        status = 'skipped', reason = 'dropped', settled_at = %(now)s, words = NULL, kept = NULL,
        progress = NULLIF((progress::jsonb - 'target')::text, '{}'), intent_target = NULL,
        intent_target_is_guest_id = NULL, subject = NULL, address = NULL, text = NULL,
        story = dispatcher.append_history(
            story,
            json_build_array((%(now)s * 1000)::bigint, 'dropped', old.status, old.reason)::text
        )
    FROM old WHERE contact.id = old.id
    RETURNING contact.campaign_id, old.status, old.reason
)
SELECT campaign_id, status, reason, COUNT(*) FROM done GROUP BY campaign_id, status, reason

-- name: pause
UPDATE dispatcher.campaign SET paused_at = COALESCE(paused_at, %(now)s)
WHERE id = %(campaign)s RETURNING paused_at

-- name: resume
WITH old AS (SELECT id, paused_at FROM dispatcher.campaign WHERE id = %(campaign)s FOR UPDATE)
UPDATE dispatcher.campaign SET paused_at = NULL FROM old
WHERE campaign.id = old.id RETURNING old.paused_at

-- name: verdict_time
-- The time of new verdicts, later than that of all earlier ones: it is the cursor of readers. The
-- lock is for other commands that verify.
WITH one_only AS (SELECT 1 FROM dispatcher.store FOR NO KEY UPDATE)
SELECT GREATEST(
    %(at)s, (SELECT MAX(verified_at) FROM dispatcher.lineage) + 0.00001
) FROM one_only

-- name: mark_verified
UPDATE dispatcher.lineage SET verified = it.verdict, verified_at = %(at)s
FROM unnest(%(ids)s::bigint [], %(verdicts)s::text []) AS it (id, verdict)
WHERE lineage.id = it.id
