-- What a sound ledger does not contain. Each statement counts one kind of violation, at one moment. An
-- empty text_sha256 means that the contact was erased.

-- name: status_unknown
SELECT
    (
        SELECT COUNT(*) FROM dispatcher.contact
        WHERE
            (status = 'open') <> (reason IS NULL)
            OR (reason IS NOT NULL AND status <> ALL (%(final)s))
    )
    + (SELECT COUNT(*) FROM dispatcher.unsettled WHERE status NOT IN ('sending', 'in_doubt'))

-- name: reason_unknown
SELECT COUNT(*) FROM dispatcher.contact
WHERE reason IS NOT NULL AND reason <> ALL (%(reasons)s)

-- name: final_without_reason
SELECT COUNT(*) FROM dispatcher.contact_now
WHERE
    (status = ANY (%(final)s)) <> (reason IS NOT NULL)
    OR (reason IS NOT NULL AND settled_at IS NULL)

-- name: ready_without_due
SELECT COUNT(*) FROM dispatcher.contact_now
WHERE reason IS NULL AND (status = 'ready') <> (due IS NOT NULL)

-- name: final_with_due
SELECT COUNT(*) FROM dispatcher.ready INNER JOIN dispatcher.contact ON contact.id = ready.contact_id
WHERE reason IS NOT NULL

-- name: doubt_without_look_at
SELECT COUNT(*) FROM dispatcher.contact_now
WHERE (status = 'in_doubt') <> (look_at IS NOT NULL)

-- name: sending_without_intent
SELECT COUNT(*) FROM dispatcher.contact_now
WHERE
    reason IS NULL AND status IN ('sending', 'in_doubt')
    AND (intent_step IS NULL OR intent_at IS NULL)

-- name: neither_ready_nor_claimed
SELECT COUNT(*) FROM dispatcher.contact
WHERE
    reason IS NULL
    AND NOT EXISTS (SELECT 1 FROM dispatcher.ready WHERE ready.contact_id = contact.id)
    AND NOT EXISTS (SELECT 1 FROM dispatcher.held WHERE held.contact_id = contact.id)
    AND NOT EXISTS (SELECT 1 FROM dispatcher.unsettled WHERE unsettled.contact_id = contact.id)

-- name: ready_in_error
SELECT COUNT(*) FROM dispatcher.ready
LEFT JOIN dispatcher.held ON held.contact_id = ready.contact_id
LEFT JOIN dispatcher.unsettled ON unsettled.contact_id = ready.contact_id
LEFT JOIN dispatcher.contact
    ON contact.id = ready.contact_id AND contact.campaign_id = ready.campaign_id
WHERE
    held.contact_id IS NOT NULL OR unsettled.contact_id IS NOT NULL OR contact.id IS NULL

-- name: claimed_in_error
SELECT COUNT(*) FROM dispatcher.held
LEFT JOIN dispatcher.contact ON held.contact_id = contact.id
WHERE contact.id IS NULL OR contact.reason IS NOT NULL

-- name: unsettled_alone
SELECT COUNT(*) FROM dispatcher.unsettled
LEFT JOIN dispatcher.contact ON unsettled.contact_id = contact.id
WHERE contact.id IS NULL OR contact.reason IS NOT NULL

-- name: campaign_unknown
SELECT COUNT(*) FROM dispatcher.contact
WHERE NOT EXISTS (SELECT 1 FROM dispatcher.campaign WHERE campaign.id = contact.campaign_id)

-- name: text_kept
SELECT COUNT(*) FROM dispatcher.contact
WHERE
    reason IS NOT NULL AND status NOT IN ('parked', 'rejected')
    AND COALESCE(text, subject, address, intent_target, (progress::json -> 'target')::text) IS NOT NULL

-- name: text_missing
SELECT COUNT(*) FROM dispatcher.contact
WHERE text IS NULL AND (reason IS NULL OR status = 'parked')

-- name: json_unreadable
SELECT COUNT(*) FROM dispatcher.contact_now
WHERE
    progress IS NOT JSON OR attributes IS NOT JSON OR ('[' || story || ']') IS NOT JSON

-- name: lineage_missing
SELECT COUNT(*) FROM dispatcher.contact
WHERE
    reason = 'delivered'
    AND NOT EXISTS (SELECT 1 FROM dispatcher.lineage WHERE lineage.contact_id = contact.id)

-- name: lineage_alone
SELECT COUNT(*) FROM dispatcher.lineage
WHERE
    NOT EXISTS (
        SELECT 1 FROM dispatcher.contact
        WHERE contact.id = lineage.contact_id AND contact.status IN ('notified', 'opened')
    )
    OR relation <> ALL (%(relations)s)

-- name: message_twice
SELECT COUNT(*) FROM (
    SELECT 1 FROM dispatcher.lineage WHERE message_id IS NOT NULL
    GROUP BY message_id HAVING COUNT(*) > 1
) AS twice

-- name: person_not_reached
SELECT COUNT(*) FROM dispatcher.contact
WHERE
    reason = 'delivered' AND person IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM dispatcher.reached
        WHERE reached.person = contact.person AND reached.contact_id = contact.id
    )

-- name: key_twice
SELECT COUNT(*) FROM (
    SELECT 1 FROM dispatcher.contact GROUP BY campaign_id, key HAVING COUNT(*) > 1
) AS twice

-- name: settled_sums_differ
WITH
counted AS (
    SELECT campaign_id, status, reason, COUNT(*) AS contacts FROM dispatcher.contact
    WHERE reason IS NOT NULL GROUP BY campaign_id, status, reason
),
erased AS (
    SELECT campaign_id, COUNT(*) AS contacts FROM dispatcher.contact
    WHERE text_sha256 = '' GROUP BY campaign_id
),
gone AS (
    SELECT
        campaign.id AS campaign_id,
        (SELECT COUNT(*) FROM dispatcher.pruned WHERE pruned.campaign_id = campaign.id)
        - COALESCE(erased.contacts, 0) AS contacts
    FROM dispatcher.campaign LEFT JOIN erased ON erased.campaign_id = campaign.id
)
SELECT
    (
        SELECT COUNT(*) FROM counted
        LEFT JOIN dispatcher.settled_sum USING (campaign_id, status, reason)
        WHERE counted.contacts > COALESCE(settled_sum.contacts, 0)
    ) + (
        SELECT COUNT(*) FROM gone
        WHERE gone.contacts <> (
            SELECT COALESCE(SUM(contacts), 0) FROM dispatcher.settled_sum
            WHERE settled_sum.campaign_id = gone.campaign_id
        ) - (
            SELECT COALESCE(SUM(contacts), 0) FROM counted
            WHERE counted.campaign_id = gone.campaign_id
        )
    )

-- name: admitted_differs
WITH held AS (
    SELECT campaign_id, COUNT(*) - COUNT(*) FILTER (WHERE text_sha256 = '') AS contacts
    FROM dispatcher.contact GROUP BY campaign_id
)
SELECT COUNT(*) FROM dispatcher.campaign LEFT JOIN held ON held.campaign_id = campaign.id
WHERE
    admitted <> COALESCE(held.contacts, 0)
    + (SELECT COUNT(*) FROM dispatcher.pruned WHERE pruned.campaign_id = campaign.id)

-- name: rows_differ
SELECT COUNT(*) FROM dispatcher.campaign
WHERE
    rows_read <> admitted + duplicates + filtered + (
        SELECT COALESCE(SUM(row_count), 0) FROM dispatcher.rejected_sum
        WHERE rejected_sum.campaign_id = campaign.id
    )

-- name: rejected_sums_differ
SELECT COUNT(*) FROM (
    SELECT campaign_id, reason, COUNT(*) AS counted FROM dispatcher.rejected_row
    GROUP BY campaign_id, reason
) AS of_reason LEFT JOIN dispatcher.rejected_sum USING (campaign_id, reason)
WHERE counted > COALESCE(row_count, 0)
