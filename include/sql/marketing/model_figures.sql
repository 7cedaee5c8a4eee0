-- One row per figure of the value model that serves the newest day.
WITH serving AS (
    SELECT
        m.model_version,
        m.anchor,
        m.manifest
    FROM ml.models AS m
    LEFT JOIN ops.champion_pins AS p ON m.kind = p.kind AND m.model_version = p.model_version
    WHERE m.kind = 'value' AND (m.is_champion OR p.model_version IS NOT NULL)
    ORDER BY p.model_version IS NOT NULL DESC, m.anchor DESC, m.updated_at DESC, m.model_version ASC
    LIMIT 1
)

SELECT
    s.model_version,
    s.anchor,
    CASE WHEN b.setting = 'rolling' THEN 'rolling' ELSE 'decile' END AS figure,
    b.metric AS name,
    substring(b.setting FROM 'decile=([0-9]+)$')::integer AS decile,
    b.cut,
    b.ours AS value,
    b.ours_low AS low,
    b.ours_high AS high,
    b.baseline,
    b.n AS customers
FROM serving AS s
INNER JOIN ml.backtests AS b ON s.model_version = b.model_version
WHERE b.setting LIKE 'rolling%'

UNION ALL

SELECT
    s.model_version,
    s.anchor,
    'importance' AS figure,
    i.key AS name,
    NULL::integer AS decile,
    s.anchor AS cut,
    i.value::double precision AS value,
    NULL::double precision AS low,
    NULL::double precision AS high,
    NULL::double precision AS baseline,
    NULL::integer AS customers
FROM serving AS s,
    jsonb_each_text(s.manifest -> 'explained' -> 'importance') AS i

UNION ALL

SELECT
    s.model_version,
    s.anchor,
    'coefficient' AS figure,
    c.key AS name,
    NULL::integer AS decile,
    s.anchor AS cut,
    (c.value ->> 'coefficient')::double precision AS value,
    (c.value ->> 'low')::double precision AS low,
    (c.value ->> 'high')::double precision AS high,
    NULL::double precision AS baseline,
    NULL::integer AS customers
FROM serving AS s,
    jsonb_each(s.manifest -> 'explained' -> 'coefficients') AS c

UNION ALL

SELECT
    s.model_version,
    s.anchor,
    'drift' AS figure,
    d.feature AS name,
    NULL::integer AS decile,
    d.as_of AS cut,
    d.value,
    NULL::double precision AS low,
    NULL::double precision AS high,
    d.limit_at AS baseline,
    d.n AS customers
FROM serving AS s
INNER JOIN ml.drift AS d ON s.model_version = d.model_version
WHERE d.measure = 'psi' AND d.as_of = (SELECT max(newest.as_of) FROM ml.drift AS newest)
