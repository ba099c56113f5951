-- Released hours for two years, so that a year can be compared: `nearby` of the screen's bins, added up by the hour.
-- `scale` is of the noise of one bin, `parts` how many there were (core/counts/hours.py).
CREATE TABLE hour(
  id INTEGER PRIMARY KEY, -- its age, as of a release
  start_s INTEGER NOT NULL UNIQUE,
  minutes INTEGER NOT NULL, nearby INTEGER NOT NULL, scale REAL NOT NULL, parts INTEGER NOT NULL
) STRICT;
INSERT INTO hour(start_s, minutes, nearby, scale, parts)
  SELECT bin_start_s - bin_start_s % 3600, sum(json_extract(text, '$.minutes_covered')),
    sum(json_extract(text, '$.figures.nearby')), max(json_extract(text, '$.scale')), count(*)
  FROM (SELECT bin_start_s, CAST(body AS TEXT) AS text FROM release WHERE ledger = 'display')
  WHERE json_valid(text) AND json_extract(text, '$.figures.nearby') IS NOT NULL
  GROUP BY 1 ORDER BY 1;
