-- Views for Grafana on the tables of edge-central (docs/central.md), PostgreSQL 13 or newer. Times are UTC.
--     psql -v ON_ERROR_STOP=1 -d edge -f grafana.sql
-- Grafana reads as a user of its own, who sees these views and nothing else:
--     CREATE ROLE grafana LOGIN; GRANT USAGE ON SCHEMA dashboard TO grafana;
--     GRANT SELECT ON ALL TABLES IN SCHEMA dashboard TO grafana; ALTER ROLE grafana SET search_path = dashboard;

BEGIN;

CREATE SCHEMA IF NOT EXISTS dashboard;
SET LOCAL search_path = dashboard, public;

CREATE OR REPLACE VIEW dashboard.counts AS
SELECT
    to_timestamp(bin_start) AS time,        -- start of the bin
    device,
    site,
    ledger,
    minutes_covered,
    scale,                                  -- of the noise of nearby, device-minutes
    tracing_scale,                          -- of the noise of each other figure
    nearby AS figures_nearby,               -- device-minutes, noise included, at times negative
    (figures ->> 'bluezone')::bigint AS figures_bluezone,
    (figures ->> 'bluezone_presence')::bigint AS figures_bluezone_presence
FROM public.releases;

CREATE OR REPLACE VIEW dashboard.health AS
SELECT
    to_timestamp(at) AS time,
    device,
    boxes.site,
    (body ->> 'outbox_rows')::bigint AS outbox_rows
FROM public.health
JOIN public.boxes USING (device);

-- Average phones of each box in a bin, with half the 95 % interval: two standard deviations (sqrt(2) times the scale).
DROP VIEW IF EXISTS dashboard.site_hours;
CREATE OR REPLACE VIEW dashboard.box_hours AS
SELECT
    time,
    site,
    device,
    minutes_covered,
    coalesce(sites.rule, 'separate') AS boxes,    -- of the signed list: in rooms of their own or in one hall
    figures_nearby::numeric / nullif(minutes_covered, 0) AS nearby,
    (2 * sqrt(2) * scale)::numeric / nullif(minutes_covered, 0) AS nearby_error,
    CASE WHEN figures_bluezone IS NOT NULL THEN
        (figures_bluezone + coalesce(figures_bluezone_presence, 0))::numeric / nullif(minutes_covered, 0)
        END AS bluezone,
    -- Two figures, two draws.
    CASE WHEN figures_bluezone IS NOT NULL THEN
        (2 * sqrt(2 * num_nonnulls(figures_bluezone, figures_bluezone_presence)) * coalesce(tracing_scale, scale))::numeric
            / nullif(minutes_covered, 0) END AS bluezone_error,
    -- Which box of a hall hears most is told by its week, or noise would choose the largest.
    sum(figures_nearby::numeric) OVER of_week / nullif(sum(minutes_covered) OVER of_week, 0) AS week,
    -- And by the hour: the bin of a box that was restarted has a start of its own.
    max(CASE WHEN minutes_covered > 0 AND figures_nearby IS NOT NULL THEN 1 ELSE 0 END)
        OVER (PARTITION BY site, device, date_trunc('hour', time, 'UTC')) AS listened
FROM dashboard.counts
LEFT JOIN public.sites USING (site)
WHERE ledger = 'broker'
WINDOW of_week AS (PARTITION BY site, device, date_trunc('week', time, 'UTC'));

-- A site: clamped and rounded here, after everything was added up, never before. 0 where the noise could be all of it.
CREATE VIEW dashboard.site_hours AS
WITH ranked AS (
    SELECT
        *,
        dense_rank() OVER (
            PARTITION BY date_trunc('hour', time, 'UTC'), site ORDER BY listened DESC, week DESC NULLS LAST, device
        ) AS place,
        count(nearby) OVER (PARTITION BY time, site) AS heard
    FROM dashboard.box_hours
)
SELECT
    time,
    site,
    CASE WHEN sum(nearby) < sqrt(sum(nearby_error ^ 2)) THEN 0 ELSE round(sum(nearby)) END AS nearby,
    CASE WHEN sum(bluezone) < sqrt(sum(bluezone_error ^ 2)) THEN 0 ELSE round(sum(bluezone)) END AS bluezone,
    sum(minutes_covered) AS minutes_covered,
    round(sqrt(sum(nearby_error ^ 2)), 1) AS nearby_error,
    round(sqrt(sum(bluezone_error ^ 2)), 1) AS bluezone_error,
    CASE WHEN boxes = 'same hall' THEN 'largest of ' ELSE 'sum of ' END || max(heard) AS total
FROM ranked
WHERE boxes = 'separate' OR place = 1
GROUP BY time, site, boxes;

-- A box that never spoke is silent.
CREATE OR REPLACE VIEW dashboard.boxes_now AS
SELECT
    boxes.device,
    boxes.site,
    to_timestamp(states.received) AS time,
    coalesce(now() - to_timestamp(states.received) > interval '15 minutes', true) AS silent,
    body #>> '{lights,radio,light}' AS light_radio,
    body #>> '{lights,log,light}' AS light_log,
    body #>> '{lights,clock,light}' AS light_clock,
    body #>> '{lights,storage,light}' AS light_storage,
    (body ->> 'outbox_rows')::bigint AS outbox_rows,
    (body ->> 'certificate_expires')::bigint AS certificate_expires,
    (body ->> 'recipients_expire')::bigint AS recipients_expire
FROM public.boxes
LEFT JOIN public.states ON states.device = boxes.device AND states.kind = 'health'
WHERE boxes.state = 'enrolled';

COMMIT;
