-- View and triggers of the newest version, created after the last migration. An older view is
-- dropped before each migration; older triggers are the same, or were dropped with their table.

-- The lineage with the names of campaigns and contacts.
CREATE VIEW lineage_row AS
SELECT
    lineage.id,
    campaign.name AS campaign,
    contact.key AS contact_key,
    contact.conversation_id AS previous_conversation_id,
    lineage.conversation_id,
    lineage.message_id,
    lineage.relation,
    contact.reason,
    lineage.external_contact_id,
    lineage.state_seen,
    lineage.state_at,
    lineage.sent_at,
    contact.settled_at,
    COALESCE(contact.progress ->> 'attempts', 0) AS attempts,
    COALESCE(contact.progress ->> 'sends', 0) AS sends,
    lineage.correlation_id,
    lineage.verified,
    lineage.verified_at,
    contact.attributes
FROM lineage
INNER JOIN contact ON lineage.contact_id = contact.id
INNER JOIN campaign ON contact.campaign_id = campaign.id;

CREATE TRIGGER IF NOT EXISTS contact_settled AFTER UPDATE OF reason ON contact
WHEN new.reason IS NOT NULL
BEGIN
    INSERT INTO settled_sum VALUES (new.campaign_id, new.status, new.reason, 1)
    ON CONFLICT DO UPDATE SET contacts = contacts + 1;
END;

CREATE TRIGGER IF NOT EXISTS contact_unsettled AFTER UPDATE OF reason ON contact
WHEN old.reason IS NOT NULL
BEGIN
    UPDATE settled_sum SET contacts = contacts - 1
    WHERE campaign_id = old.campaign_id AND status = old.status AND reason = old.reason;
END;
