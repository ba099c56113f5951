-- Tables for what boxes publish: noised counts and health. PostgreSQL 13 or newer; TimescaleDB is used where it is.
-- Times are UTC. Nothing here is about a phone: counts carry their noise, health is about the box.
--     createdb edge && psql -v ON_ERROR_STOP=1 -d edge -f timescale.sql

BEGIN;

CREATE TABLE IF NOT EXISTS counts (
    time timestamptz NOT NULL,              -- start of the bin
    device text NOT NULL,
    site text NOT NULL,
    ledger text NOT NULL,
    key text NOT NULL,                      -- a repeat carries the same one
    boot bigint NOT NULL,
    bin_s bigint NOT NULL CHECK (bin_s > 0),
    minutes_covered bigint NOT NULL CHECK (minutes_covered >= 0),
    scale double precision NOT NULL,        -- of the noise of nearby, device-minutes
    tracing_scale double precision,         -- of the noise of each other figure
    clock text NOT NULL,
    figures_nearby bigint,                  -- device-minutes, noise included, at times negative
    figures_bluezone bigint,
    figures_bluezone_presence bigint,
    figures_gaen bigint,
    UNIQUE (key, time)
);

ALTER TABLE counts ADD COLUMN IF NOT EXISTS tracing_scale double precision;

-- How the boxes of a site hang: in rooms of their own (their figures add up) or in one hall (the largest counts).
-- Fill it from the fleet's site list; a site that is not here is 'separate'.
CREATE TABLE IF NOT EXISTS sites (
    site text PRIMARY KEY,
    boxes text NOT NULL DEFAULT 'separate' CHECK (boxes IN ('separate', 'same hall'))
);

CREATE TABLE IF NOT EXISTS health (
    time timestamptz NOT NULL,
    device text NOT NULL,
    site text NOT NULL,
    uptime_s bigint,
    outbox_rows bigint,
    outbox_dropped_total bigint,
    certificate_expires bigint,
    recipients_expire bigint,
    oldest_record bigint,
    retention_days bigint,
    loop_lag_ms double precision,
    rss_mb double precision,
    light_radio text,
    light_log text,
    light_clock text,
    light_storage text,
    UNIQUE (device, time)
);

CREATE INDEX IF NOT EXISTS counts_site ON counts (site, time DESC);
CREATE INDEX IF NOT EXISTS health_newest ON health (device, time DESC);

-- Telegraf inserts; a repeat of a message must not be an error, nor a second row.
CREATE OR REPLACE FUNCTION keep_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'counts' THEN
        IF EXISTS (SELECT 1 FROM counts WHERE key = NEW.key AND time = NEW.time) THEN
            RETURN NULL;
        END IF;
    ELSIF EXISTS (SELECT 1 FROM health WHERE device = NEW.device AND time = NEW.time) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER counts_keep_first BEFORE INSERT ON counts FOR EACH ROW EXECUTE FUNCTION keep_first();
CREATE OR REPLACE TRIGGER health_keep_first BEFORE INSERT ON health FOR EACH ROW EXECUTE FUNCTION keep_first();

-- Average phones of each box in a bin, with half the 95 % interval: two standard deviations (sqrt(2) times the scale).
DROP VIEW IF EXISTS site_hours;
CREATE OR REPLACE VIEW box_hours AS
SELECT
    time,
    site,
    device,
    minutes_covered,
    coalesce(sites.boxes, 'separate') AS boxes,
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
    avg(figures_nearby::numeric / nullif(minutes_covered, 0))
        OVER (PARTITION BY site, device, date_trunc('week', time)) AS week
FROM counts
LEFT JOIN sites USING (site)
WHERE ledger = 'broker';

-- A site: clamped and rounded here, after everything was added up, never before. 0 where the noise could be all of it.
CREATE VIEW site_hours AS
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY time, site ORDER BY (nearby IS NULL), week DESC NULLS LAST, device) AS place,
        count(nearby) OVER (PARTITION BY time, site) AS heard
    FROM box_hours
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

CREATE OR REPLACE VIEW boxes_now AS
SELECT DISTINCT ON (device) *, now() - time > interval '15 minutes' AS silent
FROM health
ORDER BY device, time DESC;

-- Timescale only where it is installed; plain PostgreSQL carries some hundred boxes as it is.
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
        PERFORM create_hypertable('counts', 'time', if_not_exists => TRUE, migrate_data => TRUE);
        PERFORM create_hypertable('health', 'time', if_not_exists => TRUE, migrate_data => TRUE);
        PERFORM add_retention_policy('health', interval '90 days', if_not_exists => TRUE);
    END IF;
END $$;

COMMIT;
