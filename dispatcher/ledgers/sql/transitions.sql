-- What the writer may do to one contact, as triggers of a view that holds nothing. So a whole
-- group of changes is one statement, carried out in its order, and it is all or nothing.
-- ``fields`` is a JSON array whose first two elements are ``kind`` and ``id``.

CREATE TEMP VIEW change (kind, id, fields) AS SELECT NULL, NULL, NULL;

-- Contacts that a send was not permitted for, and why, until the group has read them.
CREATE TEMP TABLE hindered (id INTEGER PRIMARY KEY, why TEXT NOT NULL);

-- How often staged rows were merged since the ledger was opened.
CREATE TEMP TABLE merges (times INTEGER NOT NULL);
INSERT INTO merges VALUES (0);

-- fields: step, at, conversation, external contact, target, is guest id, progress, person,
-- one per person, cap, cap since, and where the person was looked for among the old rows and not
-- found: after how many moves
CREATE TEMP TRIGGER intend INSTEAD OF INSERT ON change WHEN new.kind = 'intend'
BEGIN
    INSERT OR REPLACE INTO hindered
    SELECT id, CASE
        WHEN EXISTS (
            SELECT 1 FROM contact AS other
            WHERE
                other.conversation_id = contact.conversation_id
                AND other.status IN ('sending', 'in_doubt') AND other.id <> new.id
        ) THEN 'busy'
        ELSE (
            SELECT CASE
                WHEN MAX(other.status IN ('sending', 'in_doubt')) THEN 'busy'
                WHEN new.fields ->> 10 AND MAX(reached.campaign_id = contact.campaign_id)
                    THEN 'same_person'
                WHEN
                    new.fields ->> 11 > 0
                    AND SUM(reached.at >= new.fields ->> 12) >= new.fields ->> 11
                    THEN 'capped'
            END
            FROM reached LEFT JOIN contact AS other ON other.id = reached.contact_id
            WHERE
                reached.lately IN (iif(new.fields ->> 13 = (SELECT times FROM merges), 1, 0), 1)
                AND reached.person = new.fields ->> 9
                AND reached.contact_id <> new.id
        )
    END AS why
    FROM contact WHERE id = new.id AND status = 'claimed' AND why IS NOT NULL;
    UPDATE contact SET
        status = 'sending',
        intent_step = new.fields ->> 2,
        intent_at = new.fields ->> 3,
        intent_conversation_id = new.fields ->> 4,
        intent_external_contact_id = new.fields ->> 5,
        intent_target = new.fields ->> 6,
        intent_target_is_guest_id = new.fields ->> 7,
        progress = new.fields ->> 8,
        person = COALESCE(new.fields ->> 9, person)
    WHERE id = new.id AND status = 'claimed' AND changes() = 0;
    SELECT RAISE(ABORT, 'refused')
    WHERE changes() = 0 AND new.id NOT IN (SELECT id FROM hindered);
END;

-- A person is reached from the intent on, until the send ends without a message that was taken
-- or may have been, whatever ends it.
CREATE TEMP TRIGGER reach AFTER UPDATE OF status ON contact
WHEN CASE old.status
    WHEN 'claimed' THEN new.status = 'sending'
    WHEN 'sending' THEN new.status NOT IN ('notified', 'opened', 'in_doubt')
    WHEN 'in_doubt' THEN new.status NOT IN ('notified', 'opened', 'sending')
END
BEGIN
    INSERT OR REPLACE INTO reached (person, contact_id, campaign_id, at)
    SELECT new.person, new.id, new.campaign_id, new.intent_at
    WHERE new.status = 'sending' AND new.person IS NOT NULL;
    DELETE FROM reached
    WHERE
        lately IN (0, 1) AND person = old.person AND contact_id = old.id
        AND new.status <> 'sending' AND new.reason IS NOT 'in_doubt';
END;

CREATE TEMP TRIGGER retract INSTEAD OF INSERT ON change WHEN new.kind = 'retract'
BEGIN
    UPDATE contact SET
        status = 'claimed',
        intent_step = NULL,
        intent_at = NULL,
        intent_conversation_id = NULL,
        intent_external_contact_id = NULL,
        intent_target = NULL,
        intent_target_is_guest_id = NULL
    WHERE id = new.id AND status = 'sending';
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

-- fields: due, progress, and where there is any, story
CREATE TEMP TRIGGER defer INSTEAD OF INSERT ON change WHEN new.kind = 'defer'
BEGIN
    UPDATE contact SET
        status = 'ready',
        due = new.fields ->> 2,
        look_at = NULL,
        progress = new.fields ->> 3,
        story = COALESCE(COALESCE(story || ',', '') || (new.fields ->> 4), story),
        intent_step = NULL,
        intent_at = NULL,
        intent_conversation_id = NULL,
        intent_external_contact_id = NULL,
        intent_target = NULL,
        intent_target_is_guest_id = NULL
    WHERE id = new.id AND status IN ('claimed', 'sending', 'in_doubt');
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

-- fields: look at, progress, and where there is any, story
CREATE TEMP TRIGGER doubt INSTEAD OF INSERT ON change WHEN new.kind = 'doubt'
BEGIN
    UPDATE contact SET
        status = 'in_doubt',
        look_at = new.fields ->> 2,
        progress = new.fields ->> 3,
        story = COALESCE(COALESCE(story || ',', '') || (new.fields ->> 4), story)
    WHERE id = new.id AND status = 'sending';
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

-- fields: look at
CREATE TEMP TRIGGER look_again INSTEAD OF INSERT ON change WHEN new.kind = 'look_again'
BEGIN
    UPDATE contact SET look_at = new.fields ->> 2 WHERE id = new.id AND status = 'in_doubt';
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

-- fields: due
CREATE TEMP TRIGGER release INSTEAD OF INSERT ON change WHEN new.kind = 'release'
BEGIN
    UPDATE contact SET status = 'ready', due = new.fields ->> 2
    WHERE id = new.id AND status = 'claimed';
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

-- fields: status, reason, at, correlation id, words, progress, and for a message that was
-- taken: relation, conversation, message, external contact, state seen, state at, sent at; then,
-- where there is any, story
CREATE TEMP TRIGGER settle INSTEAD OF INSERT ON change WHEN new.kind = 'settle'
BEGIN
    UPDATE contact SET
        status = new.fields ->> 2,
        reason = new.fields ->> 3,
        settled_at = new.fields ->> 4,
        look_at = NULL,
        correlation_id = new.fields ->> 5,
        words = new.fields ->> 6,
        progress = new.fields ->> 7,
        story = COALESCE(COALESCE(story || ',', '') || (new.fields ->> 15), story),
        intent_target = NULL,
        intent_target_is_guest_id = NULL,
        subject = NULL,
        address = NULL,
        text = NULL
    WHERE id = new.id AND status IN ('claimed', 'sending', 'in_doubt');
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

CREATE TEMP TRIGGER park INSTEAD OF INSERT ON change WHEN new.kind = 'park'
BEGIN
    UPDATE contact SET
        status = new.fields ->> 2,
        reason = new.fields ->> 3,
        settled_at = new.fields ->> 4,
        look_at = NULL,
        correlation_id = new.fields ->> 5,
        words = new.fields ->> 6,
        progress = new.fields ->> 7,
        story = COALESCE(COALESCE(story || ',', '') || (new.fields ->> 15), story)
    WHERE id = new.id AND status IN ('claimed', 'sending', 'in_doubt');
    SELECT RAISE(ABORT, 'refused') WHERE changes() = 0;
END;

CREATE TEMP TRIGGER trace INSTEAD OF INSERT ON change
WHEN new.kind = 'settle' AND new.fields ->> 8 IS NOT NULL
BEGIN
    INSERT INTO lineage (
        contact_id, relation, conversation_id, message_id, external_contact_id,
        state_seen, state_at, sent_at, correlation_id
    )
    SELECT
        id, new.fields ->> 8, new.fields ->> 9, new.fields ->> 10,
        COALESCE(new.fields ->> 11, intent_external_contact_id, external_contact_id),
        new.fields ->> 12, new.fields ->> 13, COALESCE(new.fields ->> 14, intent_at),
        new.fields ->> 5
    FROM contact WHERE id = new.id;
END;

-- A story that has grown long keeps its first 10 entries and its last 40; between them stands
-- how many were left out: [null, "omitted", number].
CREATE TEMP TRIGGER shorten AFTER UPDATE OF story ON main.contact
WHEN LENGTH(new.story) > 10000
BEGIN
    UPDATE contact SET story = (
        SELECT GROUP_CONCAT(entry, ',') FROM (
            SELECT entry FROM (
                SELECT key AS place, value AS entry FROM JSON_EACH('[' || new.story || ']')
                WHERE key < 10
                UNION ALL
                SELECT 10, JSON_ARRAY(NULL, 'omitted', SUM(
                    CASE value ->> 1 WHEN 'omitted' THEN value ->> 2 ELSE 1 END
                ))
                FROM JSON_EACH('[' || new.story || ']')
                WHERE key BETWEEN 10 AND JSON_ARRAY_LENGTH('[' || new.story || ']') - 41
                HAVING COUNT(*) > 0
                UNION ALL
                SELECT key, value FROM JSON_EACH('[' || new.story || ']')
                WHERE key >= 10 AND key > JSON_ARRAY_LENGTH('[' || new.story || ']') - 41
            ) ORDER BY place
        )
    )
    WHERE id = new.id;
END;
