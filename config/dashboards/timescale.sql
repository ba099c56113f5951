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
    scale double precision NOT NULL,        -- of the noise, device-minutes
    clock text NOT NULL,
    figures_nearby bigint,                  -- device-minutes, noise included, at times negative
    figures_bluezone bigint,
    figures_bluezone_presence bigint,
    figures_gaen bigint,
    UNIQUE (key, time)
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

-- Average devices on air in a bin: clamped and rounded here, after everything was added up, never before.
CREATE OR REPLACE VIEW site_hours AS
SELECT
    time,
    site,
    -- 0 where the noise could be all of it: an empty hall is shown empty.
    CASE WHEN sum(minutes_covered) = 0 THEN NULL
        WHEN sum(figures_nearby) < 2 * sqrt(2 * sum(scale * scale)) THEN 0
        ELSE round(sum(figures_nearby)::numeric / nullif(sum(minutes_covered), 0)) END AS nearby,
    CASE WHEN count(figures_bluezone) > 0 THEN
        greatest(0, round(sum(coalesce(figures_bluezone, 0) + coalesce(figures_bluezone_presence, 0))::numeric
            / nullif(sum(minutes_covered), 0))) END AS bluezone,
    sum(minutes_covered) AS minutes_covered,
    -- 95 %: two standard deviations of the sum of the boxes' noise (discrete Laplace: sqrt(2) times its scale).
    round((2 * sqrt(2 * sum(scale * scale)) / nullif(sum(minutes_covered), 0))::numeric, 1) AS nearby_error
FROM counts
WHERE ledger = 'broker'
GROUP BY time, site;

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
