-- In which minutes of its hour a segment's radio listened: bit m for minute m. Frames tell it to nobody without the keys.
-- It is about the box alone, whether or not anybody was there. A segment of an older version has no row.
CREATE TABLE recorded(seq INTEGER PRIMARY KEY, minutes INTEGER NOT NULL) STRICT;
