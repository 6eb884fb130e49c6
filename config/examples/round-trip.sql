-- Follows each customer from the conversation of the cart to the newest one, over all campaigns.
-- A row of the lineage continues the last row before it that ended in its previous conversation.
WITH RECURSIVE link AS (
  SELECT l.campaign, l.contact_key, l.previous_conversation_id, l.conversation_id, l.relation,
         l.sent_at, p.campaign AS after_campaign, p.contact_key AS after_key
  FROM dispatcher_lineage AS l
  LEFT JOIN dispatcher_lineage AS p
    ON p.conversation_id = l.previous_conversation_id AND p.sent_at < l.sent_at
  QUALIFY row_number() OVER (
    PARTITION BY l.campaign, l.contact_key ORDER BY p.sent_at DESC NULLS LAST) = 1
),
story AS (
  SELECT c.customer_id, c.status, 1 AS step, k.campaign, k.contact_key, k.relation,
         k.previous_conversation_id, k.conversation_id, k.sent_at
  FROM carts AS c
  JOIN link AS k ON k.previous_conversation_id = c.conversation_id AND k.after_key IS NULL
  UNION ALL
  SELECT s.customer_id, s.status, s.step + 1, k.campaign, k.contact_key, k.relation,
         k.previous_conversation_id, k.conversation_id, k.sent_at
  FROM story AS s
  JOIN link AS k ON k.after_campaign = s.campaign AND k.after_key = s.contact_key
)
SELECT customer_id, status, step, campaign, relation, previous_conversation_id, conversation_id
FROM story
ORDER BY customer_id, step
